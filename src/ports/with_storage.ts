import type { Backend, BackendHost } from "./backend.ts";
import type { Storage } from "./storage.ts";

/**
 * A backend that keeps things elsewhere: frames go the one way, and what is kept is kept in the other.
 *
 * @param storage what keeps things for all nodes, or makes that for one
 *
 * @example
 * ```ts
 * import { http } from "@catga/catga/http";
 * import { memoryStorage } from "@catga/catga/memory";
 * import { withStorage } from "@catga/catga/ports";
 *
 * // For tests of one process: a real cluster needs a storage that all its processes share.
 * const backend = withStorage(http({ peers: ["http://127.0.0.1:5001"] }), memoryStorage());
 * console.log(backend.name);
 * ```
 */
export function withStorage<B extends Backend>(
  backend: B,
  storage: Storage | ((host: BackendHost) => Storage),
): B {
  const open = typeof storage === "function" ? storage : () => storage;
  return { ...backend, open: (host) => ({ ...backend.open(host), ...open(host) }) };
}
