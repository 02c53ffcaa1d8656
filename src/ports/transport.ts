/** Bytes, or text where the carrier takes text as it is. What is in it is the wire room's business alone. */
export type Frame = string | Uint8Array;

/** A node as a transport knows it: enough to reach it. */
export interface Peer {
  /** The node's name; `"*"` for a seed whose name is not known yet. */
  readonly id: string;
  /** Where it is reached: a URL, a subject, a name. */
  readonly endpoint: string;
}

/** Takes the frames that come back, one by one; a promise asks the transport to wait before the next. */
export type Reply = (frame: Frame) => void | Promise<void>;

/** What bounds an exchange. */
export interface ExchangeOptions {
  /** Ends the exchange: nobody waits for its replies any longer. */
  readonly signal?: AbortSignal | undefined;
}

/** Answers a frame of another node with any number of frames; settles when there will be no more. */
export type Receiver = (frame: Frame, reply: Reply, options: ExchangeOptions) => Promise<void>;

/**
 * Carries frames between nodes: one frame there, any number of frames back. Calls, streams, notices and
 * heartbeats are all made of it.
 */
export interface Transport extends AsyncDisposable {
  /** What it is called in messages. */
  readonly name: string;
  /** Starts to take frames for a node. Disposing what it answers stops that. */
  serve(self: Peer, receiver: Receiver): Promise<AsyncDisposable>;
  /**
   * Sends a frame and hands back each reply. Settles when the other side has said it is done.
   *
   * Rejects with a `CatgaError`: `UNAVAILABLE` when the frame provably never reached a receiver (connection
   * refused, unknown name), `TRANSPORT` when it may have.
   */
  exchange(to: Peer, frame: Frame, reply: Reply, options?: ExchangeOptions): Promise<void>;
}
