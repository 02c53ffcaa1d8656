import type { Runtime } from "../ports/runtime.ts";
import type { Entry, Store } from "../ports/store.ts";
import type { ChangeFeed } from "../internal/change_feed.ts";
import { EntryTable, type TableChange } from "../internal/entry_table.ts";
import { FaultyWays } from "./faulty_ways.ts";
import type { Life } from "./life.ts";
import type { SeededRandom } from "./random.ts";
import type { SimulatedStore, SimulatedStoreOptions, StoreConditions } from "./simulated_store.ts";
import { StoreClient } from "./store_client.ts";
import type { World } from "./world.ts";

/** The smallest step of virtual time, in ms. */
const STEP = 0.001;

/** One watch of a node. */
export interface Subscription {
  readonly life: Life;
  readonly prefix: string;
  readonly feed: ChangeFeed<Entry>;
  /** When the last change sent to it arrives, in ms: none overtakes another. */
  arrives: number;
  broken: boolean;
}

/** The simulated store itself, and the ways there. */
export class StoreServer implements SimulatedStore {
  readonly world: World;
  readonly table: EntryTable;
  readonly #ways: FaultyWays;
  readonly #pace: number;
  readonly #watches: Set<Subscription> = new Set();
  #broken: number;

  constructor(world: World, options: SimulatedStoreOptions, random: SeededRandom) {
    const { drift = 0, broken = 0, ...conditions } = options;
    this.world = world;
    this.#ways = new FaultyWays(world, "store", conditions, random);
    this.#pace = 1 + drift;
    this.#broken = checkedRate(broken);
    this.table = new EntryTable({ keys: 100_000, bytes: 2 ** 26 }, (change) => this.#changed(change));
  }

  /** The store's own clock, in ms. */
  get now(): number {
    return this.world.time * this.#pace;
  }

  open(runtime: Runtime): Store {
    const life = this.world.lifeOf(runtime);
    if (life === undefined) {
      throw new RangeError("Cannot open the store: the runtime is of another simulation");
    }
    return new StoreClient(this, life);
  }

  change({ broken = this.#broken, ...conditions }: Partial<StoreConditions>): void {
    this.#broken = checkedRate(broken);
    this.#ways.change(conditions);
  }

  cut(node: string): void {
    this.#ways.cut(node);
  }

  mend(node: string): void {
    this.#ways.mend(node);
  }

  heal(): void {
    this.#broken = 0;
    this.#ways.heal();
  }

  entries(): readonly Entry[] {
    return this.table.list(this.now, "", Infinity);
  }

  /** Asks the store for something that it does at one instant. */
  request<T>(life: Life, what: string, work: () => T): Promise<T> {
    return this.#ways.request(life, what, work);
  }

  /** Tells a node of what is there and what changes, until it goes away. */
  subscribe(life: Life, prefix: string, feed: ChangeFeed<Entry>): () => void {
    const watch: Subscription = { life, prefix, feed, arrives: 0, broken: false };
    void this.request(life, `watch ${prefix}`, () => {
      if (watch.broken) return;
      this.#watches.add(watch);
      const entries = this.table.list(this.now, prefix, Infinity);
      this.#send(watch, () => feed.begin(entries));
    }).catch((thrown) => feed.fail(thrown));
    return () => {
      watch.broken = true;
      this.#watches.delete(watch);
    };
  }

  /** Drops the entry under a key when its time is over. */
  arm(key: string, ttl: number): void {
    const time = this.world.time + ttl / this.#pace + STEP;
    this.world.plan(undefined, time, () => void this.table.get(this.now, key));
  }

  #changed(change: TableChange): void {
    const key = change.type === "put" ? change.entry.key : change.key;
    for (const watch of this.#watches) {
      if (!watch.life.alive) this.#watches.delete(watch);
      else if (key.startsWith(watch.prefix)) this.#send(watch, () => watch.feed.offer(change));
    }
  }

  #send(watch: Subscription, arrive: () => void): void {
    const { isBroken, silence: wait, way } = this.#ways.fate(this.#broken);
    const arrives = Math.max(this.world.time + way, watch.arrives + STEP);
    if (watch.broken) return;
    watch.arrives = arrives;
    if (isBroken || this.#ways.isCut(watch.life)) return this.#break(watch, wait);
    this.world.plan(watch.life, arrives, () => {
      if (this.#ways.isCut(watch.life)) this.#break(watch, wait);
      else if (!watch.broken) arrive();
    });
  }

  /** What was lost is not made up for: the watch hears nothing any more, and then that it broke off. */
  #break(watch: Subscription, wait: number): void {
    if (watch.broken) return;
    watch.broken = true;
    this.#watches.delete(watch);
    const error = this.#ways.silent(`watch ${watch.prefix}`);
    this.world.plan(watch.life, this.world.time + wait, () => watch.feed.fail(error));
  }
}

function checkedRate(broken: number): number {
  if (broken >= 0 && broken <= 1) return broken;
  throw new RangeError(`Cannot shape a store: broken is ${broken}, but must be 0 to 1`);
}
