import type { StoredEvent } from "../../src/ports/event_store.ts";
import type { SqlDatabase, SqlStatement } from "./driver.ts";
import { fromSql } from "./text.ts";

/** How many events are read at once, and how many characters are handed out by one read. */
const SOME = 16;
const SIZE = 4 * 2 ** 20;

/** An event as it is kept. */
export interface EventRow {
  readonly stream: string;
  readonly version: number;
  readonly position: number;
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly meta: string | null;
  readonly at: number;
}

/** Reads events with their streams. */
export function selectEvents(db: SqlDatabase, where: string): SqlStatement<EventRow> {
  return db.prepare<EventRow>(
    `SELECT s.name AS stream, e.version AS version, e.position AS position, e.id AS id, e.type AS type, e.data AS data,
      e.meta AS meta, e.at AS at FROM event AS e JOIN stream AS s ON s.id = e.stream WHERE ${where}`,
  );
}

/** Reads on until there are enough events, or enough characters. */
export function readPages(
  limit: number,
  read: (last: EventRow | undefined, most: number) => EventRow[],
): StoredEvent[] {
  const events: StoredEvent[] = [];
  let size = 0;
  let last: EventRow | undefined;
  while (events.length < limit && size < SIZE) {
    const most = Math.min(SOME, limit - events.length);
    const rows = read(last, most);
    for (const row of rows) {
      size += row.data.length + (row.meta?.length ?? 0);
      events.push(eventOf(row));
    }
    if (rows.length < most) break;
    last = rows.at(-1);
  }
  return events;
}

/** What a row is to a reader. */
export function eventOf({ stream, version, position, id, type, data, meta, at }: EventRow): StoredEvent {
  const event = { stream: fromSql(stream), version, position, id: fromSql(id), type: fromSql(type), at };
  return meta === null
    ? { ...event, data: fromSql(data) }
    : { ...event, data: fromSql(data), meta: fromSql(meta) };
}
