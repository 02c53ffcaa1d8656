import { CatgaError, systemFault } from "../../src/result.ts";
import type { Clock, Random } from "../../src/ports/runtime.ts";
import type { Durability, Storage } from "../../src/ports/storage.ts";
import type { EventStore } from "../../src/ports/event_store.ts";
import type { Queue } from "../../src/ports/queue.ts";
import type { Store } from "../../src/ports/store.ts";
import { systemRuntime } from "../../src/ports/system_runtime.ts";
import { backoff } from "../../src/internal/backoff.ts";
import { sleep } from "../../src/internal/sleep.ts";
import { loadDriver, type SqlDatabase } from "./driver.ts";
import { SqliteEventStore } from "./events.ts";
import { isBusy, sqliteFault } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import { type ConnectionSettings, pagesOf, prepareFile } from "./schema.ts";
import { SqliteQueue } from "./queue.ts";
import { SqliteStore } from "./store.ts";

/** What {@linkcode sqlite} takes. */
export interface SqliteOptions {
  /**
   * What survives: the loss of power, each answer waiting for the disk, or only the end of the process, which is faster.
   * @default "power"
   */
  readonly durability?: Exclude<Durability, "none">;
  /**
   * How large the file may become, but for 2 % more while room is made in it; over it `OVERLOADED`.
   * @default 4294967296 (4 GiB)
   */
  readonly bytes?: number;
  /** How many entries the store takes; over it `OVERLOADED`. @default 1000000 */
  readonly keys?: number;
  /** How many items the queue takes, counted once for each group; over it `OVERLOADED`. @default 1000000 */
  readonly items?: number;
  /** How long the name of an item is remembered, in ms. @default 86400000 (a day) */
  readonly window?: number;
  /** How many names of items that are done with are remembered; over it the oldest are forgotten. @default 1000000 */
  readonly names?: number;
  /** How many may watch at a time in this process; over it `OVERLOADED`. @default 4096 */
  readonly watches?: number;
  /** How long to try while other processes write or stand still in a write, in ms; then `UNAVAILABLE`. @default 5000 */
  readonly busy?: number;
  /** Time and chance. @default systemRuntime() */
  readonly runtime?: { readonly clock: Clock; readonly random: Random };
}

/** A file that keeps everything. Disposing it writes what was asked for and lets go of the file; it never rejects. */
export interface SqliteStorage extends Storage, AsyncDisposable {
  /** Entries by compare-and-set, ordered by key as their UTF-8 is. */
  readonly store: Store;
  /** Items for groups, in order by key. */
  readonly queue: Queue;
  /** Events by stream, and all of them in one order. */
  readonly events: EventStore;
}

/**
 * Keeps everything in one SQLite file, which is made if it is not there, with two beside it while it is open
 * (`-wal`, `-shm`). Several processes of one machine may have it open at a time; it has to be on a disk of that machine,
 * as SQLite cannot lock files of a network. What is asked for in one turn of the event loop is one transaction; where
 * others write just then it is tried again, without standing still.
 *
 * A process that is stopped or suspended in the middle of a write keeps the others from writing for as long. Meanwhile
 * they read on, and each of their writes rejects with `UNAVAILABLE` after `busy`, or with `CANCELLED` when its signal
 * aborts before; none of these is written later. Whoever waits less than `busy` without a signal of its own, as durable
 * patterns do, takes it for undecided.
 *
 * Its clock is shared by all processes and never goes back: it goes on by their monotonic clocks, whatever happens to
 * that of the machine. Watches and waits hear at once of what their own process does, and of others within 100 ms.
 *
 * Rejects with a `CatgaError`: `VALIDATION` for the file of another program or of a later version and where there is no
 * SQLite, `UNAVAILABLE` when it cannot be opened, is damaged or is written to by others all the time.
 *
 * @param path where it is
 *
 * @example
 * ```ts
 * import { mkdtemp, rm } from "node:fs/promises";
 * import { tmpdir } from "node:os";
 * import { sqlite } from "@catga/catga/sqlite";
 *
 * const folder = await mkdtemp(`${tmpdir()}/cart-`);
 * const { store, events, ...storage } = await sqlite(`${folder}/cart.db`, { durability: "process" });
 * await store.put("color", "red", { expected: "absent" });
 * await events.append("cart/1", [{ id: "e1", type: "cart.opened", data: "{}" }], { expected: "absent" });
 * console.log(await store.get("color"), await events.read("cart/1"));
 * await storage[Symbol.asyncDispose]();
 * await rm(folder, { recursive: true });
 * ```
 */
export async function sqlite(path: string, options: SqliteOptions = {}): Promise<SqliteStorage> {
  const { durability = "power", bytes = 4 * 2 ** 30, keys = 1_000_000, watches = 4096, busy = 5000 } =
    options;
  const { items = 1_000_000, window = 86_400_000, names = 1_000_000, runtime = systemRuntime() } = options;
  for (const [name, limit] of Object.entries({ bytes, keys, items, window, names, watches, busy })) {
    if (!(limit >= 1 && limit <= Number.MAX_SAFE_INTEGER)) {
      throw new RangeError(`Cannot open "${path}": ${name} is ${limit}, but must be 1 or more`);
    }
  }
  if (path === "" || path.includes(":memory:")) {
    const message = `Cannot keep things in "${path}": that is no file; use memoryStorage() of /memory`;
    throw new CatgaError(systemFault("VALIDATION", message));
  }
  const open = await loadDriver();
  const settings: ConnectionSettings = { synchronous: durability === "power" ? "FULL" : "NORMAL", bytes };
  const until = runtime.clock.mono() + busy;
  for (let failures = 1;; failures++) {
    let db: SqlDatabase | undefined;
    try {
      db = open(path);
      prepareFile(db, path, settings);
      return assemble(db);
    } catch (thrown) {
      db?.close();
      if (!isBusy(thrown) || runtime.clock.mono() > until) {
        throw sqliteFault("open the storage", path, thrown, false);
      }
    }
    await sleep(runtime.clock, 1 + backoff(failures, 1, 50, runtime.random.u32()));
  }

  function assemble(db: SqlDatabase): SqliteStorage {
    const ledger = new Ledger(db, { path, runtime, busy, pages: pagesOf(db, bytes) });
    const store = new SqliteStore(ledger, runtime.clock, { keys, watches }, durability);
    const queue = new SqliteQueue(ledger, runtime.clock, { items, window, names });
    return {
      durability,
      store,
      queue,
      events: new SqliteEventStore(ledger, runtime.clock),
      [Symbol.asyncDispose]: () => {
        store.close();
        return ledger.close();
      },
    };
  }
}
