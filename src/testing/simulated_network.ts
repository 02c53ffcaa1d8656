import { CatgaError, systemFault } from "../result.ts";
import type { Backend, BackendHost, BackendParts } from "../ports/backend.ts";
import type { Peer, Receiver } from "../ports/transport.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { QueuedEvent } from "./event_queue.ts";
import type { Life } from "./life.ts";
import { Links } from "./links.ts";
import type {
  LinkConditions,
  NetworkOptions,
  NetworkStats,
  OpenExchange,
  SimulatedNetwork,
} from "./network_types.ts";
import type { SeededRandom } from "./random.ts";
import type { Carrier, Parcel, Seat } from "./simulated_copy.ts";
import type { SimulatedExchange } from "./simulated_exchange.ts";
import { SimulatedTransport } from "./simulated_transport.ts";
import type { TraceRecorder } from "./trace.ts";

/** What a network needs of its simulation. */
export interface NetworkWorld {
  /** Virtual time in ms. */
  readonly time: number;
  readonly trace: TraceRecorder;
  plan(life: Life | undefined, time: number, run: () => void): QueuedEvent;
  lifeOf(runtime: Runtime): Life | undefined;
}

/** The smallest step of virtual time, in ms: what keeps its place behind something comes so much later. */
const STEP = 0.001;

/** The network behind the interface. */
export class Network implements SimulatedNetwork, Carrier {
  readonly backend: Backend;
  readonly world: NetworkWorld;
  readonly open: Set<SimulatedExchange> = new Set();
  readonly #random: SeededRandom;
  readonly #seats: Map<string, Seat> = new Map();
  readonly #links: Links;
  readonly #stats = { sent: 0, size: 0, lost: 0, duplicated: 0, slow: 0 };

  constructor(world: NetworkWorld, options: NetworkOptions, random: SeededRandom) {
    this.world = world;
    this.#random = random;
    this.#links = new Links(options);
    this.backend = { name: "simulated", open: (host) => this.#openFor(host) };
  }

  get stats(): NetworkStats {
    return { ...this.#stats };
  }

  change(conditions: Partial<LinkConditions>, from?: string, to?: string): void {
    this.#links.change(conditions, from, to);
    this.#note(`change ${from ?? "*"} -> ${to ?? "*"} ${JSON.stringify(conditions)}`);
  }

  cut(from: string, to: string): void {
    if (this.#links.cut(from, to)) this.#note(`cut ${from} -> ${to}`);
  }

  mend(from: string, to: string): void {
    if (this.#links.mend(from, to)) this.#note(`mend ${from} -> ${to}`);
  }

  heal(): void {
    this.#links.heal();
    this.#note("heal");
  }

  exchanges(): readonly OpenExchange[] {
    return [...this.open].map(({ life, to, since }) => ({ from: life.host.name, to: to.endpoint, since }));
  }

  /** A life has ended. */
  crashed(life: Life): void {
    for (const [endpoint, seat] of this.#seats) if (seat.life === life) this.#seats.delete(endpoint);
    for (const exchange of [...this.open]) {
      if (exchange.life === life) {
        this.open.delete(exchange);
        exchange.orphan();
      } else exchange.reset(life);
    }
  }

  seatAt(endpoint: string): Seat | undefined {
    return this.#seats.get(endpoint);
  }

  /** Hands the frames for a node to a receiver. Throws `CONFLICT` when another node has the endpoint. */
  sit(peer: Peer, life: Life, receiver: Receiver): Seat {
    const other = this.#seats.get(peer.endpoint)?.peer;
    if (other !== undefined) {
      const message =
        `Cannot serve "${peer.id}": the endpoint "${peer.endpoint}" is taken by the node "${other.id}"`;
      throw new CatgaError(systemFault("CONFLICT", message));
    }
    const seat: Seat = { peer, life, receiver };
    this.#seats.set(peer.endpoint, seat);
    return seat;
  }

  /** Stops handing frames over; exchanges under way break off. */
  leave(seat: Seat): void {
    if (this.#seats.get(seat.peer.endpoint) !== seat) return;
    this.#seats.delete(seat.peer.endpoint);
    for (const exchange of [...this.open]) exchange.unseat(seat);
  }

  carry({ kind, from, to, life, size, notBefore, arrive }: Parcel): number | undefined {
    const random = this.#random;
    const source = from?.name ?? "";
    const target = to?.name ?? "";
    const conditions = this.#links.between(source, target);
    const lost = random.chance(conditions.loss);
    const slow = random.chance(conditions.slow);
    const [least, most] = slow ? conditions.slowLatency : conditions.latency;
    const latency = random.between(least, most);
    this.#stats.sent++;
    this.#stats.size += size;
    if (lost || this.#links.isCut(source, target)) {
      this.#stats.lost++;
      this.world.trace.add(this.world.time, "lose", target, source, size, kind);
      return undefined;
    }
    if (slow) this.#stats.slow++;
    const arrives = Math.max(this.world.time + latency, notBefore > 0 ? notBefore + STEP : 0);
    this.world.plan(life, arrives, () => {
      this.world.trace.add(this.world.time, kind, target, source, size);
      arrive();
    });
    return arrives;
  }

  hand(life: Life, run: () => void): void {
    this.world.plan(life, this.world.time, run);
  }

  doubles(from: Life, to: Life | undefined): boolean {
    const { duplicate } = this.#links.between(from.host.name, to?.host.name ?? "");
    const doubled = this.#random.chance(duplicate);
    if (doubled) this.#stats.duplicated++;
    return doubled;
  }

  firstOfTwo(): boolean {
    return this.#random.chance(0.5);
  }

  overtakes(from: Life, to: Life): boolean {
    return this.#random.chance(this.#links.between(from.host.name, to.host.name).reorder);
  }

  #openFor({ self, runtime }: BackendHost): BackendParts {
    const life = this.world.lifeOf(runtime);
    if (life === undefined) {
      const message =
        `Cannot open "${self.id}": its runtime is not of this simulation; take it from runtime("${self.id}")`;
      throw new CatgaError(systemFault("CONFLICT", message));
    }
    const seeds = (): readonly Peer[] =>
      [...this.#seats.values()].map((seat) => seat.peer).filter((peer) => peer.endpoint !== self.endpoint);
    return { durability: "none", transport: new SimulatedTransport(this, self, life), seeds };
  }

  #note(text: string): void {
    this.world.trace.add(this.world.time, "network", "", "", 0, text);
  }
}
