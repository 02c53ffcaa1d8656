import type { Failure, FailureOf, Fault, Result, Success } from "../result.ts";
import type { Contract, ParsedOf } from "../message/contract.ts";
import type { Answerable, FaultOf, OutputOf, Publishable, Streamable } from "../message/message.ts";
import type { Router } from "../message/route.ts";

/** What bounds and accompanies one call. */
export interface SendOptions {
  /**
   * Names the message, with 1 to 128 characters; made where it is left out. A reliable event that is published again
   * under one id, because nobody knows whether it was kept, is kept once.
   */
  readonly id?: string | undefined;
  /** Gives the call up; the caller gets `CANCELLED`, the handler sees its own signal abort. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The longest the call may take, in ms; then the caller gets `TIMEOUT` and the handler sees its signal abort.
   * 0, less and `NaN` leave no time: no handler is started.
   */
  readonly timeout?: number | undefined;
  /** Travels with the message and everything sent because of it; of two with one name the later holds. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Picks the node, in the place of the contract's router and the node's own. Means nothing outside a cluster. */
  readonly route?: Router | undefined;
}

/** What bounds a batch. `signal` ends all of it; `timeout` is for each call, from when that is started. */
export interface BatchOptions extends Omit<SendOptions, "id"> {
  /** How many calls may be under way at once, 1 or more. @default 1024 */
  readonly concurrency?: number | undefined;
}

/** The results of a batch, in the order of its messages. */
export type Results<M extends readonly Answerable[]> = {
  -readonly [I in keyof M]: Result<OutputOf<M[I]>, FaultOf<M[I]>>;
};

/** The verbs. They are the same in a process, in a cluster and inside a handler. */
export interface Dispatcher {
  /** Asks the one handler of a command or query. Never rejects. */
  send<M extends Answerable>(
    message: M,
    options?: SendOptions,
  ): Promise<Result<OutputOf<M>, FaultOf<M>>>;
  /**
   * Sends many, at most `concurrency` at once; each gets a result of its own, in order. Never rejects; throws a
   * `RangeError` for a concurrency below 1.
   */
  sendAll<const M extends readonly Answerable[]>(messages: M, options?: BatchOptions): Promise<Results<M>>;
  /**
   * Tells every handler of an event, all at once; one that fails stops no other. Settles when the handlers of this
   * process have, or a limit ends the wait. Of an `event` it is a success then, whatever its handlers did (failures
   * are logged); of a `reliableEvent` a failure: `INTERNAL` with `data.failures` when handlers failed, `TIMEOUT` or
   * `CANCELLED` at a limit. Never rejects, so it need not be awaited.
   */
  publish(event: Publishable, options?: SendOptions): Promise<Result<void>>;
  /** Publishes many, at most `concurrency` at once. Never rejects; throws a `RangeError` for a concurrency below 1. */
  publishAll(events: readonly Publishable[], options?: BatchOptions): Promise<Result<void>[]>;
  /**
   * Asks for many answers, to be read once. The handler starts when the first one is asked for; leaving the loop ends
   * it. Iterating throws a `CatgaError` where a call would have answered a failure.
   */
  stream<M extends Streamable>(message: M, options?: SendOptions): AsyncIterable<OutputOf<M>>;
}

/** What a handler knows of its message. What it sends carries correlation, deadline and cancellation on. */
export interface Context extends Dispatcher {
  /** What kind of message it is. */
  readonly contract: Contract;
  /** What it carries, as the handler was given it. */
  readonly body: unknown;
  /** Names this message; the same on both sides of a remote call and for each try of it. */
  readonly id: string;
  /** The id of the message that everything began with. */
  readonly correlationId: string;
  /** The id of the message that this one was sent because of. */
  readonly causationId: string | undefined;
  /** Aborts with a `CatgaError` when the caller gave up, left the stream or the deadline passed. */
  readonly signal: AbortSignal;
  /** When the caller stops waiting, by the runtime's `clock.mono()`, in ms; `Infinity` when it does not. */
  readonly deadline: number;
  /** The shard it belongs to, which this node owns; `undefined` without a cluster, or where its contract has none. */
  readonly shard: OwnedShard | undefined;
  /** How a reliable event came from a queue; `undefined` for everything else. */
  readonly delivery: DeliveryFacts | undefined;
  /** What its sender said beside the body. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A shard that this node owns just now. */
export interface OwnedShard {
  /** The group it belongs to. */
  readonly group: string;
  /** Its number in the group, from 0. */
  readonly index: number;
  /**
   * The fencing token: larger than that of every earlier owner, to be checked by whatever is written to; `undefined`
   * where ownership is soft, as on a backend without a store.
   */
  readonly token: number | undefined;
}

/** How a reliable event came to a handler. */
export interface DeliveryFacts {
  /** Which of those who hear the event this handler is; with the message's id it names the delivery. */
  readonly group: string;
  /** How often it was handed to the group, with this time. */
  readonly attempt: number;
}

/** A value or a promise of one. */
export type Awaitable<T> = T | Promise<T>;

/** The function that serves a contract: it returns a value, or a result where it wants to fail. */
export type HandlerFor<C extends Contract> = C extends Contract<"stream">
  ? (body: ParsedOf<C>, context: Context) => AsyncIterable<OutputOf<C>>
  : C extends Contract<"event" | "reliable"> ? (body: ParsedOf<C>, context: Context) => Awaitable<void>
  : (
    body: ParsedOf<C>,
    context: Context,
  ) => Awaitable<OutputOf<C> | Success<OutputOf<C>> | FailureOf<FaultOf<C>> | Failure<FaultOf<C>>>;

/** One step of a pipeline: everything from here to the handler and back. Those given to a behavior never reject. */
export type Step = (context: Context) => Promise<Result<unknown, Fault>>;
