import { CatgaError, systemFault } from "../result.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Entry, Store } from "../ports/store.ts";
import type { ChangeFeed } from "../internal/change_feed.ts";
import { EntryTable, type TableChange } from "../internal/entry_table.ts";
import type { Life } from "./life.ts";
import type { SeededRandom } from "./random.ts";
import type { SimulatedStore, SimulatedStoreOptions, StoreConditions } from "./simulated_store.ts";
import { StoreClient } from "./store_client.ts";
import type { World } from "./world.ts";

/** The smallest step of virtual time, in ms. */
const STEP = 0.001;

const CALM: StoreConditions = {
  latency: [0.2, 2],
  refused: 0,
  lost: 0,
  unanswered: 0,
  slow: 0,
  slowLatency: [500, 6000],
  silence: [500, 3000],
  broken: 0,
};

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
  readonly #random: SeededRandom;
  readonly #pace: number;
  readonly #cuts: Set<string> = new Set();
  readonly #watches: Set<Subscription> = new Set();
  #conditions: StoreConditions;

  constructor(world: World, { drift = 0, ...conditions }: SimulatedStoreOptions, random: SeededRandom) {
    this.world = world;
    this.#random = random;
    this.#pace = 1 + drift;
    this.#conditions = checked({ ...CALM, ...conditions });
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

  change(conditions: Partial<StoreConditions>): void {
    this.#conditions = checked({ ...this.#conditions, ...conditions });
    this.world.note(`store ${JSON.stringify(conditions)}`);
  }

  cut(node: string): void {
    if (this.#cuts.has(node)) return;
    this.#cuts.add(node);
    this.world.note(`store cut ${node}`);
  }

  mend(node: string): void {
    if (this.#cuts.delete(node)) this.world.note(`store mend ${node}`);
  }

  heal(): void {
    this.#cuts.clear();
    this.#conditions = { ...CALM, latency: this.#conditions.latency };
    this.world.note("store heal");
  }

  entries(): readonly Entry[] {
    return this.table.list(this.now, "", Infinity);
  }

  /** Asks the store for something that it does at one instant. */
  request<T>(life: Life, what: string, work: () => T): Promise<T> {
    const random = this.#random;
    const { refused, lost, unanswered, slow, slowLatency, latency } = this.#conditions;
    // All is drawn in any case: one fault more changes nothing about the others.
    const way = this.#draw(latency), slowWay = this.#draw(slowLatency), back = this.#draw(latency);
    const isRefused = random.chance(refused), isLost = random.chance(lost);
    const isUnanswered = random.chance(unanswered), isSlow = random.chance(slow);
    const silence = this.#draw(this.#conditions.silence);
    return new Promise((resolve, reject) => {
      const answer = (ms: number, settle: () => void): void =>
        void this.world.plan(life, this.world.time + ms, settle);
      const hush = (): void => answer(silence, () => reject(silent(what)));
      if (isRefused) return answer(way, () => reject(unavailable(what)));
      if (isLost || this.#isCut(life)) return hush();
      this.world.plan(undefined, this.world.time + (isSlow ? slowWay : way), () => {
        if (this.#isCut(life)) return hush();
        const settle = outcome(work, resolve, reject);
        this.world.trace.add(this.world.time, "note", "store", life.host.name, 0, what);
        if (isUnanswered) hush();
        else answer(back, () => this.#isCut(life) ? hush() : settle());
      });
    });
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
    const { latency, broken, silence } = this.#conditions;
    const isBroken = this.#random.chance(broken);
    const wait = this.#draw(silence);
    const arrives = Math.max(this.world.time + this.#draw(latency), watch.arrives + STEP);
    if (watch.broken) return;
    watch.arrives = arrives;
    if (isBroken || this.#isCut(watch.life)) return this.#break(watch, wait);
    this.world.plan(watch.life, arrives, () => {
      if (this.#isCut(watch.life)) this.#break(watch, wait);
      else if (!watch.broken) arrive();
    });
  }

  /** What was lost is not made up for: the watch hears nothing any more, and then that it broke off. */
  #break(watch: Subscription, wait: number): void {
    if (watch.broken) return;
    watch.broken = true;
    this.#watches.delete(watch);
    const error = silent(`watch ${watch.prefix}`);
    this.world.plan(watch.life, this.world.time + wait, () => watch.feed.fail(error));
  }

  #isCut(life: Life): boolean {
    return this.#cuts.has(life.host.name);
  }

  #draw([least, most]: readonly [number, number]): number {
    return this.#random.between(least, most);
  }
}

function outcome<T>(
  work: () => T,
  resolve: (value: T) => void,
  reject: (thrown: unknown) => void,
): () => void {
  try {
    const value = work();
    return () => resolve(value);
  } catch (thrown) {
    return () => reject(thrown);
  }
}

function unavailable(what: string): CatgaError {
  return new CatgaError(systemFault("UNAVAILABLE", `Cannot ${what}: the store refuses`));
}

function silent(what: string): CatgaError {
  return new CatgaError(systemFault("TRANSPORT", `No answer to "${what}": it may have been done`));
}

function checked(conditions: StoreConditions): StoreConditions {
  for (const [name, value] of Object.entries(conditions) as [string, number | readonly [number, number]][]) {
    const fits = typeof value === "number"
      ? value >= 0 && value <= 1
      : value[0] >= 0 && value[0] <= value[1] && value[1] < Infinity;
    if (!fits) {
      const wanted = typeof value === "number" ? "be 0 to 1" : "go from 0 ms or more upwards";
      throw new RangeError(`Cannot shape a store: ${name} is ${JSON.stringify(value)}, but must ${wanted}`);
    }
  }
  return conditions;
}
