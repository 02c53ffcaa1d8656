import type { Fault } from "../result.ts";
import type { Codec } from "../ports/codec.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { ExchangeOptions, Frame, Peer, Reply, Transport } from "../ports/transport.ts";
import { encodeEnvelope, type FrameKind } from "../wire/envelope.ts";
import type { Membership } from "./membership.ts";

/** What the parts of a node that speak to other nodes share. */
export class Link {
  readonly runtime: Runtime;
  readonly codec: Codec;
  readonly membership: Membership;
  /** Event notices that nobody heard. */
  dropped: number = 0;
  /** For how long this node stood still just before, at most, in ms; 0 if it did not. */
  standstill: () => number = () => 0;
  /** Called when notices to a node could not be delivered. */
  missed: ((id: string) => void) | undefined;
  readonly #transport: Transport;
  readonly #changed: () => void;
  #seq = 0;

  /** @param changed called when how a node can be reached may have changed */
  constructor(
    runtime: Runtime,
    codec: Codec,
    membership: Membership,
    transport: Transport,
    changed: () => void,
  ) {
    this.runtime = runtime;
    this.codec = codec;
    this.membership = membership;
    this.#transport = transport;
    this.#changed = changed;
  }

  nextSeq(): number {
    return ++this.#seq;
  }

  /** Writes a frame of this node. Throws when an item cannot be encoded. */
  encode(kind: FrameKind, seq: number, items: readonly unknown[]): Frame {
    const { id: from, incarnation } = this.membership.self;
    return encodeEnvelope(this.codec, { kind, from, incarnation, seq, items });
  }

  /** What the message at a place of one of this node's frames is known by. */
  nameOf(seq: number, index: number): string {
    const { id, incarnation } = this.membership.self;
    return `${id}/${incarnation}/${seq}.${index}`;
  }

  /** Exchanges a frame; a transport that throws rejects. */
  exchange(to: Peer, frame: Frame, reply: Reply, options?: ExchangeOptions): Promise<void> {
    try {
      return this.#transport.exchange(to, frame, reply, options);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  /** Takes note of how an exchange with a node ended. */
  reached(peer: Peer, fault: Fault | undefined): void {
    if (fault === undefined) this.membership.contact(peer.id, true);
    else if (fault.code === "UNAVAILABLE") this.membership.contact(peer.id, false);
    this.#changed();
  }
}
