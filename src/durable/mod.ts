/**
 * What outlasts a process: leases over any store.
 *
 * @example
 * ```ts
 * import { acquireLease } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const store = memoryStore({ clock: runtime.clock });
 * const lease = await acquireLease("leases/mail", { store, runtime, owner: "node-1", ttl: 3000 });
 * lease.signal.addEventListener("abort", () => console.log("stop:", lease.signal.reason.message));
 * await lease.release();
 * ```
 *
 * @module
 */
export { acquireLease, type Lease, type LeaseOptions } from "./lease.ts";
export { type LeaseHolder, leaseHolder } from "./lease_record.ts";
