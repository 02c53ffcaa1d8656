/** Reliable events between nodes that crash, stand still and are cut off from their queue and their store. */

import { createMediator, on, reliableEvent, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { records } from "@catga/catga/durable";
import { type Queue, type Runtime, type Store, withStorage } from "@catga/catga/ports";
import {
  type Drain,
  FAULT_KINDS,
  injectFaults,
  type SeededRandom,
  simulate,
  type SimulatedNetwork,
  type SimulatedQueue,
  simulatedQueue,
  type SimulatedStore,
  simulatedStore,
  type Simulation,
} from "@catga/catga/testing";
import { cutOff } from "./cut_off.ts";

/** How long things go wrong, and how soon after that all that was published has been heard, in ms. */
const FAULTS = 6000;
const HEALED = 60_000;
/** How long events are published beside one that ends its processes, in ms, and how often it may have company. */
const KILLER = 5000;
const COMPANY = 3;
const LEASE = 1000;
const KEYS = 6;
/** One of so many can be handled by nobody. */
const POISON = 13;
/** The key of an event that ends each process which handles it, in some seeds. */
const DEADLY = "deadly";
/** Clocks drift apart by less than the 1 % that leases allow for, and timers are less late than that. */
const DRIFT = 0.0045;
const LATENESS = 4;

interface Body {
  readonly key: string;
  readonly n: number;
}
const policy = { attempts: 2, redeliver: [100, 400, 1000] };
/** In how many rounds an event fails before it is a dead letter. */
const ROUNDS = policy.redeliver.length + 1;
const key = ({ key }: Body): string => key;
const Told = reliableEvent("told", { data: type<Body>(), key, delivery: policy, timeout: 2000 });
const Counted = reliableEvent("counted", {
  data: type<Body>(),
  key,
  delivery: { ...policy, qos: 2 },
  timeout: 2000,
});

/** A rule broken on purpose. */
export interface DeliveryMutant {
  readonly queue?: (queue: Queue) => Partial<Queue>;
  readonly store?: (store: Store) => Partial<Store>;
}

export interface DeliveryOptions {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  readonly mutant?: DeliveryMutant;
}

/** What came to pass, to show that something did. */
export interface DeliveryOutcome {
  readonly published: number;
  readonly heard: number;
  readonly again: number;
  readonly letters: number;
  readonly ended: number;
  readonly hash: string;
}

/**
 * Rejects with a `SimulationError` when an event is lost, out of order, has its effect twice, or is a dead letter though
 * it has not failed often enough.
 */
export function runDeliveries({ seed, drain, mutant = {} }: DeliveryOptions): Promise<DeliveryOutcome> {
  const world = {
    seed,
    replay: (seed: number): string => `SEED=${seed} bun test tests/simulation/deliveries.test.ts`,
    skew: 60_000,
    drift: DRIFT,
    lateness: LATENESS,
    ...(drain === undefined ? {} : { drain }),
  };
  return simulate(world, async (simulation) => {
    const post = new PostOffice(simulation, mutant);
    const names = ["a", "b", "c", "d"].slice(0, 2 + simulation.random.below(3));
    for (const name of names) post.start(name);
    if (!await post.until(() => post.ready(names), 5000)) throw new Error("not all nodes have joined");
    post.disturb(names);
    post.publish(names);
    await post.until(() => false, FAULTS);
    post.heal();
    await post.kill(names);
    post.stop();
    if (!await post.until(() => post.done(), HEALED)) throw new Error(`not all was heard: ${post.left()}`);
    if (!await post.until(() => post.ready(names), 10_000)) throw new Error("not all nodes are back");
    if (!await post.leave()) throw new Error("not all nodes have left in time");
    post.judge();
    await post.until(() => false, 8000);
    post.assertIdle();
    return { ...post.counts, hash: simulation.trace.hash };
  });
}

/** The nodes, what they share, and what must always be so. */
class PostOffice {
  readonly counts = { published: 0, heard: 0, again: 0, letters: 0, ended: 0 };
  readonly #simulation: Simulation;
  readonly #mutant: DeliveryMutant;
  readonly #random: SeededRandom;
  readonly #network: SimulatedNetwork;
  readonly #store: SimulatedStore;
  readonly #queue: SimulatedQueue;
  readonly #nodes: Map<string, Node> = new Map();
  /** The numbers of each kind and key that were acknowledged, and that were handled well. */
  readonly #acknowledged: Map<string, Set<number>> = new Map();
  readonly #handled: Map<string, Set<number>> = new Map();
  readonly #lives: Map<string, Runtime> = new Map();
  /** How often each event was begun, and how many are being handled in each life. */
  readonly #begun: Map<string, number> = new Map();
  readonly #busy: Map<Runtime, number> = new Map();
  #company = 0;
  #stopped = false;
  #open = 0;
  #broken: string | undefined;

  constructor(simulation: Simulation, mutant: DeliveryMutant) {
    this.#simulation = simulation;
    this.#mutant = mutant;
    this.#random = simulation.random.fork("post");
    this.#network = simulation.network({ latency: [0.2, 5] });
    const drift = this.#random.between(-DRIFT, DRIFT);
    this.#store = simulatedStore(simulation, { latency: [0.2, this.#random.between(1, 10)], drift });
    this.#queue = simulatedQueue(simulation, { latency: [0.2, this.#random.between(1, 10)], drift });
  }

  start(name: string): void {
    this.#nodes.delete(name);
    const runtime = this.#simulation.runtime(name);
    this.#lives.set(name, runtime);
    const store = changed(this.#store.open(runtime), this.#mutant.store);
    const queue = changed(this.#queue.open(runtime), this.#mutant.queue);
    const counters = records<Readonly<Record<string, number>>>("counters", { store, runtime });
    const app = createMediator({
      runtime,
      handlers: [
        on(Told, (body) => {
          if (body.key === DEADLY) return this.#end(name, runtime);
          return this.#work("told", runtime, body, () => Promise.resolve());
        }, { name: "log" }),
        on(Counted, (body, context) => {
          return this.#work("counted", runtime, body, async () => {
            await counters.update(
              body.key,
              (counts = {}) => ({ ...counts, [body.n]: (counts[body.n] ?? 0) + 1 }),
              {
                context,
              },
            );
          });
        }, { name: "count" }),
      ],
    });
    const backend = withStorage(this.#network.backend, () => ({ durability: "process", store, queue }));
    void joinCluster(app, {
      node: name,
      endpoint: `sim:${name}`,
      backend,
      timing: "fast",
      service: "post",
      deliveries: { lease: LEASE, concurrency: 4 },
      callTimeout: 3000,
      drain: 500,
    }).then((node) => this.#nodes.set(name, node));
  }

  ready(names: readonly string[]): boolean {
    return names.every((name) => this.#nodes.get(name)?.status === "ready");
  }

  /** Lets things go wrong; each seed has a part of it. */
  disturb(names: readonly string[]): void {
    const random = this.#random.fork("faults");
    injectFaults(this.#simulation, {
      network: this.#network,
      nodes: names,
      ms: FAULTS,
      restart: (name) => this.start(name),
      kinds: FAULT_KINDS,
    });
    for (const server of [this.#store, this.#queue]) {
      const rate = (most: number): number => random.chance(0.5) ? most * random.fraction() : 0;
      server.change({
        refused: rate(0.05),
        lost: rate(0.05),
        unanswered: rate(0.1),
        slow: rate(0.05),
        silence: random.chance(0.5) ? [20, 200] : [500, 3000],
      });
      cutOff(this.#simulation, server, names, { random, times: 4, ms: FAULTS });
    }
  }

  heal(): void {
    this.#store.heal();
    this.#queue.heal();
  }

  /** In some seeds, lets an event end whichever process handles it, beside all the others. */
  async kill(names: readonly string[]): Promise<void> {
    if (this.#random.chance(0.6)) return;
    const line = `told ${DEADLY}`;
    this.#acknowledged.set(line, new Set());
    this.#handled.set(line, new Set());
    await this.until(() => this.ready(names), 10_000);
    void this.#nodes.get(names[0]!)!.publish(Told({ key: DEADLY, n: 0 })).then((result) => {
      if (result.ok) this.#acknowledged.get(line)!.add(0);
    });
    await this.until(() => false, KILLER);
  }

  /** Publishes the numbers of each key one after the other: the next when the one before is kept or given up. */
  publish(names: readonly string[]): void {
    const random = this.#random.fork("load");
    for (let at = 0; at < KEYS; at++) {
      const kind = at % 2 === 0 ? "told" : "counted";
      const line = `${kind} k${at}`;
      this.#acknowledged.set(line, new Set());
      this.#handled.set(line, new Set());
      let n = 0;
      const next = (): void => {
        if (this.#stopped) return;
        const name = random.pick(names);
        const node = this.#nodes.get(name);
        const again = (): void => void this.#simulation.after(random.between(5, 200), next);
        if (node?.status !== "ready" || !this.#runs(name)) return again();
        const body = { key: `k${at}`, n: n++ };
        const life = this.#lives.get(name);
        let over = false;
        const end = (): void => {
          if (over) return;
          over = true;
          this.#open--;
          again();
        };
        this.#open++;
        // Who crashes never hears what came of it.
        this.#simulation.after(10_000, end);
        void node.publish(kind === "told" ? Told(body) : Counted(body)).then((result) => {
          if (result.ok && this.#lives.get(name) === life) {
            this.#acknowledged.get(line)!.add(body.n);
            this.counts.published++;
          }
          end();
        });
      };
      next();
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Whether nobody publishes any longer and the queue is empty. */
  done(): boolean {
    return this.#open === 0 && this.#queue.pending().length === 0;
  }

  left(): string {
    return `${this.#open} being published, ${JSON.stringify(this.#queue.pending().slice(0, 5))}`;
  }

  async leave(): Promise<boolean> {
    let left = 0;
    for (const node of this.#nodes.values()) void node.leave().then(() => left++);
    return await this.until(() => left === this.#nodes.size, 20_000);
  }

  /** What was acknowledged was handled or is a dead letter, and has had its effect once. */
  judge(): void {
    const entries = this.#store.entries();
    const letters = new Set<string>();
    for (const { key, value } of entries) {
      if (!key.startsWith("dead-letters/")) continue;
      const { type, body, attempts } = letterOf(value);
      const event = `${type} ${body.key} ${body.n}`;
      letters.add(event);
      const begun = this.#begun.get(event) ?? 0;
      if (body.key === DEADLY) continue;
      if (attempts < ROUNDS || begun < attempts) {
        throw new Error(`${event} is a dead letter of ${attempts} attempts, but was begun ${begun} times`);
      }
      // What has an effect may fail each time while its store is away.
      if (type === "told" && body.n % POISON !== POISON - 1) throw new Error(`${event} is a dead letter`);
    }
    this.counts.letters = letters.size;
    for (const [line, numbers] of this.#acknowledged) {
      const handled = this.#handled.get(line)!;
      for (const n of numbers) {
        if (!handled.has(n) && !letters.has(`${line} ${n}`)) throw new Error(`${line} ${n} is lost`);
      }
    }
    for (const { key, value } of entries) {
      if (!key.startsWith("records/counters/")) continue;
      const counts = stateOf(value);
      for (const [n, count] of Object.entries(counts)) {
        if (count !== 1) throw new Error(`"${key}" has counted ${n} ${count} times`);
      }
      const line = `counted ${key.slice("records/counters/".length)}`;
      for (const n of this.#handled.get(line) ?? []) {
        if (counts[n] !== 1) throw new Error(`${line} ${n} was handled, but has no effect`);
      }
    }
  }

  assertIdle(): void {
    const { timers, background, exchanges } = this.#simulation.pending();
    if (timers + background + exchanges > 0) {
      throw new Error(`${timers} timers, ${background} tasks and ${exchanges} exchanges are still there`);
    }
  }

  async until(condition: () => boolean, ms: number): Promise<boolean> {
    const held = await this.#simulation.until(() => this.#broken !== undefined || condition(), ms);
    if (this.#broken !== undefined) throw new Error(this.#broken);
    return held;
  }

  #runs(name: string): boolean {
    return this.#simulation.alive(name) && !this.#simulation.paused(name);
  }

  /** Handles an event: after those before it, not beside another of its key, and not always well. */
  async #work(
    kind: string,
    life: Runtime,
    { key, n }: Body,
    effect: () => Promise<void>,
  ): Promise<void> {
    const line = `${kind} ${key}`;
    const handled = this.#handled.get(line)!;
    if (handled.has(n)) this.counts.again++;
    for (const before of this.#acknowledged.get(line)!) {
      if (before < n && !handled.has(before) && !this.#buried(line, before)) {
        this.#fail(`${line} ${n} began before ${before} was handled`);
      }
    }
    const event = `${line} ${n}`;
    this.#begun.set(event, (this.#begun.get(event) ?? 0) + 1);
    this.#busy.set(life, (this.#busy.get(life) ?? 0) + 1);
    try {
      await this.#handle(life, n, effect);
    } finally {
      this.#busy.set(life, this.#busy.get(life)! - 1);
    }
    this.counts.heard++;
    handled.add(n);
  }

  async #handle({ clock }: Runtime, n: number, effect: () => Promise<void>): Promise<void> {
    if (this.#random.chance(0.3)) {
      await new Promise<void>((resolve) => void clock.timer(this.#random.between(1, 200), resolve));
    }
    if (this.#random.chance(0.1) || n % POISON === POISON - 1) throw new Error("It breaks");
    await effect();
  }

  /** Ends a node, and starts it again a little later. */
  async #end(name: string, life: Runtime): Promise<void> {
    await new Promise<void>((resolve) => void life.clock.timer(20, resolve));
    this.counts.ended++;
    if ((this.#busy.get(life) ?? 0) > 0 && ++this.#company > COMPANY) {
      this.#fail("an event that ends its processes had company each time");
    }
    this.#simulation.after(0, () => {
      if (this.#lives.get(name) !== life || !this.#simulation.alive(name)) return;
      this.#simulation.crash(name);
      this.#nodes.delete(name);
      this.#simulation.after(this.#random.between(50, 500), () => this.start(name));
    });
    await new Promise(() => {});
  }

  #buried(line: string, n: number): boolean {
    return this.#store.entries().some(({ key, value }) => {
      if (!key.startsWith("dead-letters/")) return false;
      const { type, body } = letterOf(value);
      return `${type} ${body.key}` === line && body.n === n;
    });
  }

  #fail(what: string): void {
    this.#broken ??= what;
  }
}

interface Letter {
  readonly type: string;
  readonly body: Body;
  readonly attempts: number;
}

function letterOf(value: string): Letter {
  const { topic: type, body: text, attempts } = JSON.parse(value) as {
    readonly topic: string;
    readonly body: string;
    readonly attempts: number;
  };
  const payload = JSON.parse(text) as string;
  const [, , [, , , body]] = JSON.parse(payload) as [number, string, [string, string, number, Body]];
  return { type, body, attempts };
}

function stateOf(value: string): Readonly<Record<string, number>> {
  return JSON.parse(value.slice(value.lastIndexOf("\n") + 1)) as Readonly<Record<string, number>>;
}

function changed<T extends object>(port: T, change: ((port: T) => Partial<T>) | undefined): T {
  if (change === undefined) return port;
  const changes = change(port);
  return new Proxy(port, {
    get: (target, name) => {
      const own: unknown = Reflect.get(changes, name);
      const member: unknown = own ?? Reflect.get(target, name, target);
      return typeof member === "function" && own === undefined ? member.bind(target) : member;
    },
  });
}
