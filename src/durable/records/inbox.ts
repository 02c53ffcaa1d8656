import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import { askStore } from "../ask_store.ts";
import type { DoneMarks } from "../consumer.ts";
import { refuseUnkept } from "../refuse_unkept.ts";

/** What {@linkcode inbox} takes. */
export interface InboxOptions {
  /** The door to time. */
  readonly runtime: Pick<Runtime, "clock">;
  /**
   * How long a delivery is known again, in ms by the store's clock. Choose no less than the longest time after which a
   * queue may still hand an item out again, all its redeliveries included. @default 86400000 (a day)
   */
  readonly retention?: number | undefined;
  /** The longest one question to the store may take, in ms. @default 3000 */
  readonly patience?: number | undefined;
  /** Takes a store of which nothing survives; deliveries may then be handled twice. @default false */
  readonly unsafe?: boolean | undefined;
}

/**
 * The deliveries that are done with, so that one which comes again is known. A mark is an entry of its own: `done` may
 * be said as often as one likes, and an answer that was lost is settled by saying it again.
 *
 * Both methods reject with what the store rejects with; whoever asks must then neither handle the delivery nor
 * acknowledge it.
 */
export interface Inbox extends DoneMarks {
  /** Whether a group has done with a delivery, not longer than `retention` ago. */
  seen(group: string, id: string): Promise<boolean>;
  /** A group has done with a delivery. To be said after its effects are kept, and before the queue hears `ack`. */
  done(group: string, id: string): Promise<void>;
}

/** A day: how long deliveries and messages are known again where nothing else is said, in ms. */
export const DAY = 86_400_000;
/** How long a store may take, in ms. */
const PATIENCE = 3000;

/**
 * Marks of deliveries that are done with, in a store.
 *
 * Throws a `RangeError` for an option that cannot be, and `CONFLICT` for a store of which nothing survives, unless it
 * is `unsafe`.
 *
 * @example
 * ```ts
 * import { inbox } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const store = memoryStore({ clock: runtime.clock }); // gone with the process
 * const marks = inbox(store, { runtime, unsafe: true });
 * await marks.done("billing/charge", "order-1");
 * console.log(await marks.seen("billing/charge", "order-1"));
 * ```
 */
export function inbox(store: Store, options: InboxOptions): Inbox {
  const { runtime: { clock }, retention = DAY, patience = PATIENCE } = options;
  for (const [name, ms] of Object.entries({ retention, patience })) {
    if (!(ms > 0 && ms < Infinity)) {
      throw new RangeError(`Cannot make an inbox: ${name} is ${ms}, but must be more than 0 ms`);
    }
  }
  refuseUnkept("make an inbox", "what is done with", { store, unsafe: options.unsafe });
  const limits = { clock, limit: patience, signal: undefined };
  return {
    seen: async (group, id) => {
      return await askStore(limits, (signal) => store.get(markOf(group, id), { signal })) !== undefined;
    },
    done: async (group, id) => {
      await askStore(limits, (signal) => store.put(markOf(group, id), "", { ttl: retention, signal }));
    },
  };
}

/** No two deliveries share a key, whatever is in their names. */
function markOf(group: string, id: string): string {
  return `inbox/${group.length}:${group}/${id}`;
}
