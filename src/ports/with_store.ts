import type { Backend, BackendHost } from "./backend.ts";
import type { Store } from "./store.ts";

/**
 * A backend with a store from elsewhere: frames go the one way, and what nodes keep together is kept in the other.
 *
 * @param open makes the store for one node, or answers one that all share
 *
 * @example
 * ```ts
 * import { http } from "@catga/catga/http";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime, withStore } from "@catga/catga/ports";
 *
 * // For tests of one process: a real cluster needs a store that all its processes share.
 * const store = memoryStore({ clock: systemRuntime().clock });
 * const backend = withStore(http({ peers: ["http://127.0.0.1:5001"] }), () => store);
 * console.log(backend.name);
 * ```
 */
export function withStore<B extends Backend>(backend: B, open: (host: BackendHost) => Store): B {
  return { ...backend, open: (host) => ({ ...backend.open(host), store: open(host) }) };
}
