/**
 * Bytes, or text where the carrier takes text as it is: well-formed, without half a surrogate pair. It arrives as what
 * it was, to the last character or byte. Whoever has given bytes away changes them no more. What is in it is the wire
 * room's business alone.
 */
export type Frame = string | Uint8Array;

/** A node as a transport knows it: enough to reach it. */
export interface Peer {
  /** The node's name; `"*"` for a seed whose name is not known yet. */
  readonly id: string;
  /** Where it is reached: a URL, a subject, a name. */
  readonly endpoint: string;
}

/**
 * Takes the frames that come back, one by one; a promise asks the transport to wait before the next. On the caller's
 * side it may throw or reject, which ends the exchange with `TRANSPORT`. On the receiver's it never does, and what it
 * is given after the end, or when the caller has gone, goes nowhere.
 */
export type Reply = (frame: Frame) => void | Promise<void>;

/** What bounds an exchange. */
export interface ExchangeOptions {
  /**
   * Ends the exchange: nobody waits for its replies any longer. A receiver is always given one. It aborts some time
   * after its caller has gone or the exchange has broken off, and never when it has ended well.
   */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Answers a frame of another node with any number of frames, all text or all bytes; settles when there will be no
 * more. Whatever it rejects with or throws is `TRANSPORT` to its caller, who may or may not get what was replied before.
 */
export type Receiver = (frame: Frame, reply: Reply, options: ExchangeOptions) => Promise<void>;

/**
 * Carries frames between nodes: one frame there, any number of frames back. Calls, streams, notices and
 * heartbeats are all made of it. Disposing it ends what is open on both sides, for its own exchanges and those it
 * answers with `TRANSPORT`, and waits for nobody; afterwards it serves and sends nothing (`UNAVAILABLE`).
 *
 * `transportConformance` of `/testing` holds a transport to all of this.
 */
export interface Transport extends AsyncDisposable {
  /** What it is called in messages. */
  readonly name: string;
  /**
   * Starts to take frames for a node. Disposing what it answers stops that; what is being answered then is answered to
   * the end or broken off with `TRANSPORT`. Rejects with a `CatgaError`: `CONFLICT` when the endpoint is taken.
   */
  serve(self: Peer, receiver: Receiver): Promise<AsyncDisposable>;
  /**
   * Sends a frame, once, and hands back each reply in order. Settles when the other side has said it is done and the
   * last reply was taken. Exchanges do not wait for each other.
   *
   * Rejects with a `CatgaError`, never throws: `UNAVAILABLE` when the frame provably never reached a receiver
   * (connection refused, unknown name), `TRANSPORT` when it may have, `CANCELLED` as soon as the signal aborts.
   * No reply is handed back after it has settled.
   */
  exchange(to: Peer, frame: Frame, reply: Reply, options?: ExchangeOptions): Promise<void>;
}
