/** What a router sees of a node that serves the message. */
export interface RouteTarget {
  /** The node's name. */
  readonly id: string;
  /** Whether this is the node that is sending. */
  readonly local: boolean;
  /** Calls in flight there, as it said last. */
  readonly load: number;
  /** Calls of the sending node under way there just now. */
  readonly inFlight: number;
  /** How long it lately took to answer the sending node, smoothed, in ms; 0 while nothing is known. */
  readonly latency: number;
  /** How late its event loop ran, as it said last, in ms. */
  readonly lag: number;
  /** How much of a processor it used, as it said last, from 0 to 1; `undefined` where it cannot tell. */
  readonly cpu: number | undefined;
  /** How much of its memory it used, as it said last, from 0 to 1; `undefined` where it cannot tell. */
  readonly memory: number | undefined;
  /** How much it takes compared with others. */
  readonly weight: number;
  /** Whether it leads the cluster. */
  readonly leader: boolean;
  /** Where it stands. */
  readonly zone: string | undefined;
  /** Which version it runs. */
  readonly version: string | undefined;
  /** What it was joined with. */
  readonly tags: Readonly<Record<string, string>>;
}

/** What a router sees of a call. */
export interface RouteCall {
  /** The message's name. */
  readonly type: string;
  /** What the contract's `key` gave for this body. */
  readonly key: string | undefined;
  /** Where the sending node stands. */
  readonly zone: string | undefined;
  /** Whether nothing will be sent: a router that takes turns takes none then. */
  readonly peek?: boolean;
}

/** Picks the node that gets a call; `undefined` when none of the candidates will do. */
export type Router = <T extends RouteTarget>(call: RouteCall, candidates: readonly T[]) => T | undefined;
