/** The runtime's own SQLite, with what `sqlite` of the library sets and nothing between. */

type Value = string | number;

/** A statement of the runtime's SQLite. */
export interface RawStatement {
  run(...values: readonly Value[]): unknown;
  all(...values: readonly Value[]): unknown[];
}

/** A file. */
export interface Raw {
  run(sql: string): void;
  prepare(sql: string): RawStatement;
  /** In one transaction. */
  together(work: () => void): void;
}

interface Host {
  exec(sql: string): unknown;
  prepare(sql: string): RawStatement;
}

/** Opens a file whose transactions survive what the library's would. */
export async function openRaw(path: string, durability: "power" | "process"): Promise<Raw> {
  const isBun = "Bun" in globalThis;
  const name = isBun ? "bun:sqlite" : "node:sqlite";
  const module = await import(name) as Record<string, new (path: string) => Host>;
  const db = new (isBun ? module["Database"]! : module["DatabaseSync"]!)(path);
  db.exec("PRAGMA journal_mode = WAL");
  db.exec(`PRAGMA synchronous = ${durability === "power" ? "FULL" : "NORMAL"}`);
  db.exec("PRAGMA cache_size = -16384");
  const [begin, commit] = [db.prepare("BEGIN IMMEDIATE"), db.prepare("COMMIT")];
  return {
    run: (sql) => void db.exec(sql),
    prepare: (sql) => db.prepare(sql),
    together: (work) => {
      begin.run();
      work();
      commit.run();
    },
  };
}
