import type { Fault, SystemFault } from "../result.ts";
import type { Schema } from "../schema.ts";
import type { Kind, Message } from "./message.ts";
import { checkPolicy, isMessageName, type Policy } from "./policy.ts";

/** The arguments of a contract's call: none are needed when the body may be `undefined`. */
export type Args<T> = undefined extends T ? [body?: T] : [body: T];

/**
 * A kind of message: its name, what it carries, what it is answered with and what holds for it. Call it to make a
 * message.
 */
export interface Contract<
  K extends Kind = Kind,
  Name extends string = string,
  // deno-lint-ignore no-explicit-any
  In = any,
  // deno-lint-ignore no-explicit-any
  Parsed = any,
  // deno-lint-ignore no-explicit-any
  Out = any,
  // deno-lint-ignore no-explicit-any
  Err = any,
> extends Policy<In> {
  (...body: Args<In>): Message<K, Name, In, Out, Err>;
  /** What its messages ask for. */
  readonly kind: K;
  /** Its name, the same on all nodes. */
  readonly type: Name;
  /** Checks what its messages carry. */
  readonly input: Schema<In, Parsed>;
  /** What they are answered with; events are not. */
  // deno-lint-ignore no-explicit-any
  readonly output: Schema<any, Out> | undefined;
  /** The failures it declares. */
  readonly errors: ErrorMap;
  /** Types only; never there at run time. */
  readonly "~types"?: { readonly parsed: Parsed; readonly output: Out; readonly error: Err };
}

/** No declared failures. */
export type None = Record<never, never>;

/** The failures a contract declares: a code and the schema of its data. */
// deno-lint-ignore no-explicit-any
export type ErrorMap = { readonly [code: string]: Schema<any, any> };

/** The faults of an error map. */
export type FaultsOf<E> = {
  // deno-lint-ignore no-explicit-any
  [C in keyof E & string]: E[C] extends Schema<any, infer D> ? Fault<C, D> : never;
}[keyof E & string];

/** What a handler of the contract is given: the body as its schema gave it back. */
// deno-lint-ignore no-explicit-any
export type ParsedOf<C> = C extends Contract<any, any, any, infer P, any, any> ? P : never;

/** What {@linkcode command}, {@linkcode query} and {@linkcode stream} are defined with. */
export interface RequestSpec<In, P, Out, E extends ErrorMap> extends Policy<In> {
  /** Checks what its messages carry. */
  readonly input: Schema<In, P>;
  /** What they are answered with. */
  // deno-lint-ignore no-explicit-any
  readonly output: Schema<any, Out>;
  /** The failures a handler may return with `fail`, by code. */
  readonly errors?: E;
}

/** What {@linkcode event} and {@linkcode reliableEvent} are defined with. */
export interface EventSpec<In, P> extends Policy<In> {
  /** Checks what its messages carry. */
  readonly data: Schema<In, P>;
}

/**
 * Defines a command: exactly one handler changes something and answers. Like the others it throws a `RangeError` for
 * a name that is not a letter and up to 127 of letters, digits and `_ . : -`, and for times that are not above 0.
 *
 * @example
 * ```ts
 * import { command, type } from "@catga/catga";
 * const CreateOrder = command("orders.create", {
 *   input: type<{ sku: string; quantity: number }>(),
 *   output: type<{ id: string }>(),
 *   errors: { OUT_OF_STOCK: type<{ left: number }>() },
 * });
 * const message = CreateOrder({ sku: "p1", quantity: 2 });
 * ```
 */
export function command<const N extends string, In, P, Out, const E extends ErrorMap = None>(
  type: N,
  spec: RequestSpec<In, P, Out, E>,
): Contract<"command", N, In, P, Out, FaultsOf<E> | SystemFault> {
  return define("command", type, spec.input, spec.output, spec.errors, spec);
}

/** Defines a query: exactly one handler answers and changes nothing, so a lost call is sent again. */
export function query<const N extends string, In, P, Out, const E extends ErrorMap = None>(
  type: N,
  spec: RequestSpec<In, P, Out, E>,
): Contract<"query", N, In, P, Out, FaultsOf<E> | SystemFault> {
  return define("query", type, spec.input, spec.output, spec.errors, { ...spec, idempotent: true });
}

/** Defines a stream: exactly one handler answers with any number of values, one after the other. */
export function stream<const N extends string, In, P, Out, const E extends ErrorMap = None>(
  type: N,
  spec: RequestSpec<In, P, Out, E>,
): Contract<"stream", N, In, P, Out, FaultsOf<E> | SystemFault> {
  return define("stream", type, spec.input, spec.output, spec.errors, spec);
}

/** Defines an event that is told at most once to whoever listens now, and may be lost. */
export function event<const N extends string, In, P>(
  type: N,
  spec: EventSpec<In, P>,
): Contract<"event", N, In, P, void, SystemFault> {
  return define("event", type, spec.data, undefined, undefined, spec);
}

/** Defines an event that is told at least once to every subscriber; publishing it tells what came of it. */
export function reliableEvent<const N extends string, In, P>(
  type: N,
  spec: EventSpec<In, P>,
): Contract<"reliable", N, In, P, void, SystemFault> {
  return define("reliable", type, spec.data, undefined, undefined, spec);
}

function define<K extends Kind, N extends string, In, P, Out, Err>(
  kind: K,
  type: N,
  input: Schema<In, P>,
  // deno-lint-ignore no-explicit-any
  output: Schema<any, Out> | undefined,
  errors: ErrorMap | undefined,
  policy: Policy<In>,
): Contract<K, N, In, P, Out, Err> {
  if (!isMessageName(type)) {
    throw new RangeError(
      `Cannot define "${type}": a name starts with a letter and goes on with at most 127 of letters, digits, _ . : -`,
    );
  }
  checkPolicy(kind, type, policy);
  // Messages of a contract share a prototype that leads back to it: they stay plain data, and whoever sends one
  // knows its policy also where no handler of it is registered.
  function Made(this: { kind: K; type: N; body: In }, body: In): void {
    this.kind = kind;
    this.type = type;
    this.body = body;
  }
  const New = Made as unknown as new (body: In) => Message<K, N, In, Out, Err>;
  const make = (body?: In): Message<K, N, In, Out, Err> => new New(body as In);
  const contract = Object.assign(make, {
    kind,
    type,
    input,
    output,
    errors: errors ?? {},
    key: policy.key ?? policy.shard?.key,
    timeout: policy.timeout,
    idempotent: policy.idempotent ?? policy.idempotency !== undefined,
    hedge: policy.hedge,
    route: policy.route,
    shard: policy.shard,
    cache: policy.cache,
    invalidates: policy.invalidates,
    delivery: policy.delivery,
    idempotency: policy.idempotency,
    summary: policy.summary,
  });
  Object.defineProperty(Made, "name", { value: type });
  Object.defineProperty(Made.prototype, "~contract", { value: contract });
  for (const slot of ["~answerer", "~audience"]) Object.defineProperty(contract, slot, { writable: true });
  return contract;
}

/** The contract that a message was made by; `undefined` for one that was put together by hand. */
export function contractOf(message: Message): Contract | undefined {
  return (message as { readonly "~contract"?: Contract })["~contract"];
}

/**
 * A message as its contract made it. The mediator that served the contract last keeps in it how, and so finds that
 * without a look-up by name.
 */
export interface Made {
  readonly "~contract"?: { "~answerer": unknown; "~audience": unknown };
}
