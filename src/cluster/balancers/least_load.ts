import type { Router, RouteTarget } from "../../message/route.ts";
import type { Clock } from "../../ports/runtime.ts";
import { type Chance, unit } from "./draw.ts";

/** How much each figure counts in a node's score; they need not add up to 1. */
export interface LoadWeights {
  /** Processor used. @default 0.4 */
  readonly cpu?: number;
  /** Memory used. @default 0.1 */
  readonly memory?: number;
  /** Lateness of the event loop; 50 ms are half of the worst. @default 0.2 */
  readonly lag?: number;
  /** Calls in flight for the node's weight; the candidates' mean is half of the worst. @default 0.3 */
  readonly load?: number;
}

/** What {@linkcode leastLoad} takes: a `Runtime`, or its parts. */
export interface LoadRuntime extends Chance {
  /** Tells how old figures are. */
  readonly clock: Pick<Clock, "mono">;
}

/** A lag that counts as half of the worst, in ms. */
const HALF_LAG = 50;
/** How long a changed figure takes to count for half, in ms. */
const SMOOTHING = 500;
/** How long shares hold, in ms; figures come by heartbeats, which are rarer. */
const HOLD = 50;
/** The share that is left to a node without any room. */
const LEAST_ROOM = 0.02;

/**
 * Prefers nodes with room: each is scored from 0, idle, to 1 by what it said last of its processor, memory, event
 * loop and calls, smoothed over half a second, and is drawn with a chance of its weight times (1 - score)². So many
 * senders that share the same old figures spread by them and do not all go to the one node that looks best. What a
 * node cannot tell counts as the mean of those that can, and what none can tell not at all.
 *
 * Throws a `RangeError` when a weight is negative or all are 0.
 */
export function leastLoad(runtime: LoadRuntime, weights: LoadWeights = {}): Router {
  const { cpu = 0.4, memory = 0.1, lag = 0.2, load = 0.3 } = weights;
  const parts = [cpu, memory, lag, load];
  const total = parts.reduce((sum, part) => sum + part, 0);
  if (!(total > 0 && total < Infinity) || parts.some((part) => part < 0)) {
    throw new RangeError(
      `Cannot balance by load: weights are ${parts.join(", ")}, but must be 0 or more and not all 0`,
    );
  }
  const scoresOf = (candidates: readonly RouteTarget[]): number[] => {
    const figures = [
      filled(candidates.map((target) => target.cpu)),
      filled(candidates.map((target) => target.memory)),
      candidates.map((target) => target.lag / (target.lag + HALF_LAG)),
      byMean(candidates.map((target) => target.load / target.weight)),
    ];
    const counted = figures.flatMap((figure, at) =>
      figure === undefined ? [] : [{ figure, part: parts[at]! }]
    );
    const whole = counted.reduce((sum, { part }) => sum + part, 0) || 1;
    return candidates.map((_target, at) =>
      counted.reduce((sum, { figure, part }) => sum + part * figure[at]!, 0) / whole
    );
  };
  const byType = new Map<string, Shares>();
  return ({ type }, candidates) => {
    let shares = byType.get(type);
    if (shares === undefined) byType.set(type, shares = new Shares(scoresOf));
    return candidates[shares.draw(candidates, runtime.clock.mono(), unit(runtime))];
  };
}

/** The chances of the candidates for one kind of message. */
class Shares {
  readonly #scoresOf: (candidates: readonly RouteTarget[]) => number[];
  #candidates: readonly RouteTarget[] = [];
  #since = 0;
  #smoothed: ReadonlyMap<string, number> = new Map();
  /** The chances of each candidate and those before it, added up. */
  #sums: number[] = [];

  constructor(scoresOf: (candidates: readonly RouteTarget[]) => number[]) {
    this.#scoresOf = scoresOf;
  }

  /** The index of a candidate, by a lot from 0 to 1. */
  draw(candidates: readonly RouteTarget[], now: number, lot: number): number {
    if (candidates !== this.#candidates || now - this.#since >= HOLD) this.#renew(candidates, now);
    const sums = this.#sums;
    const place = lot * sums[sums.length - 1]!;
    let at = 0;
    while (at < sums.length - 1 && sums[at]! <= place) at++;
    return at;
  }

  #renew(candidates: readonly RouteTarget[], now: number): void {
    const age = now - this.#since;
    const takenOn = age / (age + SMOOTHING);
    const before = this.#smoothed;
    const smoothed = new Map<string, number>();
    let sum = 0;
    const scores = this.#scoresOf(candidates);
    this.#sums = candidates.map(({ id, weight }, at) => {
      const old = before.get(id);
      const score = old === undefined ? scores[at]! : old + (scores[at]! - old) * takenOn;
      smoothed.set(id, score);
      return sum += weight * Math.max((1 - score) * (1 - score), LEAST_ROOM);
    });
    this.#candidates = candidates;
    this.#since = now;
    this.#smoothed = smoothed;
  }
}

/** With the mean of those that are known in place of those that are not; `undefined` when none is. */
function filled(figures: readonly (number | undefined)[]): number[] | undefined {
  const known = figures.filter((figure) => figure !== undefined);
  if (known.length === 0) return undefined;
  const mean = known.reduce((sum, figure) => sum + figure, 0) / known.length;
  return figures.map((figure) => figure ?? mean);
}

/** From 0 to 1, with 0.5 for the mean. */
function byMean(figures: readonly number[]): number[] {
  const mean = figures.reduce((sum, figure) => sum + figure, 0) / figures.length;
  return figures.map((figure) => figure === 0 ? 0 : figure / (figure + mean));
}
