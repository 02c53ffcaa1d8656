import { faultOf } from "../../result.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import { isThenable } from "../../internal/thenable.ts";
import type { EventStore } from "../../ports/event_store.ts";
import type { Runtime } from "../../ports/runtime.ts";
import { askStore } from "../ask_store.ts";
import { type EventsOf, SourceReader, type Sources } from "./sources.ts";

/** What {@linkcode subscribeEvents} takes. */
export interface SubscribeEventsOptions<S extends Sources> {
  /** The kinds of streams that matter, with the types of their events. */
  readonly from: S;
  /** Keeps the events. */
  readonly store: EventStore;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** Begins after this position, or with what is appended from now on. @default 0 */
  readonly after?: number | "now" | undefined;
  /** How many events are read at a time. @default 256 */
  readonly batch?: number | undefined;
  /** How long one wait for new events takes at most, in ms. @default 1000 */
  readonly poll?: number | undefined;
  /** How long the store may take longer than that, in ms. @default 5000 */
  readonly patience?: number | undefined;
  /** Ends it; the loop over it ends without a failure. */
  readonly signal?: AbortSignal | undefined;
}

/** How long to wait at most after the store has failed, in ms: twice as long each time, up to the second. */
const DELAY = 50;
const LONGEST = 5000;

/**
 * All events of some kinds of streams in their order: those that are there, then each that is appended. It reads as
 * fast as its reader does, and goes on when the store comes back. Whoever remembers the position of the last event it
 * was done with goes on after that one.
 *
 * Throws a `CatgaError`: `SERIALIZATION` for an event that cannot be read, since it must not be passed over, or what
 * the store refuses for good.
 *
 * @example
 * ```ts
 * import { type } from "@catga/catga";
 * import { subscribeEvents } from "@catga/catga/durable";
 * import { memoryEventStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const store = memoryEventStore(runtime);
 * await store.append("cart/1", [{ id: "1", type: "cart.opened", data: '{"by":"ann"}' }]);
 * const from = { cart: { "cart.opened": type<{ by: string }>() } };
 * for await (const { entity, data, position } of subscribeEvents({ from, store, runtime })) {
 *   console.log(position, entity, data.by);
 *   break;
 * }
 * ```
 */
export async function* subscribeEvents<const S extends Sources>(
  options: SubscribeEventsOptions<S>,
): AsyncGenerator<EventsOf<S>, void, undefined> {
  const { store, runtime, batch: limit = 256, poll: wait = 1000, patience = 5000, signal } = options;
  const { clock, random } = runtime;
  const reader = new SourceReader(options.from);
  let after = options.after === "now" ? undefined : options.after ?? 0;
  const ask = <T>(limit: number, ask: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    askStore({ clock, limit, signal, asked: "event store" }, ask);
  for (let failures = 0; !signal?.aborted;) {
    try {
      after ??= await ask(patience, (signal) => store.head({ signal }));
      const last: number = after;
      const page = await ask(patience, (signal) => store.readAll({ after: last, limit, signal }));
      if (page.length === 0) {
        await ask(wait + patience, (signal) => store.changed(last, { wait, signal }));
      }
      failures = 0;
      for (const stored of page) {
        const event = reader.decode(stored);
        if (event !== undefined) yield isThenable(event) ? await event : event;
        if (signal?.aborted) return;
        after = stored.position;
      }
    } catch (thrown) {
      if (signal?.aborted) return;
      if (!faultOf(thrown).retryable) throw thrown;
      await sleep(clock, backoff(++failures, DELAY, LONGEST, random.u32()), signal);
    }
  }
}
