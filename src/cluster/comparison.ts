import { hash32 } from "../internal/hash.ts";
import type { Membership } from "./membership.ts";
import { encodeRecord, type Vitals } from "./record.ts";

/** Which state of a node a view holds. */
export type Stand = Pick<Vitals, "id" | "incarnation" | "revision">;

/** An item of a heartbeat. */
export type Item = readonly unknown[];

/** What two views differ in, from one side. */
export interface Difference {
  /** Items that the other side lacks. */
  readonly news: readonly Item[];
  /** Names of nodes that this side lacks. */
  readonly wanted: readonly string[];
}

/** A number that is the same for the same states, in whatever order. */
export function digestOf(states: readonly Stand[]): number {
  let sum = 0;
  for (const { id, incarnation, revision } of states) {
    sum = (sum + hash32(`${id} ${incarnation} ${revision}`)) >>> 0;
  }
  return sum;
}

/** A view in short. */
export function summaryOf(mine: Membership): readonly Item[] {
  return [mine.self, ...mine.records()].map(({ id, incarnation, revision }) => [id, incarnation, revision]);
}

/** What this side has and the other lacks, and the reverse, at most so many of each. */
export function compare(mine: Membership, summary: readonly Stand[], most: number): Difference {
  const news: Item[] = [];
  const wanted: string[] = [];
  const there = new Set<string>();
  for (const { id, incarnation, revision } of summary) {
    there.add(id);
    const record = id === mine.self.id ? mine.self : mine.find(id);
    if (record === undefined && mine.graves.over(id) >= incarnation) news.push(mine.graves.epitaph(id)!);
    else if (record === undefined || isBefore(record, incarnation, revision)) wanted.push(id);
    else if (record.incarnation !== incarnation || record.revision !== revision) {
      news.push(["node", ...encodeRecord(record)]);
    }
  }
  for (const record of [mine.self, ...mine.records()]) {
    if (!there.has(record.id)) news.push(["node", ...encodeRecord(record)]);
  }
  return { news: news.slice(0, most), wanted: wanted.slice(0, most) };
}

/** What is known of some nodes, as items to send. */
export function tell(mine: Membership, ids: readonly string[]): readonly Item[] {
  return ids.flatMap((id) => {
    const record = id === mine.self.id ? mine.self : mine.find(id);
    const item = record === undefined ? mine.graves.epitaph(id) : ["node", ...encodeRecord(record)];
    return item === undefined ? [] : [item];
  });
}

/** What to answer a node with whose life is over and who does not know; nothing for others. */
export function correction(mine: Membership, { id, incarnation }: Stand): readonly Item[] {
  return mine.graves.over(id) >= incarnation ? [mine.graves.epitaph(id)!] : [];
}

/** Whether this state of a node is an earlier one than that. */
export function isBefore(mine: Stand, incarnation: number, revision: number): boolean {
  return mine.incarnation < incarnation || (mine.incarnation === incarnation && mine.revision < revision);
}
