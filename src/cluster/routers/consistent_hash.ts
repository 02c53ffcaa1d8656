import type { Router, RouteTarget } from "../../message/route.ts";
import { createRing, type Ring } from "../ring.ts";
import { roundRobin } from "./round_robin.ts";

/** How calls are given out by their keys. */
export interface ConsistentHashOptions {
  /**
   * A node that has more than so many times the calls of the average node, by its weight, passes a key on to the
   * next one; 1.25 is a good start. Counted are the sending node's own calls under way. Left out, a key is passed
   * on by nobody. From 1.
   */
  readonly bound?: number;
  /** Who chooses for a call without a key. @default roundRobin() */
  readonly otherwise?: Router;
}

/**
 * Sends all calls of a key to one node, the same from every sender, as long as that is there: what the contract's
 * `key` gives decides. A node that joins or leaves takes over or hands on only its own share of the keys, and
 * shares go by weight. With `bound`, no node gets much more than its share even of very uneven keys (consistent
 * hashing with bounded loads, Mirrokni, Thorup and Zadimoghaddam 2018).
 *
 * Throws a `RangeError` when `bound` is below 1.
 */
export function consistentHash(options: ConsistentHashOptions = {}): Router {
  const { bound, otherwise = roundRobin() } = options;
  if (bound !== undefined && !(bound >= 1)) {
    throw new RangeError(`Cannot route by key: bound is ${bound}, but must be at least 1`);
  }
  const byType = new Map<string, Placing>();
  return (call, candidates) => {
    const { type, key } = call;
    if (key === undefined) return otherwise(call, candidates);
    let placing = byType.get(type);
    if (placing === undefined) byType.set(type, placing = new Placing());
    const placed = placing.of(candidates);
    const owner = placed.byId.get(placed.ring.owner(key)!);
    if (bound === undefined) return owner ?? first(placed, key, () => true);
    const room = roomWithin(bound, candidates);
    if (owner !== undefined && room(owner)) return owner;
    return first(placed, key, room) ?? owner;
  };
}

/** A ring that holds all of some candidates, and perhaps others. */
interface Placed<T> {
  readonly ring: Ring;
  readonly byId: ReadonlyMap<string, T>;
}

/** Finds the ring of a list of candidates, and makes as few rings as it can. */
class Placing {
  readonly #known: WeakMap<readonly RouteTarget[], Placed<RouteTarget>> = new WeakMap();
  #ring: Ring = createRing();
  #weights: ReadonlyMap<string, number> = new Map();

  of<T extends RouteTarget>(candidates: readonly T[]): Placed<T> {
    let placed = this.#known.get(candidates) as Placed<T> | undefined;
    if (placed === undefined) {
      // A call that is tried again comes with a list of its own, without the nodes it was tried on. No ring is made
      // for that: the nodes that are missing are passed over, with the same outcome.
      if (candidates.some(({ id, weight }) => this.#weights.get(id) !== weight)) this.#remake(candidates);
      placed = { ring: this.#ring, byId: new Map(candidates.map((candidate) => [candidate.id, candidate])) };
      this.#known.set(candidates, placed);
    } else if (placed.ring.ids.length > candidates.length) {
      this.#remake(candidates);
      placed = { ring: this.#ring, byId: placed.byId };
      this.#known.set(candidates, placed);
    }
    return placed;
  }

  #remake(candidates: readonly RouteTarget[]): void {
    this.#ring = this.#ring.to(candidates);
    this.#weights = new Map(candidates.map(({ id, weight }) => [id, weight]));
  }
}

function first<T>({ ring, byId }: Placed<T>, key: string, fits: (target: T) => boolean): T | undefined {
  for (const id of ring.walk(key)) {
    const target = byId.get(id);
    if (target !== undefined && fits(target)) return target;
  }
  return undefined;
}

/** Whether one more call leaves a node within its share; some node always has room. */
function roomWithin(bound: number, candidates: readonly RouteTarget[]): (target: RouteTarget) => boolean {
  let calls = 1;
  let weights = 0;
  for (const { inFlight, weight } of candidates) {
    calls += inFlight;
    weights += weight;
  }
  const perWeight = bound * calls / weights;
  return ({ inFlight, weight }) => inFlight + 1 <= Math.ceil(perWeight * weight);
}
