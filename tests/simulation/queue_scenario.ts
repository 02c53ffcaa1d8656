/** Producers and consumers that crash and stand still beside a queue that is hard to reach; then everything heals. */

import type { CatgaError } from "@catga/catga";
import type { Delivery, Queue, Runtime } from "@catga/catga/ports";
import {
  type Drain,
  injectFaults,
  type SeededRandom,
  simulate,
  type SimulatedQueue,
  simulatedQueue,
  type Simulation,
} from "@catga/catga/testing";

const TOPIC = "orders";
const GROUPS = ["billing", "shipping"];
const KEYS = 4;
const LEASE = 400;
/** How long things go wrong, and how soon all must be done with after that, in ms. */
const FAULTS = 6000;
const HEALED = 20_000;
/** Clocks drift apart by less than the 1 % that a lease is believed to be shorter. */
const DRIFT = 0.0045;
const MARGIN = 0.01;

/** A rule broken on purpose. */
export interface QueueMutant {
  readonly queue?: (queue: Queue) => Partial<Queue>;
  /** Consumers do not look whether their lease is over. */
  readonly unfenced?: boolean;
  /** Consumers acknowledge before they do anything. */
  readonly hasty?: boolean;
}

export interface QueueScenarioOptions {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  readonly mutant?: QueueMutant;
}

/** What came to pass, to show that something did. */
export interface QueueOutcome {
  readonly pushed: number;
  /** Items that were done more than once by a group. */
  readonly repeated: number;
  /** Deliveries whose lease was over before they were done. */
  readonly late: number;
  /** Acknowledgements that came too late. */
  readonly conflicts: number;
  readonly crashes: number;
  readonly hash: string;
}

/** Rejects with a `SimulationError` when an item is lost, done out of order or by two at a time, or stays. */
export function runQueue({ seed, drain, mutant = {} }: QueueScenarioOptions): Promise<QueueOutcome> {
  const replay = (seed: number): string => `SEED=${seed} bun test tests/simulation/queue.test.ts`;
  const world = { seed, replay, skew: 3_600_000, drift: DRIFT, ...(drain === undefined ? {} : { drain }) };
  return simulate(world, async (simulation) => {
    const shop = new Shop(simulation, mutant);
    await shop.begin();
    shop.disturb();
    await shop.run(FAULTS);
    shop.heal();
    if (!await shop.until(() => shop.isDone(), HEALED)) {
      throw new Error(`${shop.left()} are left ${HEALED} ms after the last fault`);
    }
    shop.stop();
    await shop.run(10 * LEASE);
    shop.assertAll();
    const { repeated, late, conflicts, crashes } = shop;
    return { pushed: shop.pushed, repeated, late, conflicts, crashes, hash: simulation.trace.hash };
  });
}

/** The nodes, the queue, what was done, and what must always be so. */
class Shop {
  repeated = 0;
  late = 0;
  conflicts = 0;
  crashes = 0;
  readonly #simulation: Simulation;
  readonly #server: SimulatedQueue;
  readonly #mutant: QueueMutant;
  readonly #random: SeededRandom;
  readonly #producers: readonly string[] = ["p1", "p2"];
  readonly #consumers: readonly string[] = ["c1", "c2", "c3"];
  readonly #stopped: AbortController = new AbortController();
  /** How many items each producer has to push, and how many it knows to be kept. */
  readonly #wanted: number;
  readonly #kept: Map<string, number> = new Map();
  /** Items by group and key, in the order in which they were done first. */
  readonly #done: Map<string, string[]> = new Map();
  #broken: string | undefined;

  constructor(simulation: Simulation, mutant: QueueMutant) {
    this.#simulation = simulation;
    this.#mutant = mutant;
    this.#random = simulation.random.fork("shop");
    this.#wanted = 10 + this.#random.below(40);
    const drift = this.#random.between(-DRIFT, DRIFT);
    this.#server = simulatedQueue(simulation, { latency: [0.2, this.#random.between(1, 30)], drift });
  }

