import type {
  Appended,
  AppendOptions,
  ChangedOptions,
  EventStore,
  EventStoreOptions,
  ExpectedVersion,
  NewEvent,
  ReadAllOptions,
  ReadOptions,
  StoredEvent,
} from "../../src/ports/event_store.ts";
import {
  checkAppend,
  checkChanged,
  checkFind,
  checkRead,
  checkReadAll,
  isExpected,
  versionConflict,
} from "../../src/ports/event_store_faults.ts";
import type { Clock } from "../../src/ports/runtime.ts";
import { storeCancelled } from "../../src/ports/store_faults.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import type { SqlStatement } from "./driver.ts";
import { eventOf, type EventRow, readPages, selectEvents } from "./event_rows.ts";
import type { Ledger } from "./ledger.ts";
import { Waiter } from "./pulse.ts";
import { toSql } from "./text.ts";
import type { Transaction } from "./transaction.ts";

/** How many may wait for events at a time, in this process. */
const WAITS = 10_000;
interface StreamRow {
  readonly id: number;
  readonly version: number;
}
type Place = Pick<EventRow, "version" | "position">;

/** The event store of a file. */
export class SqliteEventStore implements EventStore {
  readonly #ledger: Ledger;
  readonly #clock: Pick<Clock, "mono" | "timer">;
  readonly #stream: SqlStatement<StreamRow>;
  readonly #begin: SqlStatement<unknown>;
  readonly #grow: SqlStatement<unknown>;
  readonly #insert: SqlStatement<unknown>;
  readonly #place: SqlStatement<Place>;
  readonly #idAt: SqlStatement<{ readonly id: string } & Place>;
  readonly #find: SqlStatement<EventRow>;
  readonly #forward: SqlStatement<EventRow>;
  readonly #backward: SqlStatement<EventRow>;
  readonly #all: SqlStatement<EventRow>;
  #waiting = 0;

  constructor(ledger: Ledger, clock: Pick<Clock, "mono" | "timer">) {
    const { db } = ledger;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#stream = db.prepare("SELECT id, version FROM stream WHERE name = ?");
    this.#begin = db.prepare("INSERT INTO stream (name, version) VALUES (?, ?)");
    this.#grow = db.prepare("UPDATE stream SET version = ? WHERE id = ?");
    this.#insert = db.prepare(
      "INSERT INTO event (position, stream, version, id, type, data, meta, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#place = db.prepare("SELECT version, position FROM event WHERE stream = ? AND id = ?");
    this.#idAt = db.prepare("SELECT id, version, position FROM event WHERE stream = ? AND version = ?");
    this.#find = selectEvents(db, "s.name = ? AND e.id = ?");
    this.#forward = selectEvents(db, "s.name = ? AND e.version >= ? ORDER BY e.version LIMIT ?");
    this.#backward = selectEvents(db, "s.name = ? AND e.version <= ? ORDER BY e.version DESC LIMIT ?");
    this.#all = selectEvents(db, "e.position > ? ORDER BY e.position LIMIT ?");
  }

