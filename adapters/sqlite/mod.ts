/**
 * Keeps entries, queues and events in one SQLite file, by the SQLite that the runtime brings along: nothing to install,
 * no server, and several processes of one machine on one file. What was answered survives `kill -9`, and by default the
 * loss of power.
 *
 * @example
 * ```ts
 * import { mkdtemp, rm } from "node:fs/promises";
 * import { tmpdir } from "node:os";
 * import { http } from "@catga/catga/http";
 * import { withStorage } from "@catga/catga/ports";
 * import { sqlite } from "@catga/catga/sqlite";
 *
 * const folder = await mkdtemp(`${tmpdir()}/orders-`);
 * const storage = await sqlite(`${folder}/orders.db`);
 * const backend = withStorage(http({ peers: ["http://127.0.0.1:5001"] }), storage);
 * console.log(backend.name, storage.durability);
 *
 * await storage.queue.subscribe("orders", "billing");
 * await storage.queue.push("orders", [{ id: "1", payload: "two apples" }]);
 * for (const delivery of await storage.queue.pull("orders", "billing", { max: 10, lease: 30_000 })) {
 *   console.log(delivery.payload);
 *   await delivery.ack();
 * }
 *
 * await storage[Symbol.asyncDispose]();
 * await rm(folder, { recursive: true });
 * ```
 *
 * @module
 */
export { sqlite, type SqliteOptions, type SqliteStorage } from "./sqlite.ts";
