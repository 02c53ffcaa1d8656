import type { EventStore, StoredEvent } from "../ports/event_store.ts";
import type { Runtime } from "../ports/runtime.ts";
import { EventTable } from "../internal/event_table.ts";
import { EventStoreClient } from "./event_store_client.ts";
import type { Life } from "./life.ts";
import type { SeededRandom } from "./random.ts";
import type {
  EventStoreConditions,
  SimulatedEventStore,
  SimulatedEventStoreOptions,
} from "./simulated_event_store.ts";
import { StoreServer } from "./store_server.ts";
import type { World } from "./world.ts";

/** When it begins by its own clock, in ms since 1970. */
const START = 1_767_225_600_000;

/** The simulated event store itself. The ways to it are those of the simulated store. */
export class EventStoreServer implements SimulatedEventStore {
  readonly table: EventTable = new EventTable({ events: 1_000_000, bytes: 2 ** 28 });
  readonly ways: StoreServer;
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #waits: Set<() => void> = new Set();
  #short: number;

  constructor(world: World, { short = 0, ...options }: SimulatedEventStoreOptions, random: SeededRandom) {
    this.ways = new StoreServer(world, options, random);
    this.#world = world;
    this.#random = random.fork("short");
    this.#short = checked(short);
  }

  /** The store's own clock, in ms. */
  get now(): number {
    return START + this.ways.now;
  }

  open(runtime: Runtime): EventStore {
    const life = this.#world.lifeOf(runtime);
    if (life === undefined) {
      throw new RangeError("Cannot open the event store: the runtime is of another simulation");
    }
    return new EventStoreClient(this, life);
  }

  change({ short = this.#short, ...conditions }: Partial<EventStoreConditions>): void {
    this.#short = checked(short);
    this.ways.change(conditions);
  }

  cut(node: string): void {
    this.ways.cut(node);
  }

  mend(node: string): void {
    this.ways.mend(node);
  }

  heal(): void {
    this.#short = 0;
    this.ways.heal();
  }

  events(): readonly StoredEvent[] {
    return this.table.readAll(0, Infinity);
  }

  /** As many of the events that a read found as it answers. */
  page(found: readonly StoredEvent[]): readonly StoredEvent[] {
    const isShort = this.#random.chance(this.#short);
    return isShort && found.length > 1 ? found.slice(0, 1 + this.#random.below(found.length - 1)) : found;
  }

  /** Tells all who wait that there is something new. */
  appended(): void {
    for (const wake of [...this.#waits]) wake();
  }

  /** Waits, at the store, until there is something after a position or the time is over. */
  wait(life: Life, after: number, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#waits.delete(wake);
        this.#world.cancel(timer);
        resolve();
      };
      const wake = (): void => {
        if (this.table.head > after || !life.alive) end();
      };
      const timer = this.#world.plan(undefined, this.#world.time + ms, end);
      this.#waits.add(wake);
      wake();
    });
  }
}

function checked(short: number): number {
  if (short >= 0 && short <= 1) return short;
  throw new RangeError(`Cannot shape an event store: short is ${short}, but must be 0 to 1`);
}
