// Where the nodes keep their orders: one file for all of them.
import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** The file's path: STORAGE, else .catga/orders.db, seen from a folder. What it is to be in is there afterwards. */
export function storageFile({ STORAGE }, folder) {
  const path = resolve(folder, STORAGE || ".catga/orders.db");
  mkdirSync(dirname(path), { recursive: true });
  return path;
}
