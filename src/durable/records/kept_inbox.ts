import type { Store } from "../../ports/store.ts";
import { refuseUnkept } from "../refuse_unkept.ts";
import { type Inbox, inbox, type InboxOptions } from "./inbox.ts";

/** What {@linkcode keptInbox} takes. */
export interface KeptInboxOptions extends InboxOptions {
  /** Takes a store of which nothing survives; deliveries may then be handled twice. @default false */
  readonly unsafe?: boolean | undefined;
}

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
export function keptInbox(store: Store, options: KeptInboxOptions): Inbox {
  refuseUnkept("make an inbox", "what is done with", { store, unsafe: options.unsafe });
  return inbox(store, options);
}
