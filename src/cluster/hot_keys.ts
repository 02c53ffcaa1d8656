import { shortKey, type TopEntry, TopK } from "../internal/top_k.ts";

/** What is done by itself about a hot key. */
export type HotKeyResponse =
  /**
   * A call may go to any of so many nodes, the key's own and those that come after it, whichever has fewest calls of
   * this node under way. Not where the contract has shards.
   */
  | { readonly type: "split"; readonly owners: number }
  /** The sending node keeps answers to queries for so many ms, where their contract does not say for how long. */
  | { readonly type: "cache"; readonly ttl: number };

/** A key of a contract, and how much of its calls it takes. */
export interface HotKey {
  /** The contract's name. */
  readonly contract: string;
  /** The key; one of more than 128 UTF-16 units is named by its first 120 and its hash. */
  readonly key: string;
  /** How many of its calls this node made a second, lately. */
  readonly rate: number;
  /** How much of the contract's calls that is, from 0 to 1. */
  readonly share: number;
}

/** A key got hot, or is no longer. */
export interface HotKeyEvent extends HotKey {
  /** Which of the two. */
  readonly type: "hotKey" | "coolKey";
}

/** What {@linkcode HotKeys} takes. */
export interface HotKeyOptions {
  /** A hot key takes more than so much of its contract's calls, over 0 and below 1. @default 0.1 */
  readonly share?: number;
  /** A hot key has more than so many calls a second. @default 100 */
  readonly rate?: number;
  /** A hot key cools when it falls below this part of `share` or `rate`, over 0 and up to 1. @default 0.7 */
  readonly leave?: number;
  /** Older calls than so many ms count half, those of twice the age a quarter, and so on. @default 5000 */
  readonly window?: number;
  /** How many keys of each contract are counted at a time; at least 4 / `share`. @default 128 */
  readonly keys?: number;
  /** How many contracts are watched at a time. @default 256 */
  readonly contracts?: number;
  /** What is done by itself about hot keys, or about those of a contract of such a name. @default nothing */
  readonly respond?: HotKeyResponse | ((contract: string) => HotKeyResponse | undefined);
}

/** A rate is not read off less than so many ms. */
const SHORTEST = 1000;

/** A contract without a call for so many windows is forgotten. */
const IDLE = 8;

/** After so many windows nothing is left of a count. */
const FADED = 64;

/** The calls of one contract, by key. */
class Watched {
  readonly top: TopK;
  readonly hot: Map<string, HotKeyResponse | undefined> = new Map();
  lastHit: number;
  /** When the current window began, and how many ms before it are still in the counts. */
  #since: number;
  #carried = 0;

  constructor(keys: number, now: number) {
    this.top = new TopK(keys);
    this.lastHit = now;
    this.#since = now;
  }

  advance(now: number, window: number): void {
    if (now - this.#since >= FADED * window) {
      this.top.clear();
      this.#carried = window;
      this.#since = now;
    }
    while (now - this.#since >= window) {
      this.top.halve();
      this.#carried = (this.#carried + window) / 2;
      this.#since += window;
    }
  }

  rateOf(count: number, now: number): number {
    return count * 1000 / Math.max(now - this.#since + this.#carried, SHORTEST);
  }

  shareOf(count: number): number {
    return this.top.total === 0 ? 0 : Math.min(count / this.top.total, 1);
  }
}

/**
 * Tells which keys take too much of a contract's calls, in bounded memory. A key gets hot by calls that were surely its
 * own, and cools when even the highest number it may have had is too low. Times are those of one steady clock, in ms.
 */
export class HotKeys {
  readonly #share: number;
  readonly #rate: number;
  readonly #leave: number;
  readonly #window: number;
  readonly #keys: number;
  readonly #contracts: number;
  readonly #respond: (contract: string) => HotKeyResponse | undefined;
  readonly #watched: Map<string, Watched> = new Map();

