import type { Fault } from "../result.ts";
import type { Codec } from "../ports/codec.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { ExchangeOptions, Frame, Peer, Reply } from "../ports/transport.ts";
import type { FrameKind } from "../wire/envelope.ts";

/** What the parts of a node that speak to other nodes share. */
export interface Link {
  readonly runtime: Runtime;
  readonly codec: Codec;
  nextSeq(): number;
  /** Writes a frame of this node. Throws when an item cannot be encoded. */
  encode(kind: FrameKind, seq: number, items: readonly unknown[]): Frame;
  /** Takes note of how an exchange with a node ended. */
  reached(peer: Peer, fault: Fault | undefined): void;
  /** Counts event notices that nobody will hear. */
  dropped(count: number): void;
  /** Exchanges a frame; a transport that throws rejects. */
  exchange(to: Peer, frame: Frame, reply: Reply, options?: ExchangeOptions): Promise<void>;
}
