/** Files for tests, and storages on them. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqlite, type SqliteOptions, type SqliteStorage } from "@catga/catga/sqlite";

/** A directory of its own, and what was opened in it; disposing it closes and deletes all. */
export interface Folder {
  path(name?: string): string;
  open(options?: SqliteOptions, name?: string): Promise<SqliteStorage>;
  remove(): Promise<void>;
}

export function folder(): Folder {
  const root = mkdtempSync(join(tmpdir(), "catga-sqlite-"));
  const opened: SqliteStorage[] = [];
  const path = (name = "storage.db"): string => join(root, name);
  return {
    path,
    open: async (options, name) => {
      const storage = await sqlite(path(name), options);
      opened.push(storage);
      return storage;
    },
    remove: async () => {
      for (const storage of opened) await storage[Symbol.asyncDispose]();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
