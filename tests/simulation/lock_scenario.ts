/** Processes that count under a lock, each with several workers, while things go wrong; then everything heals. */

import { createLocks, type Lease } from "@catga/catga/durable";
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
import { cutOff } from "./cut_off.ts";

const NAMES = ["x", "x/1"];
const TTL = 1000;
const FAULTS = 10_000;
const CALM = 8000;
const LONGEST = 5 * CALM;
const DRIFT = 0.0045;

/** A rule broken on purpose. */
export interface LockMutant {
  readonly store: (store: Store) => Partial<Store>;
}

export interface LockScenarioOptions {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  readonly mutant?: LockMutant;
}

/** What came to pass, to show that something did. */
export interface LockOutcome {
  readonly counted: number;
  readonly refused: number;
  readonly lost: number;
  readonly late: number;
  readonly hash: string;
}

/** Rejects with a `SimulationError` when two hold a lock, a step of a counter is lost, or one process goes empty. */
export function runLocks({ seed, drain, mutant }: LockScenarioOptions): Promise<LockOutcome> {
  const replay = (seed: number): string => `SEED=${seed} bun test tests/simulation/lock.test.ts`;
  const world = {
    seed,
    replay,
    skew: 3_600_000,
    drift: DRIFT,
    lateness: 5,
    ...(drain === undefined ? {} : { drain }),
  };
  return simulate(world, async (simulation) => {
    const office = new Office(simulation, mutant);
    const names = ["a", "b", "c", "d"].slice(0, 2 + simulation.random.below(3));
    for (const name of names) office.start(name);
    office.disturb(names);
    await office.run(FAULTS);
    office.heal();
    await office.run(2 * TTL + 500);
    const before = office.turns();
    const waits = (): string | undefined =>
      names.find((name) => (office.turns()[name] ?? 0) <= (before[name] ?? 0));
    // Chance decides who comes first, and some hold it for seconds.
    for (let time = 0; time < LONGEST && (time === 0 || waits() !== undefined); time += CALM) {
      await office.run(CALM);
    }
    if (waits() !== undefined) throw new Error(`"${waits()}" got no turn in ${LONGEST} ms`);
    office.stop();
    await office.run(10 * TTL);
    office.assertIdle();
    const { counted, refused, lost, late } = office;
    return { counted, refused, lost, late, hash: simulation.trace.hash };
  });
}

/** What is counted under a lock: it takes no step with a token lower than the highest it has seen. */
interface Counter {
  value: number;
  token: number;
  granted: number;
  steps: number;
}

class Office {
  counted = 0;
  refused = 0;
  lost = 0;
  late = 0;
  readonly #simulation: Simulation;
  readonly #server: SimulatedStore;
  readonly #mutant: LockMutant | undefined;
  readonly #random: SeededRandom;
  readonly #counters: Map<string, Counter> = new Map();
  readonly #holders: Map<string, Map<string, Lease>> = new Map();
  readonly #turns: Record<string, number> = {};
  readonly #stopped: AbortController = new AbortController();
  #broken: string | undefined;