  /** Throws a `RangeError` for numbers that cannot work. */
  constructor(options: HotKeyOptions = {}) {
    const { share = 0.1, rate = 100, leave = 0.7, window = 5000, keys = 128, contracts = 256, respond } =
      options;
    check("share", share, share > 0 && share < 1, "over 0 and below 1");
    check("rate", rate, rate > 0, "over 0");
    check("leave", leave, leave > 0 && leave <= 1, "over 0 and at most 1");
    check("window", window, window > 0 && window < Infinity, "over 0 and finite");
    check("keys", keys, Number.isSafeInteger(keys) && keys >= 4 / share, `a whole number from ${4 / share}`);
    check("contracts", contracts, Number.isSafeInteger(contracts) && contracts > 0, "a whole number over 0");
    this.#share = share;
    this.#rate = rate;
    this.#leave = leave;
    this.#window = window;
    this.#keys = keys;
    this.#contracts = contracts;
    this.#respond = typeof respond === "function" ? respond : () => respond;
  }

  /** Counts a call. Tells when it makes its key hot; new contracts over the limit are not watched. */
  hit(contract: string, key: string, now: number): HotKeyEvent | undefined {
    let watched = this.#watched.get(contract);
    if (watched === undefined) {
      if (this.#watched.size >= this.#contracts) return undefined;
      watched = new Watched(this.#keys, now);
      this.#watched.set(contract, watched);
    }
    this.#advance(watched, now);
    watched.lastHit = now;
    const entry = watched.top.hit(key);
    const sure = entry.count - entry.error;
    if (watched.shareOf(sure) <= this.#share || watched.rateOf(sure, now) <= this.#rate) return undefined;
    if (watched.hot.has(entry.key) || watched.hot.size >= this.#keys) return undefined;
    watched.hot.set(entry.key, this.#respond(contract));
    return { type: "hotKey", ...hotKey(contract, entry.key, watched, entry, now) };
  }

  /** Tells which keys have cooled, and forgets contracts that are no longer called. To be called every second or so. */
  tick(now: number): HotKeyEvent[] {
    const events: HotKeyEvent[] = [];
    for (const [contract, watched] of this.#watched) {
      const idle = now - watched.lastHit >= IDLE * this.#window;
      if (!idle) this.#advance(watched, now);
      for (const key of watched.hot.keys()) {
        const found = hotKey(contract, key, watched, idle ? undefined : watched.top.get(key), now);
        const stays = found.share >= this.#share * this.#leave && found.rate >= this.#rate * this.#leave;
        if (stays) continue;
        watched.hot.delete(key);
        events.push({ type: "coolKey", ...found });
      }
      if (idle) this.#watched.delete(contract);
    }
    return events;
  }

  /** The hot keys of all contracts, the most called first. */
  list(now: number): HotKey[] {
    const list: HotKey[] = [];
    for (const [contract, watched] of this.#watched) {
      if (watched.hot.size > 0) this.#advance(watched, now);
      for (const key of watched.hot.keys()) {
        list.push(hotKey(contract, key, watched, watched.top.get(key), now));
      }
    }
    return list.sort((a, b) => b.rate - a.rate);
  }

  /** Whether a key of a contract is hot. */
  isHot(contract: string, key: string): boolean {
    const hot = this.#watched.get(contract)?.hot;
    return hot !== undefined && hot.size > 0 && hot.has(shortKey(key));
  }

  /** What is to be done about a call with this key; `undefined`: nothing. */
  response(contract: string, key: string): HotKeyResponse | undefined {
    const hot = this.#watched.get(contract)?.hot;
    return hot === undefined || hot.size === 0 ? undefined : hot.get(shortKey(key));
  }

  #advance(watched: Watched, now: number): void {
    watched.advance(now, this.#window);
  }
}

function hotKey(
  contract: string,
  key: string,
  watched: Watched,
  entry: TopEntry | undefined,
  now: number,
): HotKey {
  const count = entry?.count ?? 0;
  return { contract, key, rate: watched.rateOf(count, now), share: watched.shareOf(count) };
}

function check(name: string, value: number, fits: boolean, wanted: string): void {
  if (!fits) throw new RangeError(`Cannot watch for hot keys: ${name} is ${value}, but must be ${wanted}`);
}
