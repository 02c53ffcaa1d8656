/** What a router sees of a node that serves the message. */
export interface RouteTarget {
  /** The node's name. */
  readonly id: string;
  /** Whether this is the node that is sending. */
  readonly local: boolean;
  /** Calls in flight there at its last heartbeat. */
  readonly load: number;
}

/** What a router sees of a call. */
export interface RouteCall {
  /** The message's name. */
  readonly type: string;
  /** What the contract's `key` gave for this body. */
  readonly key: string | undefined;
}

/** Picks the node that gets a call; `undefined` when none of the candidates will do. */
export type Router = <T extends RouteTarget>(call: RouteCall, candidates: readonly T[]) => T | undefined;
