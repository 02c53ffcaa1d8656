/** Nodes that run sagas while things go wrong; then everything heals, and all must have ended well. */

import { createSagas, type Sagas, type SagaState } from "@catga/catga/durable";
import type { Runtime, Store } from "@catga/catga/ports";
import {
  type Drain,
  injectFaults,
  type SeededRandom,
  simulate,
  type SimulatedStore,
  simulatedStore,
  type Simulation,
} from "@catga/catga/testing";
import { Checkout, checkout, type Course, PickedUp, Services } from "./saga_shop.ts";

const TTL = 1000;
/** How long things go wrong, and how long all may take to end after that, in ms. */
const FAULTS = 20_000;
const HEALED = 240_000;
const COURSES: readonly Course[] = [
  "well",
  "well",
  "no stock",
  "no money",
  "no label",
  "no carrier",
  "refused",
];

/** How long a request may be on its way, in ms: what it leaves behind is found while somebody is there. */
const LATE = 7000;

/** A rule broken on purpose. */
export interface SagaMutant {
  readonly store?: (store: Store) => Partial<Store>;
  readonly services?: (services: Services, runtime: Runtime) => ReturnType<Services["dispatcher"]>;
}

export interface SagaScenarioOptions {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  readonly mutant?: SagaMutant;
}

/** What came to pass, to show that something did. */
export interface SagaOutcome {
  readonly outcomes: Readonly<Record<string, number>>;
  readonly hash: string;
}

/** Rejects with a `SimulationError` when an order did not end, or what was done for it is not as it should be. */
export function runSagas({ seed, drain, mutant = {} }: SagaScenarioOptions): Promise<SagaOutcome> {
  const replay = (seed: number): string => `SEED=${seed} bun test tests/simulation/saga.test.ts`;
  const world = { seed, replay, skew: 3_600_000, drift: 0.0045, lateness: 5, ...(drain && { drain }) };
  return simulate(world, async (simulation) => {
    const shop = new Shop(simulation, mutant);
    shop.disturb();
    await simulation.run(FAULTS);
    shop.heal();
    if (!await simulation.until(() => shop.isDone(), HEALED)) throw new Error(shop.unfinished());
    await simulation.run(LATE);
    shop.judge();
    await shop.close();
    shop.assertIdle();
    return { outcomes: shop.outcomes, hash: simulation.trace.hash };
  });
}

interface Order {
  readonly course: Course;
  state: SagaState | undefined;
  begun: boolean;
}

class Shop {
  readonly outcomes: Record<string, number> = {};
  readonly #simulation: Simulation;
  readonly #mutant: SagaMutant;
  readonly #random: SeededRandom;
  readonly #server: SimulatedStore;
  readonly #services: Services;
  readonly #names: readonly string[];
  readonly #nodes: Map<string, Sagas> = new Map();
  readonly #orders: Map<string, Order> = new Map();
  #closed = false;

  constructor(simulation: Simulation, mutant: SagaMutant) {
    this.#simulation = simulation;
    this.#mutant = mutant;
    const random = this.#random = simulation.random.fork("shop");
    this.#server = simulatedStore(simulation, { latency: [0.2, random.between(1, 30)] });
    this.#services = new Services(simulation);
    this.#names = ["a", "b", "c"].slice(0, 2 + random.below(2));
    for (const name of this.#names) this.#start(name);
    for (let n = 4 + random.below(8); n > 0; n--) {
      const order = `o${n}`;
      this.#orders.set(order, { course: random.pick(COURSES), state: undefined, begun: false });
      simulation.after(random.between(0, FAULTS * 0.7), () => this.#buy(order));
      simulation.after(random.between(0, FAULTS), () => this.#carry(order));
    }
  }

  disturb(): void {
    const simulation = this.#simulation;
    const random = this.#random.fork("faults");
    injectFaults(simulation, {
      network: simulation.network(),
      nodes: this.#names,
      ms: FAULTS,
      restart: (name) => this.#start(name),
      kinds: ["pause", "crash", "jump", "drift"],
    });
    const rate = (most: number): number => random.chance(0.5) ? most * random.fraction() : 0;
    this.#server.change({
      refused: rate(0.1),
      lost: rate(0.1),
      unanswered: rate(0.2),
      slow: rate(0.1),
      broken: rate(0.2),
      silence: random.chance(0.5) ? [20, 200] : [500, 3000],
    });
    this.#services.conditions = {
      refused: rate(0.3),
      lost: rate(0.2),
      unanswered: rate(0.2),
      slow: rate(0.2),
    };
  }

