/** Nodes that compete for a lease and write with its token, while things go wrong; then everything heals. */

import { acquireLease, type Lease } from "@catga/catga/durable";
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

const KEY = "leases/one";
const TTL = 1000;
/** How long things go wrong, how soon somebody must hold the lease after that, and how long all goes on, in ms. */
const FAULTS = 10_000;
const HEALED = 2 * TTL + 500;
const CALM = 5000;
/** Clocks drift apart by less than the 1 % that leases allow for. */
const DRIFT = 0.0045;
/** How late a timer runs at most, in ms: less than the 1 % that leases allow for. */
const LATENESS = 5;

/** A rule broken on purpose. */
export interface LeaseMutant {
  readonly store?: (store: Store) => Partial<Store>;
  readonly runtime?: (runtime: Runtime) => Runtime;
  /** The resource takes every token. */
  readonly unfenced?: boolean;
}

export interface LeaseOptions {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  readonly mutant?: LeaseMutant;
}

/** What came to pass, to show that something did. */
export interface LeaseOutcome {
  readonly acquired: number;
  readonly accepted: number;
  readonly refused: number;
  readonly lost: Readonly<Record<string, number>>;
  readonly hash: string;
}

/** Rejects with a `SimulationError` when two believe to hold the lease, a token is not larger, or nobody gets it. */
export function runLeases({ seed, drain, mutant = {} }: LeaseOptions): Promise<LeaseOutcome> {
  const replay = (seed: number): string => `SEED=${seed} bun test tests/simulation/lease.test.ts`;
  const world = {
    seed,
    replay,
    skew: 3_600_000,
    drift: DRIFT,
    lateness: LATENESS,
    ...(drain === undefined ? {} : { drain }),
  };
  return simulate(world, async (simulation) => {
    const contest = new Contest(simulation, mutant);
    const names = ["a", "b", "c", "d", "e"].slice(0, 3 + simulation.random.below(3));
    for (const name of names) contest.start(name);
    contest.disturb(names);
    await contest.run(FAULTS);
    contest.heal();
    const { acquired } = contest;
    if (!await contest.until(() => contest.isHeld() || contest.acquired > acquired, HEALED)) {
      throw new Error(`nobody holds the lease ${HEALED} ms after the last fault`);
    }
    const { accepted } = contest;
    await contest.run(CALM);
    if (contest.accepted === accepted) throw new Error(`nothing was written in ${CALM} ms without a fault`);
    contest.stop();
    await contest.run(10 * TTL);
    contest.assertIdle();
    const { refused, lost } = contest;
    return {
      acquired: contest.acquired,
      accepted: contest.accepted,
      refused,
      lost,
      hash: simulation.trace.hash,
    };
  });
}

interface Holding {
  readonly lease: Lease;
  readonly signal: AbortSignal;
}

/** The nodes, the store, what they write to, and what must always be so. */
class Contest {
  acquired = 0;
  accepted = 0;
  refused = 0;
  readonly lost: Record<string, number> = {};
  readonly #simulation: Simulation;
  readonly #server: SimulatedStore;
  readonly #mutant: LeaseMutant;
  readonly #random: SeededRandom;
  readonly #holdings: Map<string, Holding> = new Map();
  /** Until when each node last stood still, in ms; what was held back happens after that at the same time. */
  readonly #stood: Map<string, number> = new Map();
  readonly #stopped: AbortController = new AbortController();
  #granted = 0;
  #written = 0;
  #broken: string | undefined;
  #healed = false;

  constructor(simulation: Simulation, mutant: LeaseMutant) {
    this.#simulation = simulation;
    this.#mutant = mutant;
    this.#random = simulation.random.fork("contest");
    const drift = this.#random.between(-DRIFT, DRIFT);
    this.#server = simulatedStore(simulation, { latency: [0.2, this.#random.between(1, 30)], drift });
  }

  start(name: string): void {
    this.#holdings.delete(name);
    const runtime = this.#simulation.runtime(name);
    const store = this.#server.open(runtime);
    void this.#live(name, changed(store, this.#mutant), this.#mutant.runtime?.(runtime) ?? runtime);
  }

