import type { Queue } from "../ports/queue.ts";
import type { Clock, Runtime } from "../ports/runtime.ts";
import { TableQueue } from "../ports/table_queue.ts";
import { FaultyWays } from "./faulty_ways.ts";
import { QueueClient } from "./queue_client.ts";
import type { SeededRandom } from "./random.ts";
import type {
  PendingItem,
  QueueConditions,
  SimulatedQueue,
  SimulatedQueueOptions,
} from "./simulated_queue.ts";
import type { World } from "./world.ts";

/** The smallest step of virtual time, in ms. */
const STEP = 0.001;
/** What its clock shows when the simulation begins, in ms since 1970. */
const START = 1_767_225_600_000;
const DAY = 86_400_000;

/** The simulated queue itself. */
export class QueueServer implements SimulatedQueue {
  readonly #world: World;
  readonly #queue: TableQueue;
  readonly #ways: FaultyWays;

  constructor(world: World, options: SimulatedQueueOptions, random: SeededRandom) {
    const { drift = 0, items = 100_000, window = DAY, ...conditions } = options;
    this.#world = world;
    this.#ways = new FaultyWays(world, "queue", conditions, random);
    const limits = { items, bytes: 2 ** 28, groups: 10_000, names: 1_000_000, waits: 10_000, window };
    this.#queue = new TableQueue(clockOf(world, 1 + drift), limits);
  }

  open(runtime: Runtime): Queue {
    const life = this.#world.lifeOf(runtime);
    if (life === undefined) {
      throw new RangeError("Cannot open the queue: the runtime is of another simulation");
    }
    return new QueueClient(this.#queue, this.#ways, life);
  }

  change(conditions: Partial<QueueConditions>): void {
    this.#ways.change(conditions);
  }

  cut(node: string): void {
    this.#ways.cut(node);
  }

  mend(node: string): void {
    this.#ways.mend(node);
  }

  heal(): void {
    this.#ways.heal();
  }

  pending(): readonly PendingItem[] {
    return Array.from(this.#queue.table.entries(), ([topic, group, { item: { id, key }, attempt }]) => {
      return { topic, group, id, key, attempt };
    });
  }
}

function clockOf(world: World, pace: number): Clock {
  return {
    mono: () => world.time * pace,
    wall: () => Math.floor(START + world.time * pace),
    timer: (ms, run) => {
      const event = world.plan(undefined, world.time + ms / pace + STEP, run);
      return () => world.cancel(event);
    },
  };
}