  constructor(simulation: Simulation, mutant: LockMutant | undefined) {
    this.#simulation = simulation;
    this.#mutant = mutant;
    const random = this.#random = simulation.random.fork("office");
    this.#server = simulatedStore(simulation, {
      latency: [0.2, random.between(1, 30)],
      drift: random.between(-DRIFT, DRIFT),
    });
    for (const name of NAMES) {
      this.#counters.set(name, { value: 0, token: 0, granted: 0, steps: 0 });
      this.#holders.set(name, new Map());
    }
  }

  start(node: string): void {
    const runtime = this.#simulation.runtime(node);
    for (const holders of this.#holders.values()) holders.delete(node);
    const own = this.#server.open(runtime);
    const store: Store = {
      get: (key, options) => own.get(key, options),
      put: (key, value, options) => own.put(key, value, options),
      delete: (key, options) => own.delete(key, options),
      list: (prefix, options) => own.list(prefix, options),
      watch: (prefix, options) => own.watch(prefix, options),
      ...this.#mutant?.store(own),
    };
    const locks = createLocks({ store, runtime, owner: node, ttl: TTL });
    const { signal } = this.#stopped;
    for (let worker = 0; worker < 4; worker++) {
      const random = this.#random.fork(`${node} ${worker} ${this.#simulation.time}`);
      void (async () => {
        while (!signal.aborted) {
          const name = random.pick(NAMES);
          await locks.run(name, (held) => this.#work(node, name, held, runtime, random), {
            timeout: random.chance(0.2) ? random.between(0, 300) : 20_000,
            signal,
          }).catch((error) => {
            if (error.code === "CONFLICT" && error.message.includes("lost")) this.lost++;
            else if (error.code === "TIMEOUT") error.message.includes("lost") ? this.lost++ : this.late++;
          });
          await sleep(runtime, random.between(0, 20));
        }
      })();
    }
    signal.addEventListener(
      "abort",
      () => runtime.clock.timer(5000, () => void locks[Symbol.asyncDispose]()),
    );
  }

  disturb(names: readonly string[]): void {
    const simulation = this.#simulation;
    const random = this.#random.fork("faults");
    injectFaults(simulation, {
      network: simulation.network(),
      nodes: names,
      ms: FAULTS,
      restart: (name) => this.start(name),
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
    cutOff(simulation, this.#server, names, { random, times: 6, ms: FAULTS });
  }

  heal(): void {
    this.#server.heal();
  }

  stop(): void {
    this.#stopped.abort();
  }

  turns(): Record<string, number> {
    return { ...this.#turns };
  }

  assertIdle(): void {
    const entries = this.#server.entries();
    if (entries.length > 0) throw new Error(`the store still keeps ${JSON.stringify(entries)}`);
    const { timers } = this.#simulation.pending();
    if (timers > 0) throw new Error(`${timers} timers are still running`);
    for (const [name, { value, steps }] of this.#counters) {
      if (value !== steps) throw new Error(`the counter of "${name}" is ${value} after ${steps} steps`);
    }
  }

  async run(ms: number): Promise<void> {
    await this.#simulation.until(() => this.#look() !== undefined, ms);
    if (this.#broken !== undefined) throw new Error(this.#broken);
  }

  /** Reads a counter, works, and writes it: what was read is old if anybody else was there meanwhile. */
  async #work(
    node: string,
    name: string,
    held: Lease,
    runtime: Runtime,
    random: SeededRandom,
  ): Promise<void> {
    const counter = this.#counters.get(name)!;
    if (held.token <= counter.granted) {
      this.#broken ??= `token ${held.token} was given after ${counter.granted}`;
    }
    counter.granted = held.token;
    const before = this.#holders.get(name)!.get(node);
    if (before?.held() === true) this.#broken ??= `two of "${node}" hold "${name}"`;
    this.#holders.get(name)!.set(node, held);
    this.#turns[node] = (this.#turns[node] ?? 0) + 1;
    // Reading with a token refuses all who were before.
    counter.token = Math.max(counter.token, held.token);
    const seen = counter.value;
    await sleep(runtime, random.chance(0.05) ? random.between(0, 2000) : random.between(0, 30));
    // The write arrives a little later, or long after.
    const late = random.chance(0.05) ? random.between(0, 3000) : random.between(0, 10);
    await new Promise<void>((resolve) => {
      this.#simulation.after(late, () => {
        if (held.token < counter.token) this.refused++;
        else {
          counter.value = seen + 1;
          counter.steps++;
          this.counted++;
        }
        resolve();
      });
    });
  }

  #look(): string | undefined {
    for (const [name, holders] of this.#holders) {
      let holder: string | undefined;
      for (const [node, lease] of holders) {
        if (!this.#simulation.alive(node) || !lease.held()) continue;
        if (holder !== undefined) this.#broken ??= `"${holder}" and "${node}" both hold "${name}"`;
        holder = node;
      }
    }
    return this.#broken;
  }
}

function sleep({ clock }: Runtime, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.timer(ms, resolve));
}
