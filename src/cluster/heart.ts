import type { Clock } from "../ports/runtime.ts";
import type { Peer } from "../ports/transport.ts";
import { decodeBeat, heed } from "./beat.ts";
import { tell } from "./comparison.ts";
import type { Link } from "./link.ts";
import type { Membership } from "./membership.ts";
import { Probing, type Pulse } from "./probing.ts";

/** How many nodes one heartbeat goes to, or urgent news. */
const FANOUT = 3;

/** How many seeds that nobody is known to stand for one heartbeat goes to; a node that starts asks more. */
const STRANGERS = 3;
const FIRST = 32;

/** How many times longer than usual a node that is not well itself waits before it accuses another, at most. */
const SICKEST = 8;

/** For how long after a standstill frames may still be read that came in it, in ms. */
const AFTERWARDS = 100;

/** What a heart needs of its node. */
export interface Body {
  /** Calls under way, to be told to the others. */
  load(): number;
  seeds(): readonly Peer[];
  /** Called with each heartbeat. */
  tick(now: number): void;
  /** Called whenever something may have changed. */
  changed(): void;
}

/**
 * Keeps the membership told. Each heartbeat goes to a few nodes in turn; one that keeps silent is asked for through
 * others before it is suspected, and has time to object before it is declared dead (SWIM, Das, Gupta and Motivala
 * 2002). News travels with what is sent anyway, and at once where it cannot wait; views that differ are compared and
 * mended. A node whose own timers are late trusts its ears less (Lifeguard, Dadgar, Phillips and Currey 2017).
 */
export class Heart implements Pulse {
  stopped: boolean = false;
  readonly #link: Link;
  readonly #body: Body;
  readonly #membership: Membership;
  readonly #clock: Clock;
  readonly #probing: Probing;
  #stop: (() => void) | undefined;
  #due = 0;
  /** When it stood still last, by the monotonic clock, and for how long at most, in ms. */
  #stood: { readonly at: number; readonly ms: number } = { at: -Infinity, ms: 0 };
  #sickness = 0;
  #telling = false;

  constructor(link: Link, body: Body) {
    this.#link = link;
    this.#body = body;
    this.#membership = link.membership;
    this.#clock = link.runtime.clock;
    this.#probing = new Probing(link, this);
    link.standstill = () => this.#standstill();
  }

  get patience(): number {
    return 1 + this.#sickness;
  }

  /** Beats once, then again and again. Settles when the first seeds have answered, refused or kept silent. */
  start(): Promise<void> {
    const { heartbeat } = this.#membership.timing;
    this.#beat(0);
    const first = this.#all(this.#strangers(FIRST));
    this.#arm(heartbeat * (0.5 + this.#link.runtime.random.u32() / 2 ** 33));
    return first;
  }

  stop(): void {
    this.stopped = true;
    this.#stop?.();
  }

  /** Tells all nodes how this one is. Settles when all have answered, refused or kept silent. */
  tellAll(): Promise<void> {
    return this.#all(this.#membership.records());
  }

  /** Takes the items of another node's heartbeat and answers with this one's. */
  take(items: readonly unknown[]): readonly unknown[] | Promise<readonly unknown[]> {
    if (items[0] === "ping") return this.#probing.reach(items[1]);
    const beat = decodeBeat(items);
    if (beat === undefined || beat.vitals.id === this.#membership.self.id) {
      return this.#probing.reply([], false);
    }
    const { vitals, digest, wanted } = beat;
    const strange = this.#membership.unreachable(vitals.id);
    const corrections = heed(this.#membership, beat, this.#clock);
    const sender = this.#membership.find(vitals.id);
    if (strange && sender !== undefined) this.#probing.again(sender);
    this.learnt();
    const differs = digest !== undefined && digest !== this.#membership.digest;
    return this.#probing.reply([...corrections, ...tell(this.#membership, wanted)], differs);
  }

  /** Passes urgent news on to a few nodes, who do the same. */
  learnt(): void {
    this.#body.changed();
    if (!this.#membership.urgent || this.#telling || this.stopped) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      this.#membership.urgent = false;
      for (const record of this.#probing.rounds.some(this.#membership.records(), FANOUT)) {
        this.#link.runtime.background(this.#probing.inform(record));
      }
    });
  }

  #arm(ms: number): void {
    this.#due = this.#clock.mono() + ms;
    this.#stop = this.#clock.timer(ms, () => this.#tick());
  }

  #tick(): void {
    if (this.stopped) return;
    const { heartbeat } = this.#membership.timing;
    const now = this.#clock.mono();
    const lag = Math.max(now - this.#due, 0);
    const late = lag > heartbeat / 2 ? lag : 0;
    if (late > 0) this.#late(now, late);
    this.#sickness = Math.min(Math.max(this.#sickness + (late > 0 ? 2 : -0.5), 0), SICKEST);
    this.#membership.tick(now, late, this.patience);
    this.#beat(lag);
    this.#body.tick(now);
    const next = this.#probing.rounds.next(this.#membership.records(), FANOUT);
    void this.#all([...next, ...this.#strangers(STRANGERS)]);
    this.#arm(heartbeat);
    this.learnt();
  }

  #late(now: number, late: number): void {
    this.#stood = { at: now, ms: late + this.#membership.timing.heartbeat };
    this.#link.runtime.log({
      level: "warn",
      event: "node.late",
      message: `"${this.#membership.self.id}" stood still for ${
        Math.round(late)
      } ms; what it did not hear meanwhile counts against nobody`,
      fields: { late },
    });
  }

  /** What has waited here meanwhile comes before or right after the heartbeat that is late. */
  #standstill(): number {
    const { heartbeat } = this.#membership.timing;
    const now = this.#clock.mono();
    if (this.#stop !== undefined && !this.stopped && now - this.#due > heartbeat / 2) {
      return now - this.#due + heartbeat;
    }
    return now - this.#stood.at < AFTERWARDS ? this.#stood.ms : 0;
  }

  #beat(lag: number): void {
    const { cpu, memory } = this.#link.runtime.usage?.() ?? {};
    this.#membership.beat({ load: this.#body.load(), lag: Math.round(lag), cpu, memory });
  }

  /** Some of the seeds that no known node stands for, and of the nodes that were declared dead. */
  #strangers(most: number): readonly Peer[] {
    const all = [this.#membership.self, ...this.#membership.records()];
    const endpoints = new Set(all.map((each) => each.endpoint));
    const ids = new Set(all.map((each) => each.id));
    const unknown = this.#body.seeds().filter(({ id, endpoint }) =>
      !endpoints.has(endpoint) && !ids.has(id) && !ids.has(this.#probing.nameAt(endpoint) ?? "")
    );
    const { rounds } = this.#probing;
    return [
      ...rounds.some(unknown, most),
      ...rounds.some(this.#membership.graves.lost(), 1),
    ];
  }

  #all(peers: readonly Peer[]): Promise<void> {
    const all = Promise.all(peers.map((peer) => this.#probing.probe(peer))).then(() => {});
    this.#link.runtime.background(all);
    return all;
  }
}
