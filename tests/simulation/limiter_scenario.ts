/** Nodes that share a rate limit, while things go wrong; then everything heals. */

import { createRateLimiter } from "@catga/catga/durable";
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

/** How long things go wrong, in ms. */
const FAULTS = 10_000;
/** Clocks drift apart by less than the 1 % that a limiter allows for. */
const DRIFT = 0.0045;

/** A rule broken on purpose. */
export interface LimiterMutant {
  readonly store?: (store: Store) => Partial<Store>;
  readonly runtime?: (runtime: Runtime) => Runtime;
}

export interface LimiterScenarioOptions {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  readonly mutant?: LimiterMutant;
}

/** What came to pass, to show that something did. */
export interface LimiterOutcome {
  readonly allowed: number;
  readonly refused: number;
  readonly failed: number;
  /** How much of the limit was reached once everything was well, from 0 to 1. */
  readonly reached: number;
  /** How much of what the slots can give that is. */
  readonly ofPossible: number;
  readonly hash: string;
}

/** Rejects with a `SimulationError` when more is allowed than may be in any time, or much less than could be. */
export function runLimiter({ seed, drain, mutant = {} }: LimiterScenarioOptions): Promise<LimiterOutcome> {
  const replay = (seed: number): string => `SEED=${seed} bun test tests/simulation/limiter.test.ts`;
  const world = {
    seed,
    replay,
    skew: 3_600_000,
    drift: DRIFT,
    lateness: 5,
    ...(drain === undefined ? {} : { drain }),
  };
  return simulate(world, async (simulation) => {
    const rush = new Rush(simulation, mutant);
    const names = ["a", "b", "c", "d", "e"].slice(0, 3 + simulation.random.below(3));
    for (const name of names) rush.start(name);
    rush.disturb(names);
    await rush.run(FAULTS);
    rush.heal();
    const { window, burst, slack, reserve, ttl, slots } = rush.limit;
    await rush.run(2 * ttl);
    const before = rush.spent;
    const rounds = 4 * ttl;
    await rush.run(rounds);
    const reached = (rush.spent - before) / ((burst * rounds) / window);
    // What a slot gives comes back a window after the last of it.
    const possible = window / (ttl + (window * (burst - slots)) / (burst * slots));
    // What is reserved and not used is lost; of few calls one more or less is much.
    const least = reserve > 1 ? 0.01 : burst < 5 ? 0.1 : 0.4;
    if (reached < least * possible) {
      throw new Error(`only ${reached} of the limit was reached, though ${possible} is possible`);
    }
    rush.stop();
    await rush.run(2 * ttl + 40 * slack + (8 * window) / burst);
    rush.assertIdle();
    const { allowed, refused, failed } = rush;
    return {
      allowed,
      refused,
      failed,
      reached,
      ofPossible: reached / possible,
      hash: simulation.trace.hash,
    };
  });
}

class Rush {
  allowed = 0;
  refused = 0;
  failed = 0;
  spent = 0;
  readonly limit: {
    readonly rate: number;
    readonly per: number;
    readonly burst: number;
    readonly slack: number;
    readonly reserve: number;
    readonly window: number;
    readonly ttl: number;
    readonly slots: number;
  };
  readonly #simulation: Simulation;
  readonly #server: SimulatedStore;
  readonly #mutant: LimiterMutant;
  readonly #random: SeededRandom;
  readonly #grants: { readonly time: number; readonly cost: number }[] = [];
  #level: number;
  #since = 0;
  #broken: string | undefined;
  #stopped = false;

