import { hash32 } from "../internal/hash.ts";

/** What owns a part of a {@linkcode Ring}. */
export interface RingMember {
  /** Its name; which keys it owns depends on it. */
  readonly id: string;
  /** Its share compared with others; above 32 it counts as 32 where points is the default. @default 1 */
  readonly weight?: number;
}

/** How a ring is made. */
export interface RingOptions {
  /** Points of a member for each unit of its weight: more are more even and take longer to change. @default 128 */
  readonly points?: number;
}

/** Which of some members owns a key. It never changes; {@linkcode Ring.to} makes another one. */
export interface Ring {
  /** The members' names, in order. */
  readonly ids: readonly string[];
  /** The member that owns a key; `undefined` when there are no members. */
  owner(key: string): string | undefined;
  /** The owner of a key and those that come next, all different, as many as there are up to `count`. */
  owners(key: string, count: number): string[];
  /** All members, the owner of a key first and each once, worked out as far as they are asked for. */
  walk(key: string): Iterable<string>;
  /** How much of all keys each member owns, from 0 to 1. */
  shares(): Map<string, number>;
  /** The ring of other members: what stays is kept, what is new is merged in. This one when nothing is different. */
  to(members: readonly RingMember[]): Ring;
}

/** The most points of a member, so that no weight can fill the memory. */
const MOST_POINTS = 8192;
/** A point is one number, its place times this and its owner's rank, which a double holds exactly. */
const MOST_MEMBERS = 2 ** 20;
/** The end of the circle. */
const LAST_PLACE = 0xffffffff;
/** Instead of the new rank of a member that is gone or has other points now. */
const GONE = -1;

/**
 * A ring of members by consistent hashing (Karger et al. 1997): each lies on a circle of 2^32 places at several
 * points, and a key belongs to the owner of the first point at or after the key's hash. A member more or less
 * moves only the keys that it gets or had. A table over equal parts of the circle leads a look-up to within a step
 * or two of its point.
 *
 * Rings of the same members are equal, in whatever order these came and in whichever process.
 *
 * Throws a `RangeError` when a name comes twice, or a weight or the number of points cannot be used.
 */
export function createRing(members: readonly RingMember[] = [], { points = 256 }: RingOptions = {}): Ring {
  if (!(points >= 1 && points <= MOST_POINTS)) {
    throw new RangeError(`Cannot make a ring: points is ${points}, but must be from 1 to ${MOST_POINTS}`);
  }
  return new Circle(points, new Map(), new Uint32Array(1), new Uint32Array(1)).to(members);
}

/** Names in order, each with its number of points. */
type Counts = ReadonlyMap<string, number>;

class Circle implements Ring {
  readonly ids: readonly string[];
  readonly #perUnit: number;
  readonly #counts: Counts;
  /** Where the points lie, in order, and the last place of the circle. */
  readonly #places: Uint32Array;
  /** Whose the points are, as indexes into `ids`; the last place's is that of the first point. */
  readonly #ranks: Uint32Array;
  /** The first point of each part of the circle. */
  readonly #table: Uint32Array;
  readonly #shift: number;

  constructor(perUnit: number, counts: Counts, places: Uint32Array, ranks: Uint32Array) {
    const bits = 32 - Math.clz32(places.length);
    this.ids = [...counts.keys()];
    this.#perUnit = perUnit;
    this.#counts = counts;
    this.#places = places;
    this.#ranks = ranks;
    this.#table = tableOf(places, bits);
    this.#shift = 32 - bits;
  }

