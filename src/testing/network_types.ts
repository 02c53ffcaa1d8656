import type { Backend } from "../ports/backend.ts";

/** How frames fare on their way from one node to another. Rates go from 0, never, to 1, always. */
export interface LinkConditions {
  /** How long a frame takes, in ms: the least and the most. */
  readonly latency: readonly [least: number, most: number];
  /** How often a frame is lost. The exchange then stays open in silence. */
  readonly loss: number;
  /** How often a frame arrives twice. */
  readonly duplicate: number;
  /** How often a reply does not wait for those sent before it. Frames of different exchanges never wait. */
  readonly reorder: number;
  /** How often a frame takes as long as `slowLatency` says. */
  readonly slow: number;
  /** How long a slow frame takes, in ms: the least and the most. */
  readonly slowLatency: readonly [least: number, most: number];
}

/**
 * What a network begins with.
 *
 * Left out: `latency` is [0.2, 2], `slowLatency` is [500, 6000], all rates are 0.
 */
export type NetworkOptions = Partial<LinkConditions>;

/** An exchange whose caller waits. */
export interface OpenExchange {
  /** The node that began it. */
  readonly from: string;
  /** The endpoint that the frame was sent to. */
  readonly to: string;
  /** When it began, in ms of virtual time. */
  readonly since: number;
}

/** What a network has counted. */
export interface NetworkStats {
  /** Frames, replies and ends sent. */
  readonly sent: number;
  /** How large all of them were together, in bytes, or in characters where they are text. */
  readonly size: number;
  /** Those that did not arrive. */
  readonly lost: number;
  /** Those that were sent once and arrived twice. */
  readonly duplicated: number;
  /** Those that took as long as `slowLatency` says. */
  readonly slow: number;
}

/** A network between the nodes of a simulation. */
export interface SimulatedNetwork {
  /** For `joinCluster`, the same one for all nodes; the mediators of these need runtimes of this simulation. */
  readonly backend: Backend;
  /** What it has counted so far. */
  readonly stats: NetworkStats;
  /** Changes how frames fare from now on: everywhere, or on the way from one node to another. */
  change(conditions: Partial<LinkConditions>, from?: string, to?: string): void;
  /** Loses every frame that is sent from one node to another from now on. The way back stays as it is. */
  cut(from: string, to: string): void;
  /** Undoes a cut. */
  mend(from: string, to: string): void;
  /** Undoes all cuts and changes, and sets all rates to 0. */
  heal(): void;
  /** Exchanges whose caller is alive and waits. */
  exchanges(): readonly OpenExchange[];
}
