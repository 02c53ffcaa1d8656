import { CatgaError, faultOf } from "../result.ts";
import type { Peer } from "../ports/transport.ts";
import { decodeEnvelope } from "../wire/envelope.ts";
import { cancelledFault } from "../mediator/supervise.ts";
import { type Beat, decodeBeat, encodeBeat, heed } from "./beat.ts";
import { compare, type Item, summaryOf } from "./comparison.ts";
import type { Link } from "./link.ts";
import { Rounds } from "./rounds.ts";

/** How many others are asked about a node that does not answer. */
const ASKED = 3;

/** How many pieces of news a heartbeat carries, and how many differences are mended at once. */
const RUMOURS = 16;
const DIFFERENCES = 256;

/** What came of speaking to a node. */
interface Answer {
  readonly answered: boolean;
  /** Whether this node itself stood still while it waited, so that it cannot tell who kept silent. */
  readonly late: boolean;
  readonly items: readonly unknown[];
}

/** What probing needs of the heart it belongs to. */
export interface Pulse {
  /** How many times longer than usual this node waits, since it is not well itself. */
  readonly patience: number;
  readonly stopped: boolean;
  /** Called when something was learnt. */
  learnt(): void;
}

/** Speaks to single nodes: heartbeats and their answers, and questions about those who do not answer. */
export class Probing {
  readonly rounds: Rounds;
  readonly #link: Link;
  readonly #pulse: Pulse;
  readonly #seedIds: Map<string, string> = new Map();
  readonly #asking: Set<string> = new Set();
  #comparing = false;

  constructor(link: Link, pulse: Pulse) {
    this.#link = link;
    this.#pulse = pulse;
    this.rounds = new Rounds(link.runtime.random);
  }

  /** The name of the node that answered at a seed's endpoint. */
  nameAt(endpoint: string): string | undefined {
    return this.#seedIds.get(endpoint);
  }

  /** Sends a heartbeat; asks others about a node that does not answer it. */
  async probe(peer: Peer): Promise<void> {
    const { membership } = this.#link;
    const seq = membership.find(peer.id)?.seq;
    const { answered, late } = await this.greet(peer);
    if (answered || late || this.#pulse.stopped || seq === undefined) return;
    membership.contact(peer.id, false);
    this.#pulse.learnt();
    await this.#inquire(peer, seq);
  }

  /** Sends a heartbeat. Settles when it was answered, refused or out of time. */
  greet(peer: Peer): Promise<Answer> {
    return this.#send(peer, this.#items(true), this.#link.membership.timing.probe * this.#pulse.patience);
  }

  /** Sends news, and asks nothing. */
  inform(peer: Peer): Promise<Answer> {
    return this.#send(peer, this.#items(false), this.#link.membership.timing.probe);
  }

  /** Looks at once whether a node that was out of reach can be reached again. */
  again(peer: Peer): void {
    if (!this.#asking.has(peer.id)) this.#link.runtime.background(this.greet(peer));
  }

  /** Reaches for a node on behalf of another. */
  async reach(id: unknown): Promise<readonly unknown[]> {
    const record = typeof id === "string" ? this.#link.membership.find(id) : undefined;
    if (record === undefined) return ["pinged", false];
    const { answered } = await this.#send(record, this.#items(true), this.#link.membership.timing.probe);
    return ["pinged", answered];
  }

  /** What a heartbeat is answered with. */
  reply(told: readonly Item[], differs: boolean): readonly unknown[] {
    const { membership } = this.#link;
    const { self, digest, rumours, size } = membership;
    const beat = { vitals: self, digest, news: [...told, ...rumours.take(RUMOURS, size)], wanted: [] };
    return encodeBeat(differs ? { ...beat, summary: summaryOf(membership) } : beat);
  }

  /** What this node says; with its digest it asks to be told where the other's view differs. */
  #items(compared: boolean): readonly unknown[] {
    const { self, digest, rumours, size } = this.#link.membership;
    const news = rumours.take(RUMOURS, size);
    return encodeBeat({ vitals: self, digest: compared ? digest : undefined, news, wanted: [] });
  }

  /** Asks others whether they can reach a node; suspects it if nobody can. */
  async #inquire(peer: Peer, seq: number): Promise<void> {
    if (this.#asking.has(peer.id)) return;
    this.#asking.add(peer.id);
    const { membership, runtime } = this.#link;
    const others = membership.records().filter(({ id }) => id !== peer.id && !membership.unreachable(id));
    const limit = membership.timing.probe * 1.5 * this.#pulse.patience;
    const asked = this.rounds.some(others, ASKED).map((other) => this.#send(other, ["ping", peer.id], limit));
    const answers = await Promise.all(asked);
    const excused = answers.some(({ late, items }) => late || (items[0] === "pinged" && items[1] === true));
    this.#asking.delete(peer.id);
    const { incarnation } = membership.find(peer.id) ?? {};
    if (excused || this.#pulse.stopped || incarnation === undefined) return;
    membership.suspect(peer.id, incarnation, seq, runtime.clock.mono());
    this.#pulse.learnt();
  }

  /** Sends items to a node and takes to heart what it answers. Settles in time, whatever the transport does. */
  async #send({ id, endpoint }: Peer, items: readonly unknown[], limit: number): Promise<Answer> {
    const { codec, runtime, membership } = this.#link;
    const peer = { id, endpoint };
    const abort = new AbortController();
    const due = runtime.clock.mono() + limit;
    let answer: readonly unknown[] | undefined;
    let stop: (() => void) | undefined;
    const silence = new Promise<void>((resolve) => {
      stop = runtime.clock.timer(limit, () => {
        abort.abort(new CatgaError(cancelledFault("heartbeat")));
        resolve();
      });
    });
    try {
      const frame = this.#link.encode("beat", this.#link.nextSeq(), items);
      const sent = this.#link.exchange(peer, frame, (reply) => {
        answer = decodeEnvelope(codec, reply).items;
      }, { signal: abort.signal });
      await Promise.race([sent, silence]);
    } catch (thrown) {
      if (faultOf(thrown).code === "UNAVAILABLE") membership.contact(id, false);
    } finally {
      stop?.();
    }
    if (answer !== undefined) await this.#answered(peer, answer);
    const late = runtime.clock.mono() > due + membership.timing.heartbeat / 2;
    return { answered: answer !== undefined, late, items: answer ?? [] };
  }

  async #answered(peer: Peer, items: readonly unknown[]): Promise<void> {
    const { membership, runtime } = this.#link;
    membership.contact(peer.id, true);
    const beat = decodeBeat(items);
    if (beat !== undefined) {
      if (peer.id === "*") this.#seedIds.set(peer.endpoint, beat.vitals.id);
      heed(membership, beat, runtime.clock);
      if (beat.summary !== undefined && !this.#comparing) await this.#compare(peer, beat.summary);
    }
    this.#pulse.learnt();
  }

  /** Mends what two views differ in. */
  async #compare(peer: Peer, summary: NonNullable<Beat["summary"]>): Promise<void> {
    const { membership } = this.#link;
    this.#comparing = true;
    const { news, wanted } = compare(membership, summary, DIFFERENCES);
    const items = encodeBeat({ vitals: membership.self, digest: undefined, news, wanted });
    if (news.length + wanted.length > 0) await this.#send(peer, items, membership.timing.probe);
    this.#comparing = false;
  }
}
