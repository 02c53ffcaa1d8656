/** A cache of 10,000 entries: reading one that is there, and adding one that makes another go. */
import { LRUCache } from "lru-cache";
import QuickLRU from "quick-lru";
import { Lru } from "../../src/internal/lru.ts";
import type { Candidate, Candidates } from "../harness/candidate.ts";

const ENTRIES = 10_000;
const PER = 1000;
const TTL = 1e9;
const keys = Array.from({ length: 4 * ENTRIES }, (_, at) => `orders.get -{"id":"${at + 10_000}"}`);
const order = Array.from({ length: ENTRIES }, (_, at) => keys[(at * 7919) % ENTRIES]!);

interface Cache {
  get(key: string): unknown;
  set(key: string, value: number): unknown;
}

function getting(cache: Cache): Candidate {
  for (let at = 0; at < ENTRIES; at++) cache.set(keys[at]!, at);
  let at = 0;
  const run = (): number => {
    let found = 0;
    for (let n = 0; n < PER; n++) {
      if (cache.get(order[at]!) !== undefined) found++;
      at = at + 1 === ENTRIES ? 0 : at + 1;
    }
    return found;
  };
  return { run, per: PER, check: (found) => found === PER };
}

function setting(cache: Cache, distinct: number = keys.length): Candidate {
  for (let at = 0; at < ENTRIES; at++) cache.set(keys[at]!, at);
  let at = ENTRIES % distinct;
  const run = (): boolean => {
    for (let n = 0; n < PER; n++) {
      cache.set(keys[at]!, n);
      at = at + 1 === distinct ? 0 : at + 1;
    }
    return cache.get(keys[(at + distinct - 1) % distinct]!) !== undefined;
  };
  return { run, per: PER, check: (kept) => kept === true };
}

function ours(): Cache {
  const lru = new Lru<number>({ entries: ENTRIES, size: 1e9 });
  return { get: (key) => lru.get(key, 1), set: (key, value) => lru.set(key, value, TTL, 1) };
}

const lruCache = (): Cache => new LRUCache<string, number>({ max: ENTRIES, ttl: TTL });
const quickLru = (): Cache => new QuickLRU<string, number>({ maxSize: ENTRIES, maxAge: TTL });

export const candidates: Candidates = {
  "get: plain Map": () => getting(new Map()),
  "get: catga": () => getting(ours()),
  "get: lru-cache": () => getting(lruCache()),
  "get: quick-lru": () => getting(quickLru()),
  "set: plain Map": () => setting(new Map(), ENTRIES),
  "set: catga": () => setting(ours()),
  "set: lru-cache": () => setting(lruCache()),
  "set: quick-lru": () => setting(quickLru()),
};
