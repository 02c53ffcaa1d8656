import type { Clock } from "../ports/runtime.ts";
import { correction, type Item, type Stand } from "./comparison.ts";
import type { Membership } from "./membership.ts";
import { decodeRecord, decodeVitals, encodeVitals, isCount, isNodeName, type Vitals } from "./record.ts";

/** What one node tells another with a heartbeat, or in answer to one. */
export interface Beat {
  readonly vitals: Vitals;
  /** What its view comes to; left out where it does not ask for the differences. */
  readonly digest: number | undefined;
  readonly news: readonly Item[];
  /** Names of nodes it wants to be told of. */
  readonly wanted: readonly string[];
  /** Its view in short, where the digests differed. */
  readonly summary?: readonly Stand[] | undefined;
}

/** How many items of each kind are taken from one frame. */
const ITEMS = 1100;

/** A beat as the items of a frame. */
export function encodeBeat(
  beat: Omit<Beat, "summary"> & { readonly summary?: readonly Item[] },
): readonly unknown[] {
  const { vitals, digest, news, wanted, summary } = beat;
  const items = [encodeVitals(vitals), digest ?? -1, news, wanted];
  return summary === undefined ? items : [...items, summary];
}

/** The items of a frame as a beat; `undefined` if they are none. */
export function decodeBeat(items: readonly unknown[]): Beat | undefined {
  const [first, digest, news, wanted, summary] = items;
  const vitals = decodeVitals(first);
  if (vitals === undefined || !Array.isArray(news) || !Array.isArray(wanted)) return undefined;
  return {
    vitals,
    digest: isCount(digest) ? digest : undefined,
    news: news.slice(0, ITEMS).filter(Array.isArray),
    wanted: wanted.slice(0, ITEMS).filter(isNodeName),
    summary: Array.isArray(summary) ? summary.slice(0, ITEMS).flatMap(shortOf) : undefined,
  };
}

/** Takes a beat to heart; answers with items that set the other side right. */
export function heed(
  membership: Membership,
  { vitals, news }: Beat,
  clock: Clock,
): readonly Item[] {
  const wall = clock.wall();
  const now = clock.mono();
  membership.told.damping.now = now;
  const corrections = [...correction(membership, vitals)];
  for (const item of news) {
    const [kind, ...rest] = item;
    if (kind === "node") {
      const record = decodeRecord(rest);
      if (record === undefined) continue;
      membership.hear(record, wall);
      corrections.push(...correction(membership, record));
      continue;
    }
    const [id, incarnation, more] = rest;
    if (!isNodeName(id) || !isCount(incarnation)) continue;
    if (kind === "gone") membership.bury(id, incarnation, more === true);
    else if (kind === "suspect" && isCount(more)) membership.suspect(id, incarnation, more, now);
    else if (kind === "alive" && isCount(more)) membership.alive(id, incarnation, more, wall);
  }
  membership.heartbeat(vitals, wall);
  return corrections;
}

function shortOf(item: unknown): readonly Stand[] {
  if (!Array.isArray(item)) return [];
  const [id, incarnation, revision] = item as readonly unknown[];
  if (!isNodeName(id) || !isCount(incarnation) || !isCount(revision)) return [];
  return [{ id, incarnation, revision }];
}
