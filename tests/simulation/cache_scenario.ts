/** Nodes that read what changes through a cache, while things go wrong; then everything heals. */

import { type } from "@catga/catga";
import { createCache, type DistributedCache } from "@catga/catga/durable";
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

/** How long things go wrong, how long it takes until all is well, and how long all goes on, in ms. */
const FAULTS = 15_000;
const HEALED = 12_000;
const CALM = 10_000;
const TTL = 2000;
const CLAIM = 500;
const MAX_AGE = 700;
/** How long a request may be on its way, in ms. */
const LATE = 6500;
const DRIFT = 0.0045;
const KEYS = ["p1", "p2", "p3"];

/** A rule broken on purpose. */
export interface CacheMutant {
  readonly store: (store: Store) => Partial<Store>;
}

export interface CacheScenarioOptions {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  readonly mutant?: CacheMutant;
}

/** What came to pass, to show that something did. */
export interface CacheOutcome {
  readonly read: number;
  readonly computed: number;
  readonly changed: number;
  readonly stale: number;
  readonly near: number;
  readonly down: number;
  readonly hash: string;
}

/** Rejects with a `SimulationError` when a value is too old, was there before a change, or is computed too often. */
export function runCache({ seed, drain, mutant }: CacheScenarioOptions): Promise<CacheOutcome> {
  const replay = (seed: number): string => `SEED=${seed} bun test tests/simulation/cache.test.ts`;
  const world = {
    seed,
    replay,
    skew: 3_600_000,
    drift: DRIFT,
    lateness: 5,
    ...(drain === undefined ? {} : { drain }),
  };
  return simulate(world, async (simulation) => {
    const shop = new Shop(simulation, mutant);
    const names = ["a", "b", "c", "d", "e"].slice(0, 3 + simulation.random.below(3));
    for (const name of names) shop.start(name);
    shop.disturb(names);
    await shop.run(FAULTS);
    shop.heal();
    await shop.run(HEALED);
    const before = shop.computed;
    await shop.run(CALM);
    const times = shop.computed - before;
    const most = KEYS.length * (CALM / TTL + 2);
    if (times > most) {
      throw new Error(`computed ${times} times in ${CALM} ms without a fault, ${most} may be`);
    }
    if (times < KEYS.length) throw new Error(`computed only ${times} times in ${CALM} ms`);
    shop.stop();
    await shop.run(60_000);
    shop.assertIdle();
    const { read, computed, changed, stale, near, down } = shop;
    return { read, computed, changed, stale, near, down, hash: simulation.trace.hash };
  });
}

interface Price {
  readonly version: number;
  /** When it began to be computed or set. */
  readonly since: number;
}

/** One key in the world outside the cache. */
interface Product {
  version: number;
  /** Changes that the cache has confirmed, the newest last. */
  readonly confirmed: { readonly version: number; readonly time: number }[];
}

class Shop {
  read = 0;
  computed = 0;
  changed = 0;
  stale = 0;
  near = 0;
  down = 0;
  readonly #simulation: Simulation;
  readonly #server: SimulatedStore;
  readonly #mutant: CacheMutant | undefined;
  readonly #random: SeededRandom;
  readonly #products: Map<string, Product> = new Map();
  readonly #caches: Set<DistributedCache<Price>> = new Set();
  readonly #swr: number;
  readonly #isNear: boolean;
  #broken: string | undefined;
  #healed = false;
  #stopped = false;

