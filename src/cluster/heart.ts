import { CatgaError, faultOf } from "../result.ts";
import type { Peer } from "../ports/transport.ts";
import { decodeEnvelope } from "../wire/envelope.ts";
import { cancelledFault } from "../mediator/supervise.ts";
import type { Link } from "./link.ts";
import type { Membership } from "./membership.ts";
import { decodeRecord, encodeRecord } from "./record.ts";

/** What a heart needs of its node. */
export interface HeartNode {
  readonly link: Link;
  readonly membership: Membership;
  /** Calls under way, to be told to the others. */
  load(): number;
  seeds(): readonly Peer[];
  /** Called whenever something may have changed. */
  changed(): void;
}

/** Sends heartbeats, takes those of others, and keeps the membership told. */
export class Heart {
  readonly #node: HeartNode;
  readonly #seedIds: Map<string, string> = new Map();
  readonly #probing: Set<string> = new Set();
  #stop: (() => void) | undefined;
  #stopped = false;
  #due = 0;

  constructor(node: HeartNode) {
    this.#node = node;
  }

  /** Beats once, then again and again. Settles when the first round was answered, refused or out of time. */
  start(): Promise<void> {
    const { clock, random } = this.#node.link.runtime;
    const { heartbeat } = this.#node.membership.timing;
    this.#due = clock.mono();
    const first = this.beat();
    this.#arm(heartbeat * (0.5 + random.u32() / 2 ** 33));
    return first;
  }

  stop(): void {
    this.#stopped = true;
    this.#stop?.();
  }

  /** Tells all nodes and unknown seeds how this one is. Settles when all have answered, refused or kept silent. */
  beat(): Promise<void> {
    const { membership, link } = this.#node;
    membership.say({ seq: membership.self.seq + 1, load: this.#node.load() });
    const peers: Peer[] = membership.records().map(({ id, endpoint }) => ({ id, endpoint }));
    const round = [...peers, ...this.#strangers(peers)].map((peer) => this.#send(peer));
    const all = Promise.all(round).then(() => {});
    link.runtime.background(all);
    return all;
  }

  /** Takes the items of another node's heartbeat and answers with this one's. */
  take(items: readonly unknown[]): readonly unknown[] {
    const { membership, link } = this.#node;
    const sender = decodeRecord(items[0]);
    if (sender === undefined || sender.id === membership.self.id) return this.#items(undefined);
    const strange = membership.unreachable(sender.id, link.runtime.clock.mono());
    this.#hear(items);
    if (strange && sender.status !== "left") this.#probe(sender);
    return this.#items(sender.id);
  }

  #arm(ms: number): void {
    const { clock } = this.#node.link.runtime;
    this.#due = clock.mono() + ms;
    this.#stop = clock.timer(ms, () => this.#tick());
  }

  #tick(): void {
    if (this.#stopped) return;
    const { membership, link } = this.#node;
    const { heartbeat } = membership.timing;
    const now = link.runtime.clock.mono();
    const late = Math.max(now - this.#due, 0);
    membership.say({ lag: Math.round(late) });
    membership.tick(now, late > heartbeat / 2 ? late : 0);
    this.beat();
    this.#arm(heartbeat);
    this.#node.changed();
  }

  /** Seeds that no known node stands for. */
  #strangers(known: readonly Peer[]): readonly Peer[] {
    const { self } = this.#node.membership;
    const endpoints = new Set([self.endpoint, ...known.map((peer) => peer.endpoint)]);
    const ids = new Set([self.id, ...known.map((peer) => peer.id)]);
    return this.#node.seeds().filter((seed) =>
      !endpoints.has(seed.endpoint) && !ids.has(seed.id) && !ids.has(this.#seedIds.get(seed.endpoint) ?? "")
    );
  }

  /** Looks at once whether a node that was heard of can be reached, too. */
  #probe(peer: Peer): void {
    if (this.#probing.has(peer.id)) return;
    this.#probing.add(peer.id);
    this.#node.link.runtime.background(this.#send(peer).finally(() => this.#probing.delete(peer.id)));
  }

  async #send(peer: Peer): Promise<void> {
    const { membership, link } = this.#node;
    const { clock } = link.runtime;
    const limit = new AbortController();
    const stop = clock.timer(
      membership.timing.timeout * 0.6,
      () => limit.abort(new CatgaError(cancelledFault("heartbeat"))),
    );
    const sentAs = membership.self.incarnation;
    let answered = false;
    try {
      const frame = link.encode("beat", link.nextSeq(), this.#items(peer.id));
      await link.exchange(peer, frame, (reply) => {
        answered = true;
        this.#answer(peer, decodeEnvelope(link.codec, reply).items, sentAs);
      }, { signal: limit.signal });
    } catch (thrown) {
      if (faultOf(thrown).code === "UNAVAILABLE") membership.contact(peer.id, "refused", clock.mono());
    } finally {
      stop();
    }
    if (answered) this.#node.changed();
  }

  #answer(peer: Peer, items: readonly unknown[], sentAs: number): void {
    const { membership, link } = this.#node;
    const sender = this.#hear(items);
    if (sender === undefined) return;
    if (peer.id === "*") this.#seedIds.set(peer.endpoint, sender);
    membership.contact(sender, "answered", link.runtime.clock.mono());
    const [, , gone] = items;
    // This life was declared dead over there; only a new one is taken back.
    const { status, incarnation } = membership.self;
    if (typeof gone === "number" && gone >= sentAs && incarnation <= gone && status !== "left") {
      membership.say({ incarnation: gone + 1, seq: 0 });
      this.beat();
    }
  }

  #hear(items: readonly unknown[]): string | undefined {
    const { membership, link } = this.#node;
    const now = link.runtime.clock.mono();
    const wall = link.runtime.clock.wall();
    const [first, others] = items;
    const sender = decodeRecord(first);
    for (const item of [first, ...(Array.isArray(others) ? others : [])]) {
      const record = decodeRecord(item);
      if (record !== undefined) membership.hear(record, now, wall);
    }
    this.#node.changed();
    return sender?.id;
  }

  #items(to: string | undefined): readonly unknown[] {
    const { membership } = this.#node;
    const gone = to === undefined ? undefined : membership.goneSince(to);
    const items = [encodeRecord(membership.self), membership.records().map(encodeRecord)];
    return gone === undefined ? items : [...items, gone];
  }
}
