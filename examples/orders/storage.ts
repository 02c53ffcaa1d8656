import { memoryStorage } from "@catga/catga/memory";
import type { Storage } from "@catga/catga/ports";
import { sqlite } from "@catga/catga/sqlite";

/** What keeps the orders and what is told of them. */
export type OrderStorage = Required<Storage> & AsyncDisposable;

/**
 * A file that all nodes of a machine share; without a path, the memory of this node alone. What is in the file outlasts
 * `kill -9`, and a power cut too with `durability: "power"`, for which each write waits for the disk.
 */
export async function openStorage(path: string | undefined): Promise<OrderStorage> {
  if (path !== undefined) return await sqlite(path, { durability: "process" });
  const storage = memoryStorage();
  return { ...storage, [Symbol.asyncDispose]: () => Promise.resolve() };
}