  heal(): void {
    this.#server.heal();
    this.#services.conditions = { refused: 0, lost: 0, unanswered: 0, slow: 0 };
  }

  isDone(): boolean {
    return [...this.#orders.values()].every(({ state }) => state !== undefined);
  }

  unfinished(): string {
    const open = [...this.#orders].filter(([, { state }]) => state === undefined).map(([order]) => order);
    return `${open} did not end: ${JSON.stringify(this.#server.entries())}`;
  }

  judge(): void {
    for (const [order, { course, state }] of this.#orders) {
      const { status, value, fault } = state!;
      const wanted = course === "well" ? "completed" : "compensated";
      const wrong = this.#services.judge(order, status);
      if (status !== wanted) wrong.push(`it ended ${status} (${JSON.stringify(fault)}) instead of ${wanted}`);
      if (status === "completed" && JSON.stringify(value) !== VALUE(order)) wrong.push(JSON.stringify(value));
      if (wrong.length > 0) {
        throw new Error(`${order}, ${course}: ${wrong.join("; ")}: ${JSON.stringify(state)}`);
      }
      this.outcomes[status] = (this.outcomes[status] ?? 0) + 1;
    }
    this.outcomes["repeated"] = this.#services.repeated;
    for (const sagas of this.#nodes.values()) {
      const { resumed } = sagas.counts();
      this.outcomes["resumed"] = (this.outcomes["resumed"] ?? 0) + resumed;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const closing = Promise.all([...this.#nodes.values()].map((sagas) => sagas[Symbol.asyncDispose]()));
    let isClosed = false;
    void closing.then(() => isClosed = true);
    if (!await this.#simulation.until(() => isClosed, 20_000)) throw new Error("the nodes do not close");
    // What a late write left behind goes by itself.
    await this.#simulation.run(70_000);
  }

  assertIdle(): void {
    const left = this.#server.entries().filter(({ key }) => !key.startsWith("sagas/of/"));
    if (left.length > 0) throw new Error(`the store still keeps ${JSON.stringify(left)}`);
    const { timers } = this.#simulation.pending();
    if (timers > 0) throw new Error(`${timers} timers are still running`);
  }

  #start(name: string): void {
    const runtime = this.#simulation.runtime(name);
    const opened = this.#server.open(runtime);
    const store: Store = {
      get: (key, options) => opened.get(key, options),
      put: (key, value, options) => opened.put(key, value, options),
      delete: (key, options) => opened.delete(key, options),
      list: (prefix, options) => opened.list(prefix, options),
      watch: (prefix, options) => opened.watch(prefix, options),
      ...this.#mutant.store?.(opened),
    };
    const sagas = createSagas({ definitions: [checkout], store, runtime, owner: name, ttl: TTL });
    sagas.start(this.#mutant.services?.(this.#services, runtime) ?? this.#services.dispatcher(runtime));
    this.#nodes.set(name, sagas);
  }

  /** Asks a node to begin an order, another if that does not answer, and then how it stands until it has ended. */
  #buy(order: string): void {
    const entry = this.#orders.get(order)!;
    if (this.#closed || entry.state !== undefined) return;
    const sagas = this.#nodes.get(this.#random.pick(this.#names))!;
    // Once it is begun it comes to its end without being asked again.
    const begun = entry.begun
      ? Promise.resolve(`shop.checkout/${order}`)
      : sagas.begin(Checkout({ order, course: entry.course }), { key: order });
    begun.then(async (id) => {
      entry.begun = true;
      const state = await sagas.show(id);
      if (state !== undefined && state.status !== "running" && state.status !== "compensating") {
        entry.state = state;
      }
    }).catch(() => {});
    this.#simulation.after(this.#random.between(500, 2000), () => this.#buy(order));
  }

  /** The carrier says again and again that a parcel was picked up. */
  #carry(order: string): void {
    const { course, state } = this.#orders.get(order)!;
    if (this.#closed || state !== undefined || course === "no carrier") return;
    const sagas = this.#nodes.get(this.#random.pick(this.#names))!;
    sagas.deliver(PickedUp({ order, parcel: 5 }), { id: `picked ${order}` }).catch(() => {});
    this.#simulation.after(this.#random.between(200, 3000), () => this.#carry(order));
  }
}

const VALUE = (order: string): string => JSON.stringify({ label: `shipping.print ${order}`, parcel: 5 });
