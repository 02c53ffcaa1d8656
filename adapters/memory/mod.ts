/**
 * A cluster within one process: nodes that share a hub instead of a network. For tests, for examples and for
 * applications that start small; changing the backend later is one line.
 *
 * @example
 * ```ts
 * import { memory } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const backend = memory();
 * const runtime = systemRuntime();
 * const a = backend.open({ self: { id: "a", endpoint: "memory:a" }, runtime });
 * const b = backend.open({ self: { id: "b", endpoint: "memory:b" }, runtime });
 * await b.transport.serve({ id: "b", endpoint: "memory:b" }, async (frame, reply) => {
 *   await reply(`${frame}, too`);
 * });
 * await a.transport.exchange({ id: "b", endpoint: "memory:b" }, "hello", (frame) => console.log(frame));
 * ```
 *
 * @module
 */
export { memoryEventStore, type MemoryEventStoreOptions } from "./event_store.ts";
export { memory } from "./memory.ts";
export { memoryQueue, type MemoryQueueOptions } from "./queue.ts";
export { memoryStorage } from "./storage.ts";
export { memoryStore, type MemoryStoreOptions } from "./store.ts";