  owner(key: string): string | undefined {
    const hash = hash32(key);
    const places = this.#places;
    let at = this.#table[hash >>> this.#shift]!;
    while (places[at]! < hash) at++;
    return this.ids[this.#ranks[at]!];
  }

  owners(key: string, count: number): string[] {
    const found: string[] = [];
    if (!(count >= 1)) return found;
    for (const id of this.walk(key)) {
      if (found.push(id) >= count) break;
    }
    return found;
  }

  *walk(key: string): Iterable<string> {
    const met = new Set<number>();
    for (let at = this.#find(key); met.size < this.ids.length; at++) {
      if (at === this.#ranks.length) at = 0;
      const rank = this.#ranks[at]!;
      if (met.has(rank)) continue;
      met.add(rank);
      yield this.ids[rank]!;
    }
  }

  shares(): Map<string, number> {
    const shares = new Map(this.ids.map((id) => [id, 0]));
    let from = -1;
    for (const [at, place] of this.ids.length === 0 ? [] : this.#places.entries()) {
      const id = this.ids[this.#ranks[at]!]!;
      shares.set(id, shares.get(id)! + (place - from) / (LAST_PLACE + 1));
      from = place;
    }
    return shares;
  }

  to(members: readonly RingMember[]): Ring {
    const counts = countsOf(members, this.#perUnit);
    const rankOf = new Map([...counts.keys()].map((id, rank) => [id, rank]));
    let same = counts.size === this.#counts.size;
    const kept = Int32Array.from(this.ids, (id) => {
      if (counts.get(id) === this.#counts.get(id)) return rankOf.get(id)!;
      same = false;
      return GONE;
    });
    if (same) return this;
    const added = pointsOf([...counts].filter(([id, count]) => this.#counts.get(id) !== count), rankOf);
    let size = 0;
    for (const count of counts.values()) size += count;
    const places = new Uint32Array(size + 1);
    const ranks = new Uint32Array(size + 1);
    merge(this.#places, this.#ranks, kept, added, places, ranks);
    return new Circle(this.#perUnit, counts, places, ranks);
  }

  /** The index of the point that a key belongs to. */
  #find(key: string): number {
    const hash = hash32(key);
    const places = this.#places;
    let at = this.#table[hash >>> this.#shift]!;
    while (places[at]! < hash) at++;
    return at;
  }
}

function countsOf(members: readonly RingMember[], perUnit: number): Counts {
  if (members.length > MOST_MEMBERS) {
    throw new RangeError(`Cannot make a ring of ${members.length} members: it has room for ${MOST_MEMBERS}`);
  }
  const counts = new Map<string, number>();
  for (const { id, weight = 1 } of [...members].sort((a, b) => a.id < b.id ? -1 : 1)) {
    if (counts.has(id)) throw new RangeError(`Cannot make a ring: "${id}" is among its members twice`);
    if (!(weight > 0)) {
      throw new RangeError(`Cannot make a ring: the weight of "${id}" is ${weight}, but must be above 0`);
    }
    counts.set(id, Math.min(Math.max(Math.round(weight * perUnit), 1), MOST_POINTS));
  }
  return counts;
}

/** The points of some members, in order. */
function pointsOf(
  members: readonly (readonly [id: string, count: number])[],
  rankOf: ReadonlyMap<string, number>,
): Float64Array {
  const points: number[] = [];
  for (const [id, count] of members) {
    const rank = rankOf.get(id)!;
    for (let n = 0; n < count; n++) points.push(hash32(`${id}#${n}`) * MOST_MEMBERS + rank);
  }
  return Float64Array.from(points).sort();
}

/** Writes the points that are kept, under their owners' new ranks, and those that are added, in order. */
function merge(
  oldPlaces: Uint32Array,
  oldRanks: Uint32Array,
  kept: Int32Array,
  added: Float64Array,
  places: Uint32Array,
  ranks: Uint32Array,
): void {
  const last = oldPlaces.length - 1;
  let to = 0;
  let from = 0;
  for (let next = 0; next <= added.length; next++) {
    const point = next < added.length ? added[next]! : Infinity;
    const place = Math.floor(point / MOST_MEMBERS);
    const rank = point % MOST_MEMBERS;
    for (; from < last; from++) {
      const oldPlace = oldPlaces[from]!;
      if (oldPlace > place) break;
      const newRank = kept[oldRanks[from]!]!;
      if (newRank === GONE) continue;
      if (oldPlace === place && newRank > rank) break;
      places[to] = oldPlace;
      ranks[to++] = newRank;
    }
    places[to] = place;
    ranks[to++] = rank;
  }
  places[to - 1] = LAST_PLACE;
  ranks[to - 1] = ranks[0]!;
}

/** For each of 2^bits equal parts of the circle, the first point in it or after it. */
function tableOf(places: Uint32Array, bits: number): Uint32Array {
  const shift = 32 - bits;
  const table = new Uint32Array((1 << bits) + 1);
  // Counted and added up, as a loop that branches at each point takes twice as long.
  for (let at = 0; at < places.length - 1; at++) table[(places[at]! >>> shift) + 1]!++;
  for (let part = 1, before = 0; part < table.length; part++) before = table[part]! += before;
  return table;
}
