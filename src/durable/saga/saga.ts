import type { Failure, FailureOf, Fault, Result, Success } from "../../result.ts";
import type { Contract, ParsedOf } from "../../message/contract.ts";
import type { Answerable, FaultOf, OutputOf } from "../../message/message.ts";

/** What {@linkcode SagaContext.step} takes beside the message. */
export interface StepOptions<M extends Answerable> {
  /**
   * What undoes the step, should the saga fail later. A function makes it of the answer. A message needs no answer, so
   * it is sent too where nobody knows whether the step happened; whoever handles it must not mind that it did not.
   */
  readonly undo?: Answerable | ((answer: OutputOf<M>) => Answerable) | undefined;
  /** How long one try may take, in ms. @default 30000 */
  readonly timeout?: number | undefined;
  /** How often it is tried at most while nobody answers, with growing pauses up to 30 s. @default 20 */
  readonly attempts?: number | undefined;
}

/** What {@linkcode SagaContext.waitFor} takes. */
export interface WaitOptions<Body> {
  /** What the event must have: all of these properties, equal as JSON. Every event of the contract if left out. */
  readonly match?: Partial<Body> | undefined;
}

/** What {@linkcode SagaContext.waitFor} takes where it gives up. */
export interface LimitedWaitOptions<Body> extends WaitOptions<Body> {
  /** How long to wait, in ms by the store's clock, however long. */
  readonly timeout: number;
}

/** What parallel branches come to. */
export type BranchResults<B> = {
  -readonly [N in keyof B]: B[N] extends (branch: SagaContext) => Promise<infer T> ? T : never;
};

/**
 * What a saga does to the world. All of it is kept, so that after a crash the function runs again, on any node, and
 * gets the same answers up to where it was. So it must do the same again: await nothing but these, and take time and
 * chance from here. Names have a letter and up to 63 of letters, digits and `_ . : -`; one that comes again in the same
 * place counts on (`name`, `name#2`). Answers come as JSON keeps them.
 */
export interface SagaContext {
  /** The instance, as `sagas.show` knows it. */
  readonly id: string;
  /** Sends a command or query to whoever serves it, until it is answered. Throws a `CatgaError` for a failure. */
  step<M extends Answerable>(name: string, message: M, options?: StepOptions<M>): Promise<OutputOf<M>>;
  /** The same, but a failure is answered instead of thrown. */
  try<M extends Answerable>(
    name: string,
    message: M,
    options?: StepOptions<M>,
  ): Promise<Result<OutputOf<M>, FaultOf<M>>>;
  /** Runs branches side by side. When all have come to their end, the first that failed, if any, is thrown. */
  all<B extends Readonly<Record<string, (branch: SagaContext) => Promise<unknown>>>>(
    branches: B,
  ): Promise<BranchResults<B>>;
  /** Waits so many ms by the store's clock, however long, also while no node runs. */
  sleep(name: string, ms: number): Promise<void>;
  /**
   * Waits for an event that is delivered from now on; call it before the step that leads to the event, and await it
   * later. With a `timeout` it answers `undefined` when none came.
   */
  waitFor<C extends Contract<"event" | "reliable">>(
    name: string,
    contract: C,
    options: LimitedWaitOptions<ParsedOf<C>>,
  ): Promise<ParsedOf<C> | undefined>;
  /** Waits for an event, however long. */
  waitFor<C extends Contract<"event" | "reliable">>(
    name: string,
    contract: C,
    options?: WaitOptions<ParsedOf<C>>,
  ): Promise<ParsedOf<C>>;
  /** The time in ms since 1970 when the saga came here first. */
  now(): number;
  /** A number from 0 to below 1, the same each time the saga comes here. */
  random(): number;
}

/** The function behind a saga: it returns a value, or a result where it wants to fail. */
export type SagaFunction<C extends Contract> = (
  body: ParsedOf<C>,
  saga: SagaContext,
) => Promise<OutputOf<C> | Success<OutputOf<C>> | FailureOf<FaultOf<C>> | Failure<FaultOf<C>>>;

/** What {@linkcode saga} takes. */
export interface SagaOptions {
  /** Which code this is, a whole number from 1. What began with one version ends with it. @default 1 */
  readonly version?: number | undefined;
  /** Events it waits for; `sagas.handlers` then listens for them. */
  readonly events?: readonly Contract<"event" | "reliable">[] | undefined;
}

/** A contract with the durable function that serves it. */
export interface SagaDefinition {
  /** The command that begins it. */
  readonly contract: Contract<"command">;
  /** The function. */
  readonly run: (body: never, saga: SagaContext) => Promise<unknown>;
  /** Which code this is. */
  readonly version: number;
  /** Events it waits for. */
  readonly events: readonly Contract<"event" | "reliable">[];
}

/**
 * Serves a command with a durable function: each step is a message, kept in a journal with its answer. Where the
 * function fails, what its steps did is undone, the last one first.
 *
 * Throws a `RangeError` for a version that is no whole number from 1.
 *
 * @example
 * ```ts
 * import { command, type } from "@catga/catga";
 * import { saga } from "@catga/catga/durable";
 *
 * const Checkout = command("shop.checkout", { input: type<{ order: string }>(), output: type<string>() });
 * const Reserve = command("stock.reserve", { input: type<{ order: string }>(), output: type<void>() });
 * const Release = command("stock.release", { input: type<{ order: string }>(), output: type<void>() });
 * const Charge = command("payment.charge", { input: type<{ order: string }>(), output: type<{ id: string }>() });
 *
 * const checkout = saga(Checkout, async ({ order }, saga) => {
 *   await saga.step("reserve", Reserve({ order }), { undo: Release({ order }) });
 *   const { id } = await saga.step("charge", Charge({ order }));
 *   return id;
 * });
 * console.log(checkout.version);
 * ```
 */
export function saga<C extends Contract<"command">>(
  contract: C,
  run: SagaFunction<C>,
  { version = 1, events = [] }: SagaOptions = {},
): SagaDefinition {
  if (!(Number.isSafeInteger(version) && version >= 1)) {
    throw new RangeError(
      `Cannot define the saga "${contract.type}": its version is ${version}, but must be a whole number from 1`,
    );
  }
  return { contract, run, version, events };
}

/** A fault as it is kept and shown: without its cause. */
export type KeptFault = Omit<Fault, "cause">;