  get pushed(): number {
    return [...this.#kept.values()].reduce((sum, count) => sum + count, 0);
  }

  async begin(): Promise<void> {
    const queue = this.#server.open(this.#simulation.runtime("setup"));
    let begun = 0;
    for (const group of GROUPS) void queue.subscribe(TOPIC, group).then(() => begun++);
    await this.until(() => begun === GROUPS.length, 1000);
    for (const name of [...this.#producers, ...this.#consumers]) this.#start(name);
  }

  /** Lets things go wrong; each seed has a part of it. */
  disturb(): void {
    const simulation = this.#simulation;
    const random = this.#random.fork("faults");
    const nodes = [...this.#producers, ...this.#consumers];
    injectFaults(simulation, {
      network: simulation.network(),
      nodes,
      ms: FAULTS,
      restart: (name) => {
        this.crashes++;
        this.#start(name);
      },
      kinds: ["pause", "crash", "jump", "drift"],
    });
    const rate = (most: number): number => random.chance(0.5) ? most * random.fraction() : 0;
    this.#server.change({
      refused: rate(0.1),
      lost: rate(0.1),
      unanswered: rate(0.2),
      slow: rate(0.1),
      slowLatency: [50, 2000],
      silence: random.chance(0.5) ? [20, 200] : [500, 1500],
    });
    for (let times = random.below(8); times > 0; times--) {
      const node = random.pick(nodes);
      const at = random.between(0, FAULTS);
      simulation.after(at, () => this.#server.cut(node));
      simulation.after(Math.min(at + random.between(50, 2000), FAULTS), () => this.#server.mend(node));
    }
  }

  heal(): void {
    this.#server.heal();
  }

  stop(): void {
    this.#stopped.abort();
  }

  isDone(): boolean {
    return this.pushed === this.#producers.length * this.#wanted && this.#server.pending().length === 0;
  }

  left(): string {
    return `${this.#producers.length * this.#wanted - this.pushed} to push and ${
      JSON.stringify(this.#server.pending().slice(0, 3))
    } of ${this.#server.pending().length}`;
  }

  assertAll(): void {
    for (const group of GROUPS) {
      const done = [...this.#done].filter(([slot]) => slot.startsWith(`${group} `)).flatMap(([, ids]) => ids);
      const wanted = this.#producers.length * this.#wanted;
      if (done.length !== wanted) throw new Error(`${group} has done ${done.length} of ${wanted} items`);
    }
    const { timers } = this.#simulation.pending();
    if (timers > 0) throw new Error(`${timers} timers are still running`);
  }

  async run(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  async until(condition: () => boolean, ms: number): Promise<boolean> {
    const held = await this.#simulation.until(() => this.#broken !== undefined || condition(), ms);
    if (this.#broken !== undefined) throw new Error(this.#broken);
    return held;
  }

  #start(name: string): void {
    const runtime = this.#simulation.runtime(name);
    const random = this.#random.fork(`${name} ${this.#simulation.time}`);
    const queue = changed(this.#server.open(runtime), this.#mutant);
    if (this.#producers.includes(name)) void this.#produce(name, queue, runtime, random);
    else for (const group of GROUPS) void this.#consume(name, group, queue, runtime, random);
  }

  /** Pushes one item after the other, each until it is kept; after a crash it begins with the one it was at. */
  async #produce(name: string, queue: Queue, runtime: Runtime, random: SeededRandom): Promise<void> {
    for (let count = this.#kept.get(name) ?? 0; count < this.#wanted;) {
      const key = keyOf(name, count);
      const ms = random.between(0, FAULTS / this.#wanted);
      try {
        await queue.push(TOPIC, [{ id: `${name}/${count}`, key, payload: `${count}` }]);
        this.#kept.set(name, ++count);
      } catch (thrown) {
        if ((thrown as CatgaError).code === "VALIDATION") this.#broken = `${thrown}`;
      }
      await sleep(runtime, ms, this.#stopped.signal);
    }
  }

  async #consume(
    name: string,
    group: string,
    queue: Queue,
    runtime: Runtime,
    random: SeededRandom,
  ): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const began = runtime.clock.mono();
      const patience = new AbortController();
      const giveUp = (): void => patience.abort();
      const stop = runtime.clock.timer(random.between(100, 2000), giveUp);
      signal.addEventListener("abort", giveUp);
      try {
        const options = { max: 1 + random.below(4), lease: LEASE, wait: 1000, signal: patience.signal };
        const taken = await queue.pull(TOPIC, group, options);
        const until = began + LEASE * (1 - MARGIN);
        await Promise.all(taken.map((delivery) => this.#work(name, group, delivery, runtime, random, until)));
      } catch (thrown) {
        const { code } = thrown as CatgaError;
        if (code === "CONFLICT") this.conflicts++;
        else if (!["TRANSPORT", "UNAVAILABLE", "CANCELLED"].includes(code)) {
          this.#broken = `${name}: ${thrown}`;
        }
        await sleep(runtime, random.between(1, 50), signal);
      } finally {
        stop();
        signal.removeEventListener("abort", giveUp);
      }
    }
  }

  async #work(
    name: string,
    group: string,
    delivery: Delivery,
    runtime: Runtime,
    random: SeededRandom,
    until: number,
  ): Promise<void> {
    const { clock } = runtime;
    const { hasty, unfenced } = this.#mutant;
    if (hasty) await delivery.ack();
    let held = until;
    await sleep(runtime, random.between(0, LEASE / 4), this.#stopped.signal);
    if (random.chance(0.3)) {
      const began = clock.mono();
      await delivery.extend(LEASE);
      held = Math.max(held, began + LEASE * (1 - MARGIN));
    }
    await sleep(runtime, random.between(0, random.chance(0.1) ? 2 * LEASE : LEASE / 4), this.#stopped.signal);
    if (clock.mono() >= held && !unfenced) {
      this.late++;
      return;
    }
    if (random.chance(0.1)) return await delivery.retry(random.between(0, 100));
    this.#effect(name, group, delivery);
    if (!hasty) await delivery.ack();
  }

  /** What a group does with an item, at one instant at which it has it in hands. */
  #effect(name: string, group: string, { id }: Delivery): void {
    const [producer, count] = id.split("/") as [string, string];
    const key = keyOf(producer, Number(count));
    const slot = `${group} ${key}`;
    const done = this.#done.get(slot) ?? [];
    this.#done.set(slot, done);
    this.#simulation.note(`${name} does ${id} for ${group}`);
    const pending = this.#server.pending().filter((item) =>
      item.group === group && ownKeyOf(item.id) === key
    );
    if (pending[0]?.id !== id && this.#mutant.hasty !== true) {
      this.#broken ??= `${name} does ${id} for ${group}, but ${pending[0]?.id ?? "nothing"} is due`;
    }
    if (done.includes(id)) {
      this.repeated++;
      if (done.at(-1) !== id) this.#broken ??= `${name} does ${id} for ${group} again after ${done.at(-1)}`;
      return;
    }
    const last = done.at(-1);
    const next = last === undefined ? Number(count) % KEYS : Number(last.split("/")[1]) + KEYS;
    if (Number(count) !== next) this.#broken ??= `${name} does ${id} for ${group} after ${last ?? "nothing"}`;
    done.push(id);
  }
}

/** Each key is of one producer: who is to be heard in order has to speak in order. */
function keyOf(producer: string, count: number): string {
  return `${producer} ${count % KEYS}`;
}

function ownKeyOf(id: string): string {
  const [producer, count] = id.split("/") as [string, string];
  return keyOf(producer, Number(count));
}

function changed(queue: Queue, { queue: change }: QueueMutant): Queue {
  return {
    window: queue.window,
    ordered: queue.ordered,
    push: (topic, items, options) => queue.push(topic, items, options),
    subscribe: (topic, group, options) => queue.subscribe(topic, group, options),
    unsubscribe: (topic, group, options) => queue.unsubscribe(topic, group, options),
    pull: (topic, group, options) => queue.pull(topic, group, options),
    backlog: (topic, group, options) => queue.backlog(topic, group, options),
    ...change?.(queue),
  };
}

function sleep({ clock }: Runtime, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const wake = (): void => {
      stop();
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const stop = clock.timer(ms, wake);
    signal.addEventListener("abort", wake, { once: true });
  });
}
