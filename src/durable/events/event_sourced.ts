import type { Fault, Result, SystemFault } from "../../result.ts";
import type { EventStore } from "../../ports/event_store.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Cause } from "../records/transaction.ts";
import type { Decider } from "./decider.ts";
import type { EventOf, EventTypes, Recorded, SourcedEvent } from "./event_types.ts";
import { Sourced } from "./sourced.ts";
import type { SnapshotOptions } from "./snapshots.ts";

/** What {@linkcode eventSourced} takes. */
export interface EventSourcedOptions<State, Command, T extends EventTypes, F extends Fault> {
  /** How each of them behaves. */
  readonly decider: Decider<State, Command, EventOf<T>, F>;
  /** The types of their events. One that is not among them makes reading fail; it is never passed over. */
  readonly events: T;
  /** Keeps the events. */
  readonly store: EventStore;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** Keeps states as well; without it all events of a stream are read each time. */
  readonly snapshots?: SnapshotOptions | undefined;
  /**
   * How many states this process keeps at most, those used last, together up to about 64 MiB: of such an entity only
   * what is newer is read. They are frozen; a state that is not plain data is not kept. 0 keeps none. @default 1000
   */
  readonly cache?: number | undefined;
  /** How often a command is decided at most when others are faster. @default 10 */
  readonly tries?: number | undefined;
  /** How long one request to a store may take, in ms. @default 5000 */
  readonly patience?: number | undefined;
}

/** What {@linkcode EventSourced.execute} takes. */
export interface ExecuteOptions {
  /**
   * The message because of which it is executed; the context of a handler is one. Of all that is executed on one
   * entity because of one message, and in one handler of a reliable event, the first lets something happen: the same
   * command again answers what happened then, and another is a `CONFLICT`. `step` tells several apart.
   */
  readonly context?: Cause | undefined;
  /** Tells this command from others on the same entity because of the same message. */
  readonly step?: string | undefined;
  /** What is kept beside the events, such as who wanted it. */
  readonly meta?: Readonly<Record<string, string>> | undefined;
  /** Gives up; what was asked for may have happened. */
  readonly signal?: AbortSignal | undefined;
}

/** What a command came to. */
export interface Executed<State, Event extends SourcedEvent> {
  /** The state after it. */
  readonly state: State;
  /** What it let happen; nothing, if nothing had to. */
  readonly events: readonly Event[];
  /** The version of the stream after it. */
  readonly version: number;
  /** The position of the stream's last event then, for {@linkcode Projection.reached}. */
  readonly position: number;
  /** Whether it had happened before because of the same message, and this is what happened then. */
  readonly repeated: boolean;
}

/** What {@linkcode EventSourced.load} takes. */
export interface LoadOptions {
  /** The state at this version, if not the last. */
  readonly version?: number | undefined;
  /** The state at this time, in ms since 1970 by the store's clock, if not now. */
  readonly at?: number | undefined;
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** A state as the events made it. */
export interface Loaded<State> {
  /** The state. */
  readonly state: State;
  /** The version of the last event that it knows of; 0 where nothing has happened. */
  readonly version: number;
  /** The position of that event; 0 where nothing has happened. */
  readonly position: number;
  /** When that event was appended, in ms since 1970; 0 where nothing has happened. */
  readonly at: number;
}

/** What {@linkcode EventSourced.history} takes. */
export interface HistoryOptions {
  /** The first version to read. @default 1 */
  readonly from?: number | undefined;
  /** Gives up reading. */
  readonly signal?: AbortSignal | undefined;
}

/** Things of one kind whose state is what has happened to them. */
export interface EventSourced<
  State,
  Command,
  T extends EventTypes = EventTypes,
  F extends Fault = Fault,
> {
  /** What their streams begin with. */
  readonly name: string;
  /** The types of their events, for {@linkcode startProjection}. */
  readonly events: T;
  /**
   * Reads what has happened to one of them, decides, and appends what happens, expecting that nothing else did
   * meanwhile; else it reads and decides again. An append whose answer was lost is settled by repeating it.
   *
   * Never rejects. Fails with what `decide` fails with; `CONFLICT` when others were faster each time or the message
   * has caused another command; `SERIALIZATION` for an event that cannot be read; `VALIDATION` for events that do not
   * fit their schema; `OVERLOADED`, `UNAVAILABLE` when provably nothing happened; `TRANSPORT`, `CANCELLED` when it may
   * have.
   *
   * @param entity which of them: with the name and a `/` at most 256 characters
   */
  execute(
    entity: string,
    command: Command,
    options?: ExecuteOptions,
  ): Promise<Result<Executed<State, EventOf<T>>, F | SystemFault>>;
  /** The state of one of them. Rejects with a `CatgaError`: `SERIALIZATION`, or what the store rejects with. */
  load(entity: string, options?: LoadOptions): Promise<Loaded<State>>;
  /** What has happened to one of them, in order. Throws what {@linkcode EventSourced.load} rejects with. */
  history(entity: string, options?: HistoryOptions): AsyncGenerator<Recorded<EventOf<T>>, void, undefined>;
}

/**
 * Keeps things as the events that happened to them.
 *
 * @param name the kind: what their streams begin with, 1 to 100 of letters, digits and `_ . : -`
 *
 * @example
 * ```ts
 * import { fail, type } from "@catga/catga";
 * import { decider, type EventOf, eventSourced } from "@catga/catga/durable";
 * import { memoryEventStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const events = { "account.paid_in": type<{ amount: number }>(), "account.paid_out": type<{ amount: number }>() };
 * const account = decider({
 *   initial: 0,
 *   decide: (command: { pay: number }, balance) => {
 *     if (balance + command.pay < 0) return fail("SHORT", { balance });
 *     const amount = Math.abs(command.pay);
 *     return { type: command.pay < 0 ? "account.paid_out" : "account.paid_in", data: { amount } };
 *   },
 *   evolve: (balance, { type, data }: EventOf<typeof events>) =>
 *     type === "account.paid_in" ? balance + data.amount : balance - data.amount,
 * });
 * const runtime = systemRuntime();
 * const accounts = eventSourced("account", {
 *   decider: account,
 *   events,
 *   store: memoryEventStore(runtime),
 *   runtime,
 * });
 * await accounts.execute("ann", { pay: 5 });
 * const result = await accounts.execute("ann", { pay: -9 });
 * if (!result.ok && result.error.code === "SHORT") console.log(result.error.data.balance);
 * console.log((await accounts.load("ann")).state);
 * ```
 */
export function eventSourced<State, Command, T extends EventTypes, F extends Fault = never>(
  name: string,
  options: EventSourcedOptions<State, Command, T, F>,
): EventSourced<State, Command, T, F> {
  return new Sourced(name, options);
}