  async append(
    stream: string,
    events: readonly NewEvent[],
    { expected = "any", signal }: AppendOptions = {},
  ): Promise<Appended> {
    checkAppend(stream, events, expected);
    const own = [...events];
    let size = 0;
    for (const { data, meta } of own) size += data.length + (meta?.length ?? 0);
    return await this.#ledger.write(
      `append to "${stream}"`,
      signal,
      (tx) => this.#append(tx, stream, own, expected),
      size,
    );
  }

  async read(stream: string, options: ReadOptions = {}): Promise<readonly StoredEvent[]> {
    const { limit = 1000, backward = false, signal } = options;
    checkRead(stream, options.from, limit);
    const name = toSql(stream);
    const from = options.from ?? (backward ? Number.MAX_SAFE_INTEGER : 1);
    return await this.#ledger.read(`read "${stream}"`, signal, () =>
      readPages(
        limit,
        (last, most) =>
          backward
            ? this.#backward.all(name, last === undefined ? from : last.version - 1, most)
            : this.#forward.all(name, last === undefined ? from : last.version + 1, most),
      ));
  }

  async find(
    stream: string,
    id: string,
    { signal }: EventStoreOptions = {},
  ): Promise<StoredEvent | undefined> {
    checkFind(stream, id);
    return await this.#ledger.read(`find "${id}" in "${stream}"`, signal, () => {
      const row = this.#find.get(toSql(stream), toSql(id));
      return row === undefined ? undefined : eventOf(row);
    });
  }

  async readAll({ after = 0, limit = 1000, signal }: ReadAllOptions = {}): Promise<readonly StoredEvent[]> {
    checkReadAll(after, limit);
    return await this.#ledger.read(
      "read all events",
      signal,
      () => readPages(limit, (last, most) => this.#all.all(last?.position ?? after, most)),
    );
  }

  async head({ signal }: EventStoreOptions = {}): Promise<number> {
    return await this.#ledger.read(
      "look for the last event",
      signal,
      () => this.#ledger.state.read().position,
    );
  }

  async changed(after: number, { wait, signal }: ChangedOptions): Promise<void> {
    checkChanged(after, wait);
    const until = this.#clock.mono() + wait;
    if (await this.head({ signal }) > after || wait === 0) return;
    if (this.#waiting >= WAITS) {
      const message = `Cannot wait for events: ${WAITS} wait already, as many as may`;
      throw new CatgaError(systemFault("OVERLOADED", message));
    }
    const waiter = new Waiter(this.#ledger.pulse, "events", this.#clock);
    this.#waiting++;
    try {
      for (;;) {
        const left = until - this.#clock.mono();
        if (left <= 0 || await this.head({ signal }) > after) return;
        await waiter.wait(left, signal);
        if (signal?.aborted) throw storeCancelled("wait for events");
      }
    } finally {
      this.#waiting--;
      waiter.close();
    }
  }

  #append(tx: Transaction, name: string, events: readonly NewEvent[], expected: ExpectedVersion): Appended {
    const conflict = (found: number): Error => versionConflict(`append to "${name}"`, expected, found);
    const stream = this.#stream.get(toSql(name));
    const found = stream?.version ?? 0;
    if (stream !== undefined && events.length > 0) {
      const again = this.#again(stream, events);
      if (again === "conflict") throw conflict(found);
      if (again !== undefined) return again;
    }
    if (!isExpected(expected, found)) throw conflict(found);
    if (events.length === 0) {
      return {
        version: found,
        position: stream === undefined ? 0 : this.#idAt.get(stream.id, found)!.position,
      };
    }
    return this.#add(tx, stream, name, events);
  }

  /** Where the events are if they are there already; `conflict` if only some of them are, or elsewhere. */
  #again(stream: StreamRow, events: readonly NewEvent[]): Appended | "conflict" | undefined {
    const first = this.#place.get(stream.id, toSql(events[0]!.id));
    if (first === undefined) {
      const some = events.some(({ id }) => this.#place.get(stream.id, toSql(id)) !== undefined);
      return some ? "conflict" : undefined;
    }
    let last: Place = first;
    for (const [at, { id }] of events.entries()) {
      const there = this.#idAt.get(stream.id, first.version + at);
      if (there?.id !== toSql(id)) return "conflict";
      last = there;
    }
    return { version: last.version, position: last.position };
  }

  #add(
    { state, now, told }: Transaction,
    stream: StreamRow | undefined,
    name: string,
    events: readonly NewEvent[],
  ): Appended {
    const at = Math.floor(now);
    let version = stream?.version ?? 0;
    const last = version + events.length;
    if (stream !== undefined) this.#grow.run(last, stream.id);
    const id = stream?.id ?? Number(this.#begin.run(toSql(name), last).lastInsertRowid);
    for (const event of events) {
      const { type, data, meta } = event;
      const given = [
        toSql(event.id),
        toSql(type),
        toSql(data),
        meta === undefined ? null : toSql(meta),
      ] as const;
      this.#insert.run(++state.position, id, ++version, ...given, at);
    }
    told.add("events");
    return { version, position: state.position };
  }
}