  /** Lets things go wrong; each seed has a part of it. */
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
    cutOff(simulation, this.#server, names, { random, times: 8, ms: FAULTS });
  }

  heal(): void {
    this.#server.heal();
    this.#healed = true;
  }

  isHeld(): boolean {
    return [...this.#holdings].some(([name, { lease }]) => this.#simulation.alive(name) && lease.held());
  }

  /** All let go, and none takes it again. */
  stop(): void {
    this.#stopped.abort();
  }

  assertIdle(): void {
    const entries = this.#server.entries();
    if (entries.length > 0) throw new Error(`the store still keeps ${JSON.stringify(entries)}`);
    const { timers } = this.#simulation.pending();
    if (timers > 0) throw new Error(`${timers} timers are still running`);
  }

  async run(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  async until(condition: () => boolean, ms: number): Promise<boolean> {
    const held = await this.#simulation.until(() => this.#look() !== undefined || condition(), ms);
    if (this.#broken !== undefined) throw new Error(this.#broken);
    return held;
  }

  async #live(name: string, store: Store, runtime: Runtime): Promise<void> {
    const random = this.#random.fork(`${name} ${this.#simulation.time}`);
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const lease = await acquireLease(KEY, { store, runtime, owner: name, ttl: TTL, signal }).catch(
        () => {},
      );
      if (lease === undefined) continue;
      this.#acquired(name, lease);
      for (let steps = random.below(this.#healed ? 10 : 60); steps > 0 && !signal.aborted; steps--) {
        if (!lease.held()) break;
        this.#send(lease.token, random);
        await sleep(runtime, random.between(10, 100), lease.signal);
      }
      if (lease.signal.aborted) this.#count(lease.signal.reason.code);
      await lease.release();
      await sleep(runtime, random.between(0, 200), signal);
    }
  }

  #acquired(name: string, lease: Lease): void {
    this.#simulation.note(`${name} holds ${lease.token}`);
    this.acquired++;
    if (lease.token <= this.#granted) {
      this.#broken = `${name} got token ${lease.token} after ${this.#granted}`;
    }
    this.#granted = lease.token;
    this.#holdings.set(name, { lease, signal: lease.signal });
  }

  #count(code: string): void {
    this.lost[code] = (this.lost[code] ?? 0) + 1;
  }

  /** Writes to the resource; some of it arrives long after. */
  #send(token: number, random: SeededRandom): void {
    const ms = random.chance(0.05) ? random.between(0, 3000) : random.between(0, 20);
    this.#simulation.after(ms, () => {
      if (token < this.#written && this.#mutant.unfenced !== true) {
        this.refused++;
        return;
      }
      if (token < this.#written) this.#broken = `token ${token} was accepted after ${this.#written}`;
      this.#written = token;
      this.accepted++;
    });
  }

  /** What must be so after every event. */
  #look(): string | undefined {
    const { time } = this.#simulation;
    let holder: string | undefined;
    let newest = 0;
    for (const [name, { lease }] of this.#holdings) {
      if (!this.#simulation.alive(name)) continue;
      if (this.#simulation.paused(name)) this.#stood.set(name, Infinity);
      else if (this.#stood.get(name) === Infinity) this.#stood.set(name, time);
      newest = Math.max(newest, lease.token);
      if (!lease.held()) continue;
      if (holder !== undefined) this.#broken ??= `${holder} and ${name} both believe they hold the lease`;
      holder = name;
    }
    for (const [name, { lease, signal }] of this.#holdings) {
      const stood = this.#stood.get(name) ?? -1;
      const runs = this.#simulation.alive(name) && stood < time;
      if (runs && lease.token < newest && !signal.aborted) {
        this.#broken ??= `${name} was not told that it lost token ${lease.token} when ${newest} was given`;
      }
    }
    return this.#broken;
  }
}

function changed(store: Store, { store: change }: LeaseMutant): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
    ...change?.(store),
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