  constructor(simulation: Simulation, mutant: LimiterMutant) {
    this.#simulation = simulation;
    this.#mutant = mutant;
    const random = this.#random = simulation.random.fork("rush");
    const latency = random.between(1, 30);
    this.#server = simulatedStore(simulation, {
      latency: [0.2, latency],
      drift: random.between(-DRIFT, DRIFT),
    });
    const burst = random.pick([1, 2, 5, 20, 100, 333]);
    const rate = random.pick([1, 7, 50, 400]);
    // No window is so short that nothing else can be seen, or so long that nothing is.
    const window = random.between(500, 3000);
    const slack = 4 * latency + random.between(20, 200);
    this.limit = {
      rate,
      per: (window * rate) / burst,
      burst,
      slack,
      reserve: random.chance(0.3) ? 1 + random.below(Math.ceil(burst / 4)) : 1,
      window,
      ttl: (window + slack) * 1.01,
      slots: Math.min(burst, 32),
    };
    this.#level = burst;
  }

  start(name: string): void {
    const runtime = this.#simulation.runtime(name);
    const store = this.#server.open(runtime);
    const own = this.#mutant.runtime?.(runtime) ?? runtime;
    for (let caller = 0; caller < 3; caller++) void this.#call(changed(store, this.#mutant), own);
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
      unanswered: rate(0.3),
      slow: rate(0.2),
      slowLatency: random.chance(0.5) ? [20, 400] : [500, 6000],
      silence: random.chance(0.5) ? [20, 200] : [500, 3000],
    });
    for (let times = random.below(6); times > 0; times--) {
      const node = random.pick(names);
      const at = random.between(0, FAULTS);
      simulation.after(at, () => this.#server.cut(node));
      simulation.after(Math.min(at + random.between(50, 2000), FAULTS), () => this.#server.mend(node));
    }
  }

  heal(): void {
    this.#server.heal();
  }

  stop(): void {
    this.#stopped = true;
  }

  assertIdle(): void {
    const entries = this.#server.entries();
    if (entries.length > 0) throw new Error(`the store still keeps ${JSON.stringify(entries)}`);
    const { timers } = this.#simulation.pending();
    if (timers > 0) throw new Error(`${timers} timers are still running`);
  }

  async run(ms: number): Promise<void> {
    await this.#simulation.until(() => this.#broken !== undefined, ms);
    if (this.#broken !== undefined) throw new Error(this.#broken);
  }

  async #call(store: Store, runtime: Runtime): Promise<void> {
    const random = this.#random.fork(`caller ${this.#simulation.time} ${this.#random.fraction()}`);
    const limiter = createRateLimiter({ store, runtime });
    const { burst, window } = this.limit;
    // All together ask for about twice what is allowed, some of it at once.
    const gap = (12 * window) / burst / 3;
    for (let calls = 0; !this.#stopped; calls++) {
      const cost = burst > 4 && random.chance(0.1) ? 1 + random.below(Math.ceil(burst / 5)) : 1;
      const call = limiter.limit("x", { ...this.limit, cost });
      const settled = call.then(
        ({ allowed, retryAfter }) => allowed ? this.#allow(cost) : this.#refuse(retryAfter),
        () => void this.failed++,
      );
      if (!random.chance(0.3)) await settled;
      await sleep(runtime, random.chance(0.2) ? gap / 10 : random.between(0, 1.6 * gap));
    }
  }

  #refuse(retryAfter: number): void {
    this.refused++;
    const longest = this.limit.ttl * 1.01 + 1;
    if (!(retryAfter >= 1 && retryAfter <= longest)) this.#broken ??= `told to try again in ${retryAfter} ms`;
  }

  /** In any time no more than the rate and the burst, and in any window no more than the burst. */
  #allow(cost: number): void {
    const { time } = this.#simulation;
    const { burst, window } = this.limit;
    this.allowed++;
    this.spent += cost;
    this.#level = Math.min(burst, this.#level + ((time - this.#since) * burst) / window) - cost;
    this.#since = time;
    if (this.#level < -1e-6) this.#broken ??= `allowed ${-this.#level} more than rate and burst at ${time}`;
    this.#grants.push({ time, cost });
    while (this.#grants[0]!.time <= time - window) this.#grants.shift();
    const sum = this.#grants.reduce((sum, { cost }) => sum + cost, 0);
    if (sum > burst) this.#broken ??= `allowed ${sum} in a window of ${burst}`;
  }
}

function changed(store: Store, { store: change }: LimiterMutant): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
    ...change?.(store),
  };
}

function sleep({ clock }: Runtime, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.timer(ms, resolve));
}
