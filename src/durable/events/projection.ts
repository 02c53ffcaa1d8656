import type { Fault } from "../../result.ts";
import type { EventStore } from "../../ports/event_store.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import { refuseUnkept } from "../refuse_unkept.ts";
import { EffectTarget } from "./effect_target.ts";
import { ProjectionRunner } from "./projection_runner.ts";
import { type EventsOf, SourceReader, type Sources } from "./sources.ts";

/** What every projection stands on. */
export interface ProjectionOptions<S extends Sources> {
  /** The kinds of streams that matter, with the types of their events. One that cannot be read stops it. */
  readonly from: S;
  /** Keeps the events. */
  readonly events: EventStore;
  /** Keeps how far it has come, and its lease. */
  readonly store: Store;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** Who runs it: a name for people, such as that of a node. All nodes may start it; one at a time runs it. */
  readonly owner: string;
  /** How many events are read at a time. @default 256 */
  readonly batch?: number | undefined;
  /** How long one wait for new events takes at most, in ms. @default 1000 */
  readonly poll?: number | undefined;
  /** How long the lease of whoever runs it lasts after it was last heard of, in ms. @default 5000 */
  readonly ttl?: number | undefined;
  /** How long one request to a store may take, in ms. @default 5000 */
  readonly patience?: number | undefined;
}

/** What accompanies an event that is handled. */
export interface HandlingFacts {
  /** How often the projection was begun anew. */
  readonly generation: number;
  /** The fencing token of whoever runs it: larger than that of every earlier one. */
  readonly token: number;
  /** Aborts when the time is over or the lease is lost. */
  readonly signal: AbortSignal;
}

/** What {@linkcode startProjection} takes. */
export interface EffectProjectionOptions<S extends Sources> extends ProjectionOptions<S> {
  /**
   * Does something because of an event. It is called at least once for each, in order, and again after a crash, so it
   * should do nothing for a `position` it has already seen. When it fails it is called again, and no later event is
   * handled until it succeeds.
   */
  readonly handle: (event: EventsOf<S>, facts: HandlingFacts) => void | Promise<void>;
  /** How long handling one event may take, in ms. @default 30000 */
  readonly timeout?: number | undefined;
  /** Takes a store of which nothing survives; all events may then be handled again. @default false */
  readonly unsafe?: boolean | undefined;
}

/** How a projection fares in this process. */
export interface ProjectionStatus {
  /** Whether it is run here, waits because it may be run elsewhere, has failed at an event, or is over. */
  readonly state: "running" | "waiting" | "failed" | "over";
  /** The position of the last event that this process knows it to be done with. */
  readonly position: number;
  /** What it failed with, as long as it has not got past it. It goes on trying, here or elsewhere. */
  readonly fault: Fault | undefined;
  /** How often it has failed in a row. */
  readonly failures: number;
}

/** How far a projection is behind, wherever it is run. */
export interface ProjectionLag {
  /** The position of the last event that it is done with. */
  readonly position: number;
  /** The position of the last event there is. */
  readonly head: number;
  /** How long the oldest event that it is not done with has been there, in ms; 0 where there is none. */
  readonly age: number;
  /** How often it was begun anew. */
  readonly generation: number;
}

/** What {@linkcode Projection.reached} takes. */
export interface ReachedOptions {
  /** How long to wait, in ms. @default 5000 */
  readonly timeout?: number | undefined;
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** Something that is made of events, and goes on as they come. Disposing it stops it. */
export interface Projection extends AsyncDisposable {
  /** Its name. */
  readonly name: string;
  /** How it fares in this process. */
  status(): ProjectionStatus;
  /** How far behind it is, wherever it is run. Rejects with what the stores reject with. */
  lag(): Promise<ProjectionLag>;
  /** Waits until it is done with a position, wherever it is run; whether it was in time. */
  reached(position: number, options?: ReachedOptions): Promise<boolean>;
  /**
   * Begins anew: all events are read again. Settles when that is kept, not when it is done. Rejects with what the
   * store rejects with; whoever cannot know may ask again.
   */
  rebuild(): Promise<void>;
  /** Finishes the event it is at, keeps how far it has come and lets another process go on. Never rejects. */
  stop(): Promise<void>;
}

/**
 * Does something because of events, at least once for each, in the order in which they were appended. It remembers how
 * far it has come, one process at a time runs it, and an event that cannot be read or handled stops it, with an
 * `error` in the log, until it can be: none is ever skipped.
 *
 * Throws a `RangeError` for an option that cannot be, and `CONFLICT` for a store of which nothing survives, unless it
 * is `unsafe`.
 *
 * @param name 1 to 100 of letters, digits and `_ . : -`: the same in all processes that may run it
 *
 * @example
 * ```ts
 * import { type } from "@catga/catga";
 * import { startProjection } from "@catga/catga/durable";
 * import { memoryStorage } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const { store, events } = memoryStorage(runtime.clock);
 * const { position } = await events!.append("cart/1", [{ id: "1", type: "cart.opened", data: '{"by":"ann"}' }]);
 * await using mails = startProjection("mails", {
 *   from: { cart: { "cart.opened": type<{ by: string }>() } },
 *   events: events!,
 *   store: store!,
 *   runtime,
 *   owner: "node-1",
 *   unsafe: true, // what is in memory is gone with the process
 *   handle: ({ id, data }) => console.log(`mail ${id}: ${data.by} opened a cart`),
 * });
 * await mails.reached(position);
 * ```
 */
export function startProjection<const S extends Sources>(
  name: string,
  options: EffectProjectionOptions<S>,
): Projection {
  const { handle, timeout = 30_000, runtime } = options;
  if (!(timeout > 0)) {
    throw new RangeError(`Cannot start "${name}": its timeout is ${timeout}, but must be above 0 ms`);
  }
  refuseUnkept(`start "${name}"`, "how far it has come", options);
  const target = new EffectTarget(handle, timeout, runtime.clock);
  return new ProjectionRunner(name, options, new SourceReader(options.from), target);
}
