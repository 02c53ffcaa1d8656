import { CatgaError, systemFault } from "../../src/result.ts";
import type { SqlDatabase } from "./driver.ts";

/** "Catg": tells our files from those of others. */
const APPLICATION = 0x43617467;
/** Grows when the tables change. */
const VERSION = 1;

/**
 * `entry` is in the order of its revisions, so that what changed last is at its end. The `seq` of an item is that of its
 * topic and its number there (see `seqOf`). `refs` counts the groups that still need it; at 0 only its name is kept, and
 * where the name may come again, its `era` is not 0. A group (`taker`) has looked at what is up to its `cursor`; what it
 * has not done with of that is in `delivery`, in the order in which it is looked at: `ord` is the time since when it is
 * due, or at which it will be. One without a name has ended, with all up to `until`.
 */
const TABLES = [
  `CREATE TABLE state (id INTEGER PRIMARY KEY, clock REAL NOT NULL, wall REAL NOT NULL, revision INTEGER NOT NULL,
    floor INTEGER NOT NULL, keys INTEGER NOT NULL, position INTEGER NOT NULL, tick INTEGER NOT NULL,
    open INTEGER NOT NULL, done INTEGER NOT NULL, ended INTEGER NOT NULL)`,
  `CREATE TABLE entry (revision INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value TEXT NOT NULL, expires INTEGER)`,
  `CREATE INDEX entry_expires ON entry (expires) WHERE expires IS NOT NULL`,
  `CREATE TABLE gone (revision INTEGER PRIMARY KEY, key TEXT NOT NULL)`,
  `CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, floor INTEGER NOT NULL)`,
  `CREATE TABLE taker (id INTEGER PRIMARY KEY AUTOINCREMENT, topic INTEGER NOT NULL, name TEXT, idle REAL,
    seen REAL NOT NULL, cursor INTEGER NOT NULL, until INTEGER, UNIQUE (topic, name))`,
  `CREATE TABLE item (seq INTEGER PRIMARY KEY, topic INTEGER NOT NULL, id TEXT NOT NULL, era INTEGER NOT NULL,
    key TEXT, payload, pushed INTEGER NOT NULL, due INTEGER, refs INTEGER NOT NULL, UNIQUE (topic, id, era))`,
  `CREATE TABLE delivery (taker INTEGER NOT NULL, state INTEGER NOT NULL, ord INTEGER NOT NULL, seq INTEGER NOT NULL,
    key TEXT, attempt INTEGER NOT NULL, PRIMARY KEY (taker, state, ord, seq)) WITHOUT ROWID`,
  `CREATE INDEX delivery_key ON delivery (taker, key, seq) WHERE key IS NOT NULL`,
  `CREATE TABLE stream (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL)`,
  `CREATE TABLE event (position INTEGER PRIMARY KEY, stream INTEGER NOT NULL, version INTEGER NOT NULL,
    id TEXT NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL, meta TEXT, at INTEGER NOT NULL,
    UNIQUE (stream, version))`,
  `CREATE INDEX event_id ON event (stream, id)`,
  `INSERT INTO state VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)`,
  `PRAGMA application_id = ${APPLICATION}`,
  `PRAGMA user_version = ${VERSION}`,
];

/** How a connection is to keep things. */
export interface ConnectionSettings {
  readonly synchronous: "FULL" | "NORMAL";
  /** How large the file may be. */
  readonly bytes: number;
}

/** How many pages a file of so many bytes has. */
export function pagesOf(db: SqlDatabase, bytes: number): number {
  return Math.ceil(bytes / db.prepare<{ readonly page_size: number }>("PRAGMA page_size").get()!.page_size);
}

/** Makes the tables where there are none. Throws `VALIDATION` for a file that is not one of ours, or is too new. */
export function prepareFile(db: SqlDatabase, path: string, settings: ConnectionSettings): void {
  const run = (sql: string): unknown => db.prepare<Record<string, unknown>>(sql).get();
  const pragma = (name: string): unknown => Object.values(run(`PRAGMA ${name}`) ?? {})[0];
  run("PRAGMA busy_timeout = 0");
  refuseStrangers(path, pragma, () => run("SELECT 1 FROM sqlite_master LIMIT 1") === undefined);
  if (pragma("journal_mode = WAL") !== "wal") {
    refuse(path, "SQLite cannot use a write-ahead log there; use a file on a disk of this machine");
  }
  for (const full of ["fullfsync", "checkpoint_fullfsync"]) {
    run(`PRAGMA ${full} = ${settings.synchronous === "FULL" ? 1 : 0}`);
  }
  run(`PRAGMA synchronous = ${settings.synchronous}`);
  run("PRAGMA cache_size = -16384");
  run(`PRAGMA journal_size_limit = ${64 * 2 ** 20}`);
  run(`PRAGMA max_page_count = ${pagesOf(db, settings.bytes)}`);
  run("BEGIN IMMEDIATE");
  try {
    refuseStrangers(path, pragma, () => run("SELECT 1 FROM sqlite_master LIMIT 1") === undefined);
    if (pragma("application_id") === 0) { for (const sql of TABLES) run(sql); }
    run("COMMIT");
  } catch (thrown) {
    run("ROLLBACK");
    throw thrown;
  }
}

function refuseStrangers(path: string, pragma: (name: string) => unknown, isEmpty: () => boolean): void {
  // In this order, as another process may make the tables in between.
  const wasEmpty = isEmpty();
  const application = pragma("application_id");
  if (application !== APPLICATION && (application !== 0 || !wasEmpty)) {
    refuse(path, "it is the SQLite file of another program; give another path");
  }
  const version = Number(pragma("user_version"));
  if (application === APPLICATION && version > VERSION) {
    refuse(
      path,
      `its tables are of version ${version}, and this library knows them up to ${VERSION}; use a newer one`,
    );
  }
}

function refuse(path: string, why: string): never {
  throw new CatgaError(systemFault("VALIDATION", `Cannot keep things in "${path}": ${why}`));
}
