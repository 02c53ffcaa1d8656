import { CatgaError, systemFault } from "../../src/result.ts";
import type { Entry } from "../../src/ports/store.ts";
import { ChangeFeed } from "../../src/internal/change_feed.ts";
import type { SqlStatement } from "./driver.ts";
import { isBusy } from "./faults.ts";
import type { Ledger } from "./ledger.ts";
import { entryOf, type EntryRow } from "./store.ts";
import type { StoreSweep } from "./store_sweep.ts";
import { fromSql } from "./text.ts";

/** How many changes are read at once. */
const SOME = 256;
/** The shortest and the longest time to the next look for entries whose time is over, in ms. */
const SOON = 1;
const LATE = 3_600_000;
/** How long to wait before they are taken away again, in ms, where that went wrong. */
const PAUSE = 1000;

/** Reads what has changed and hands it to all watches of this process. */
export class StoreFeed {
  readonly #ledger: Ledger;
  readonly #clock: { timer(ms: number, run: () => void): () => void };
  readonly #sweep: StoreSweep;
  readonly #feeds: Map<ChangeFeed<Entry>, string> = new Map();
  readonly #entries: SqlStatement<EntryRow>;
  readonly #gone: SqlStatement<{ readonly revision: number; readonly key: string }>;
  /** The last revision that was handed on. */
  #seen = 0;
  #deaf: (() => void) | undefined;
  #stop: (() => void) | undefined;

  constructor(
    ledger: Ledger,
    clock: { timer(ms: number, run: () => void): () => void },
    sweep: StoreSweep,
  ) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#sweep = sweep;
    this.#entries = ledger.db.prepare(
      `SELECT key, value, revision FROM entry WHERE revision > ? ORDER BY revision LIMIT ${SOME}`,
    );
    this.#gone = ledger.db.prepare(
      `SELECT key, revision FROM gone WHERE revision > ? ORDER BY revision LIMIT ${SOME}`,
    );
  }

  get size(): number {
    return this.#feeds.size;
  }

  /** Begins a watch with what is there. */
  open(prefix: string, entries: () => readonly Entry[]): ChangeFeed<Entry> {
    const feed = new ChangeFeed<Entry>();
    this.#ledger.snapshot(() => {
      if (this.#feeds.size === 0) this.#seen = this.#ledger.state.read().revision;
      else this.#catchUp();
      feed.begin(entries());
    });
    this.#feeds.set(feed, prefix);
    this.#deaf ??= this.#ledger.pulse.listen("store", () => this.#look());
    this.#arm();
    return feed;
  }

  close(feed: ChangeFeed<Entry>): void {
    if (!this.#feeds.delete(feed) || this.#feeds.size > 0) return;
    this.#deaf?.();
    this.#stop?.();
    this.#deaf = this.#stop = undefined;
  }

  breakOff(why: string): void {
    const error = new CatgaError(systemFault("TRANSPORT", `The watch broke off: ${why}`));
    for (const feed of [...this.#feeds.keys()]) {
      feed.fail(error);
      this.close(feed);
    }
  }

  #look(): void {
    try {
      this.#ledger.snapshot(() => this.#catchUp());
      this.#arm();
    } catch (thrown) {
      if (isBusy(thrown)) this.#later(SOON);
      else this.breakOff(thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  #catchUp(): void {
    const { floor, revision } = this.#ledger.state.read();
    if (this.#seen < floor) throw new Error("so much was deleted meanwhile that it is no longer known");
    while (this.#seen < revision) {
      const [entries, gone] = [this.#entries.all(this.#seen), this.#gone.all(this.#seen)];
      // Of what was not read completely only so much is certain.
      const until = Math.min(
        ...[entries, gone].map((rows) => rows.length < SOME ? revision : rows.at(-1)!.revision),
      );
      let at = 0;
      for (const entry of entries) {
        if (entry.revision > until) break;
        while (at < gone.length && gone[at]!.revision < entry.revision) this.#tellGone(gone[at++]!);
        const told = entryOf(entry);
        this.#tell(told.key, (feed) => feed.offer({ type: "put", entry: told }));
      }
      while (at < gone.length && gone[at]!.revision <= until) this.#tellGone(gone[at++]!);
      this.#seen = until;
    }
  }

  #tellGone({ key: name, revision }: { readonly key: string; readonly revision: number }): void {
    const key = fromSql(name);
    this.#tell(key, (feed) => feed.offer({ type: "delete", key, revision }));
  }

  #tell(key: string, tell: (feed: ChangeFeed<Entry>) => void): void {
    for (const [feed, prefix] of this.#feeds) if (key.startsWith(prefix)) tell(feed);
  }

  #later(ms: number): void {
    this.#stop?.();
    this.#stop = this.#clock.timer(ms, () => this.#look());
  }

  /** Looks again when the time of the next entry is over. */
  #arm(): void {
    this.#stop?.();
    this.#stop = undefined;
    const next = this.#sweep.next();
    if (next === undefined) return;
    const ms = Math.min(Math.max(next - this.#ledger.clock.now(), SOON), LATE);
    this.#stop = this.#clock.timer(ms, () => {
      this.#stop = undefined;
      this.#ledger.free("take away what is over", undefined, (tx) => void this.#sweep.run(tx)).then(
        () => this.#feeds.size > 0 ? this.#arm() : undefined,
        () => this.#feeds.size > 0 ? this.#later(PAUSE) : undefined,
      );
    });
  }
}