  constructor(simulation: Simulation, mutant: CacheMutant | undefined) {
    this.#simulation = simulation;
    this.#mutant = mutant;
    const random = this.#random = simulation.random.fork("shop");
    for (const key of KEYS) {
      this.#products.set(key, { version: 1, confirmed: [{ version: 1, time: -Infinity }] });
    }
    this.#swr = random.chance(0.5) ? 1500 : 0;
    this.#isNear = random.chance(0.4);
    this.#server = simulatedStore(simulation, {
      latency: [0.2, random.between(1, 30)],
      drift: random.between(-DRIFT, DRIFT),
    });
  }

  start(name: string): void {
    const runtime = this.#simulation.runtime(name);
    const store = changed(this.#server.open(runtime), this.#mutant);
    const cache = createCache<Price>({
      store,
      runtime,
      namespace: "prices",
      value: type<Price>(),
      ttl: TTL,
      staleWhileRevalidate: this.#swr,
      claim: CLAIM,
      timeout: 3000,
      patience: 400,
      longest: 5000,
      ...(this.#isNear ? { near: { maxAge: MAX_AGE } } : {}),
    });
    this.#caches.add(cache);
    for (let reader = 0; reader < 3; reader++) void this.#readOn(name, cache, runtime);
    if (name === "a") { for (const key of KEYS) void this.#changeOn(key, cache, runtime); }
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
      slow: rate(0.15),
      broken: rate(0.2),
      silence: random.chance(0.5) ? [20, 200] : [500, 3000],
    });
    cutOff(simulation, this.#server, names, { random, times: 6, ms: FAULTS });
  }

  heal(): void {
    this.#server.heal();
    this.#healed = true;
  }

  stop(): void {
    this.#stopped = true;
    for (const cache of this.#caches) {
      const { stale, near, down } = cache.stats();
      this.stale += stale;
      this.near += near;
      this.down += down;
      this.#simulation.after(10_000, () => void cache[Symbol.asyncDispose]());
    }
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

  async #readOn(name: string, cache: DistributedCache<Price>, runtime: Runtime): Promise<void> {
    const random = this.#random.fork(`reader ${name} ${this.#simulation.time} ${this.#random.fraction()}`);
    while (!this.#stopped) {
      const key = random.pick(KEYS);
      if (random.chance(0.4)) await this.#get(key, cache);
      else await this.#getOrSet(key, cache, runtime, random);
      await sleep(runtime, random.between(0, 150));
    }
  }

  async #get(key: string, cache: DistributedCache<Price>): Promise<void> {
    const begun = this.#simulation.time;
    const price = await cache.get(key);
    if (price !== undefined) this.#look(key, price, begun);
  }

  async #getOrSet(
    key: string,
    cache: DistributedCache<Price>,
    runtime: Runtime,
    random: SeededRandom,
  ): Promise<void> {
    const flights = this.#flightsOf(cache);
    const flight = flights.get(key) ?? { since: this.#simulation.time, callers: 0 };
    flights.set(key, flight);
    flight.callers++;
    const compute = async (): Promise<Price> => {
      this.computed++;
      const since = this.#simulation.time;
      const { version } = this.#products.get(key)!;
      await sleep(runtime, random.chance(0.1) ? random.between(0, 1500) : random.between(0, 60));
      if (!this.#healed && random.chance(0.1)) throw new Error("the source fails");
      return { version, since };
    };
    const tags = ["all", key === "p3" ? "rare" : "common"];
    // Who joins a computing that began before gets what it brings.
    const { since } = flight;
    const price = await cache.getOrSet(key, compute, { tags }).catch(() => undefined);
    if (--flight.callers === 0 && flights.get(key) === flight) flights.delete(key);
    if (price !== undefined) this.#look(key, price, since);
  }

  readonly #flights: WeakMap<object, Map<string, { readonly since: number; callers: number }>> =
    new WeakMap();

  #flightsOf(cache: object): Map<string, { readonly since: number; callers: number }> {
    const flights = this.#flights.get(cache) ?? new Map();
    this.#flights.set(cache, flights);
    return flights;
  }

  /** What a reader that asked at a time got must not be older than that allows. */
  #look(key: string, { version, since }: Price, asked: number): void {
    this.read++;
    const heard = asked - (this.#isNear ? MAX_AGE * (1 + DRIFT) : 0);
    const { confirmed } = this.#products.get(key)!;
    const least = confirmed.findLast(({ time }) => time < heard)!;
    if (version < least.version) {
      this.#broken ??=
        `${key} was answered in version ${version} to who asked at ${asked}, though ${least.version} was there at ${least.time}`;
    }
    const oldest = (TTL + this.#swr) * (1 + 2 * DRIFT) + CLAIM + LATE + (this.#isNear ? MAX_AGE : 0);
    if (asked - since > oldest) {
      this.#broken ??= `${key} was ${asked - since} ms old, though ${oldest} is the most`;
    }
    const calm = (TTL + this.#swr) * (1 + 2 * DRIFT) + 200 + (this.#isNear ? MAX_AGE : 0);
    if (this.#healed && since > FAULTS + LATE && asked - since > calm) {
      this.#broken ??= `${key} was ${asked - since} ms old in calm times, though ${calm} is the most`;
    }
  }

  /** Changes a product now and then, and then the cache, for as long as that takes. */
  async #changeOn(key: string, cache: DistributedCache<Price>, runtime: Runtime): Promise<void> {
    const random = this.#random.fork(`writer ${key} ${this.#simulation.time}`);
    while (!this.#healed) {
      await sleep(runtime, random.between(100, 3000));
      const product = this.#products.get(key)!;
      const version = ++product.version;
      const way = random.below(3);
      for (let isDone = false; !isDone && !this.#stopped;) {
        const since = this.#simulation.time;
        const change = way === 0
          ? cache.delete(key)
          : way === 1
          ? cache.invalidate(random.chance(0.5) ? "all" : key === "p3" ? "rare" : "common")
          : cache.set(key, { version, since }, { tags: ["all", key === "p3" ? "rare" : "common"] });
        isDone = await change.then(() => true, () => false);
        if (!isDone) await sleep(runtime, 50);
      }
      product.confirmed.push({ version, time: this.#simulation.time });
      this.changed++;
    }
  }
}

function changed(store: Store, mutant: CacheMutant | undefined): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
    ...mutant?.store(store),
  };
}

function sleep({ clock }: Runtime, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.timer(ms, resolve));
}
