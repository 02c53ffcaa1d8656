import { hash32, mix32 } from "../internal/hash.ts";

/** What can own a key. */
export interface RendezvousNode {
  /** Its name; which keys it owns depends on it. */
  readonly id: string;
  /** Its share compared with others. @default 1 */
  readonly weight?: number;
}

/** Which of some nodes owns a key. */
export interface Rendezvous {
  /** The node that owns a key; `undefined` when there are none. */
  owner(key: string): string | undefined;
  /** All nodes, the owner of a key first, and each where it would stand if those before it were gone. */
  ranking(key: string): string[];
}

interface Runner {
  readonly id: string;
  readonly hash: number;
  readonly weight: number;
}

/**
 * Owners by weighted rendezvous hashing (Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker
 * 2005): a node's score for a key is `-weight / ln(h)`, where h is a hash of both between 0 and 1, and the highest
 * one wins. Shares are in proportion to weights; a node more or less, or another weight, moves only the keys which
 * that node gets or had. A look-up asks every node, so this suits shards that are counted out once per view.
 *
 * All runtimes agree: the logarithm is made of the four operations alone, which ECMAScript lays down to the last
 * bit, as it does not for `Math.log`. Of equal scores the one of the name that sorts first wins.
 *
 * Throws a `RangeError` when a name comes twice or a weight is not above 0.
 */
export function rendezvous(nodes: readonly RendezvousNode[]): Rendezvous {
  const runners = runnersOf(nodes);
  return {
    owner(key) {
      const hash = hash32(key);
      let best: Runner | undefined;
      let least = Infinity;
      for (const runner of runners) {
        const time = timeOf(hash, runner);
        if (best !== undefined && time >= least) continue;
        least = time;
        best = runner;
      }
      return best?.id;
    },
    ranking(key) {
      const hash = hash32(key);
      const times = runners.map((runner) => ({ id: runner.id, time: timeOf(hash, runner) }));
      return times.sort((a, b) => a.time - b.time).map(({ id }) => id);
    },
  };
}

function runnersOf(nodes: readonly RendezvousNode[]): Runner[] {
  const sorted = [...nodes].sort((a, b) => a.id < b.id ? -1 : 1);
  return sorted.map(({ id, weight = 1 }, at) => {
    if (at > 0 && sorted[at - 1]!.id === id) {
      throw new RangeError(`Cannot give out keys: "${id}" is among the nodes twice`);
    }
    if (!(weight > 0 && weight < Infinity)) {
      throw new RangeError(`Cannot give out keys: the weight of "${id}" is ${weight}, but must be above 0`);
    }
    return { id, hash: hash32(id), weight };
  });
}

/** One over the score. */
function timeOf(keyHash: number, { hash, weight }: Runner): number {
  return minusLog(mix32(Math.imul(keyHash, 0x9e3779b1) ^ hash)) / weight;
}

/** ln 2 as the nearest double. */
const LN2 = 0.6931471805599453;

/**
 * `-ln((hash + 1/2) / 2^32)`. The power of two is taken out exactly; for the rest m, from 1 to 2,
 * `ln m = 2 artanh s` with `s = (m - 1) / (m + 1)` is summed up to s^15, which is right to nine digits.
 */
export function minusLog(hash: number): number {
  const odd = 2 * hash + 1;
  const high = Math.floor(odd / 0x10000);
  const exponent = high === 0 ? 31 - Math.clz32(odd) : 47 - Math.clz32(high);
  const m = odd / (exponent === 32 ? 0x100000000 : (1 << exponent) >>> 0);
  const s = (m - 1) / (m + 1);
  const square = s * s;
  let sum = 0;
  for (let n = 15; n >= 1; n -= 2) sum = sum * square + 1 / n;
  return (33 - exponent) * LN2 - 2 * s * sum;
}
