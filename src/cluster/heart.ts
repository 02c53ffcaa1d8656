import { CatgaError, faultOf } from "../result.ts";
import type { Clock } from "../ports/runtime.ts";
import type { Peer } from "../ports/transport.ts";
import { decodeEnvelope } from "../wire/envelope.ts";
import { cancelledFault } from "../mediator/supervise.ts";
import type { Link } from "./link.ts";
import type { Membership } from "./membership.ts";
import { decodeRecord, encodeRecord } from "./record.ts";

/** What a heart needs of its node. */
export interface Body {
  /** Calls under way, to be told to the others. */
  load(): number;
  seeds(): readonly Peer[];
  /** Called whenever something may have changed. */
  changed(): void;
}

/** Sends heartbeats, takes those of others, and keeps the membership told. */
export class Heart {
  readonly #link: Link;
  readonly #body: Body;
  readonly #membership: Membership;
  readonly #clock: Clock;
  readonly #seedIds: Map<string, string> = new Map();
  readonly #probing: Set<string> = new Set();
  #stop: (() => void) | undefined;
  #stopped = false;
  #due = 0;

  constructor(link: Link, body: Body) {
    this.#link = link;
    this.#body = body;
    this.#membership = link.membership;
    this.#clock = link.runtime.clock;
  }

  /** Beats once, then again and again. Settles when the first round was answered, refused or out of time. */
  start(): Promise<void> {
    const { heartbeat } = this.#membership.timing;
    this.#due = this.#clock.mono();
    const first = this.beat();
    this.#arm(heartbeat * (0.5 + this.#link.runtime.random.u32() / 2 ** 33));
    return first;
  }

  stop(): void {
    this.#stopped = true;
    this.#stop?.();
  }

  /** Tells all nodes and unknown seeds how this one is. Settles when all have answered, refused or kept silent. */
  beat(): Promise<void> {
    this.#membership.say({ seq: this.#membership.self.seq + 1, load: this.#body.load() });
    const peers: Peer[] = this.#membership.records().map(({ id, endpoint }) => ({ id, endpoint }));
    const round = [...peers, ...this.#strangers(peers)].map((peer) => this.#send(peer));
    const all = Promise.all(round).then(() => {});
    this.#link.runtime.background(all);
    return all;
  }

  /** Takes the items of another node's heartbeat and answers with this one's. */
  take(items: readonly unknown[]): readonly unknown[] {
    const sender = decodeRecord(items[0]);
    if (sender === undefined || sender.id === this.#membership.self.id) return this.#items(undefined);
    const strange = this.#membership.unreachable(sender.id, this.#clock.mono());
    this.#hear(items);
    if (strange && sender.status !== "left") this.#probe(sender);
    return this.#items(sender.id);
  }

  #arm(ms: number): void {
    this.#due = this.#clock.mono() + ms;
    this.#stop = this.#clock.timer(ms, () => this.#tick());
  }

  #tick(): void {
    if (this.#stopped) return;
    const { heartbeat } = this.#membership.timing;
    const now = this.#clock.mono();
    const late = Math.max(now - this.#due, 0);
    this.#membership.say({ lag: Math.round(late) });
    this.#membership.tick(now, late > heartbeat / 2 ? late : 0);
    this.beat();
    this.#arm(heartbeat);
    this.#body.changed();
  }

  /** Seeds that no known node stands for. */
  #strangers(known: readonly Peer[]): readonly Peer[] {
    const { self } = this.#membership;
    const endpoints = new Set([self.endpoint, ...known.map((peer) => peer.endpoint)]);
    const ids = new Set([self.id, ...known.map((peer) => peer.id)]);
    return this.#body.seeds().filter((seed) =>
      !endpoints.has(seed.endpoint) && !ids.has(seed.id) && !ids.has(this.#seedIds.get(seed.endpoint) ?? "")
    );
  }

  /** Looks at once whether a node that was heard of can be reached, too. */
  #probe(peer: Peer): void {
    if (this.#probing.has(peer.id)) return;
    this.#probing.add(peer.id);
    this.#link.runtime.background(this.#send(peer).finally(() => this.#probing.delete(peer.id)));
  }

  async #send(peer: Peer): Promise<void> {
    const limit = new AbortController();
    const stop = this.#clock.timer(
      this.#membership.timing.timeout * 0.6,
      () => limit.abort(new CatgaError(cancelledFault("heartbeat"))),
    );
    const sentAs = this.#membership.self.incarnation;
    let answered = false;
    try {
      const frame = this.#link.encode("beat", this.#link.nextSeq(), this.#items(peer.id));
      await this.#link.exchange(peer, frame, (reply) => {
        answered = true;
        this.#answer(peer, decodeEnvelope(this.#link.codec, reply).items, sentAs);
      }, { signal: limit.signal });
    } catch (thrown) {
      if (faultOf(thrown).code === "UNAVAILABLE") {
        this.#membership.contact(peer.id, "refused", this.#clock.mono());
      }
    } finally {
      stop();
    }
    if (answered) this.#body.changed();
  }

  #answer(peer: Peer, items: readonly unknown[], sentAs: number): void {
    const sender = this.#hear(items);
    if (sender === undefined) return;
    if (peer.id === "*") this.#seedIds.set(peer.endpoint, sender);
    this.#membership.contact(sender, "answered", this.#clock.mono());
    const [, , gone] = items;
    // This life was declared dead over there; only a new one is taken back.
    const { status, incarnation } = this.#membership.self;
    if (typeof gone === "number" && gone >= sentAs && incarnation <= gone && status !== "left") {
      this.#membership.say({ incarnation: gone + 1, seq: 0 });
      this.beat();
    }
  }

  #hear(items: readonly unknown[]): string | undefined {
    const now = this.#clock.mono();
    const wall = this.#clock.wall();
    const [first, others] = items;
    const sender = decodeRecord(first);
    for (const item of [first, ...(Array.isArray(others) ? others : [])]) {
      const record = decodeRecord(item);
      if (record !== undefined) this.#membership.hear(record, now, wall);
    }
    this.#body.changed();
    return sender?.id;
  }

  #items(to: string | undefined): readonly unknown[] {
    const gone = to === undefined ? undefined : this.#membership.goneSince(to);
    const items = [encodeRecord(this.#membership.self), this.#membership.records().map(encodeRecord)];
    return gone === undefined ? items : [...items, gone];
  }
}
