/** When nodes that fail or are slow are left out; times in ms. */
export interface GuardOptions {
  /** So many failures in a row open a node's circuit. @default 5 */
  readonly failures?: number;
  /** So does this part of the calls of the window, over 0 and up to 1. @default 0.5 */
  readonly failureRate?: number;
  /** How many calls of the window it takes to speak of a part of them. @default 20 */
  readonly calls?: number;
  /** How long a call is remembered. @default 10000 */
  readonly window?: number;
  /** How long a node is left out the first time; twice as long each further time in a row. @default 1000 */
  readonly open?: number;
  /** How long at most, also for a `Retry-After`. A node left out five times in a row is so at once. @default 60000 */
  readonly maxOpen?: number;
  /** A node that takes so many times as long as the median of the others is left out as well. @default 4 */
  readonly slowFactor?: number;
  /** How many nodes are watched. @default 1024 */
  readonly members?: number;
}

/** How a node stands: left out `until`, wants no calls `notBefore`; by the clock of the guard, 0 for neither. */
export interface GuardedNode {
  /** Its name. */
  readonly id: string;
  /** Failing and slow ones get calls when only they are left, `isolated` ones are open and seldom probed. */
  readonly state: "closed" | "failing" | "slow" | "open" | "probing" | "isolated" | "isolatedByHand";
  /** Until when it is left out. */
  readonly until: number;
  /** When it wants calls again. */
  readonly notBefore: number;
  /** How many calls failed since the last that did not. */
  readonly failuresInRow: number;
  /** Calls of the window. */
  readonly calls: number;
  /** How many of them failed. */
  readonly failed: number;
  /** How long it lately took to answer, in ms; 0 while nothing is known. */
  readonly latency: number;
}
