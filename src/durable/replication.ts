import { CatgaError, failure, type Fault, ok, type Result, systemFault } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import type { Delivery } from "../ports/queue.ts";
import { json } from "../wire/json.ts";
import { decodeParcel, encodeParcel, type Parcel } from "../wire/parcel.ts";
import { Consumer } from "./consumer.ts";
import { deadLetters } from "./dead_letters.ts";
import { push } from "./push.ts";
import { Quarantine } from "./quarantine.ts";
import { comeThrough, isClusterName, routeOf } from "./replication_route.ts";
import type {
  Replication,
  ReplicationLag,
  ReplicationOptions,
  ReplicationStats,
} from "./replication_types.ts";

export type {
  Replication,
  ReplicationLag,
  ReplicationOptions,
  ReplicationStats,
} from "./replication_types.ts";

/** How long to wait at most before what there was no room for is brought again, in ms: twice as long each time. */
const DELAY = 100;
const LONGEST = 10_000;
/** After how long, in ms, it is worth a warning that nothing arrives. */
const STALLED = 5000;
/** What fails in a way that nobody foresaw is put back so often, for so many ms each time. */
const REDELIVER: readonly number[] = Array.from({ length: 1000 }, () => 30_000);

/**
 * Brings reliable events to other clusters, over any two queues: each is pushed there under its own id and key, so it
 * may come twice but is known again, and events of one key keep their order. Each cluster has a group of its own in the
 * queue here, so that events wait for one that is away and for no other. Each process that starts it with the same
 * options takes a part of the work.
 *
 * An event says through which clusters it has come, and goes to none of them again: clusters may replicate to each
 * other, and in circles. What a handler over there publishes is a new event, which goes its own way.
 *
 * Settles when the queue knows of it: what is published from then on is brought. Rejects with a `CatgaError`:
 * `VALIDATION` for names that make no sense.
 *
 * @example
 * ```ts
 * import { reliableEvent, type } from "@catga/catga";
 * import { startReplication } from "@catga/catga/durable";
 * import { memoryStorage } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const OrderPaid = reliableEvent("orders.paid", { data: type<{ order: string }>() });
 * const eu = memoryStorage(), us = memoryStorage();
 * await using replication = await startReplication({
 *   cluster: "eu",
 *   events: [OrderPaid],
 *   from: eu,
 *   to: { us: us.queue },
 *   runtime: systemRuntime(),
 * });
 * for (const { cluster, items, age } of await replication.lag()) console.log(cluster, items, age);
 * ```
 */
export async function startReplication(options: ReplicationOptions): Promise<Replication> {
  const { cluster, to, events } = options;
  for (const name of [cluster, ...Object.keys(to)]) {
    if (!isClusterName(name)) {
      refuse(`"${name}" is no name of a cluster; take 1 to 64 letters, digits and hyphens`);
    }
  }
  if (Object.hasOwn(to, cluster)) refuse(`"${cluster}" is this cluster itself; name the others`);
  const types = [...new Set(events.map((event) => typeof event === "string" ? event : event.type))];
  const routes = Object.keys(to).map((target) => new Route(target, types, options));
  await Promise.all(routes.map((route) => route.start()));
  return {
    stats: () => routes.map((route) => route.stats),
    lag: async ({ signal } = {}) => (await Promise.all(routes.map((route) => route.lag(signal)))).flat(),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(routes.map((route) => route.stop()));
    },
  };
}

/** The way to one cluster. */
class Route {
  readonly #target: string;
  readonly #types: readonly string[];
  readonly #options: ReplicationOptions;
  readonly #group: string;
  readonly #consumers: readonly Consumer[];
  readonly #counts = { sent: 0, passed: 0 };
  /** When what is on its way was begun, by the monotonic clock, the oldest first. */
  readonly #begun: Map<Delivery, number> = new Map();
  #arrived = -Infinity;
  #warned = false;
  #unwatch: (() => void) | undefined;

  constructor(target: string, types: readonly string[], options: ReplicationOptions) {
    this.#target = target;
    this.#types = types;
    this.#options = options;
    // No service has an empty name, so no handler's group is called like this.
    this.#group = `/replicate/${target}`;
    this.#consumers = types.map((type) => this.#consumer(type));
  }

  get stats(): ReplicationStats {
    const buried = this.#consumers.reduce((sum, { stats }) => sum + stats.buried, 0);
    return { cluster: this.#target, ...this.#counts, buried, stalled: this.#stalled() };
  }

  async start(): Promise<void> {
    await Promise.all(this.#consumers.map((consumer) => consumer.start()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#consumers.map((consumer) => consumer.stop(0)));
  }

  lag(signal: AbortSignal | undefined): Promise<readonly ReplicationLag[]> {
    const { queue } = this.#options.from;
    return Promise.all(this.#types.map(async (event) => {
      const { items, age } = await queue.backlog(event, this.#group, { signal });
      return { cluster: this.#target, event, items, age };
    }));
  }

  #consumer(topic: string): Consumer {
    const { from: { queue, store }, runtime, concurrency = 32, lease = 30_000 } = this.#options;
    const letters = deadLetters(store, { runtime });
    const group = this.#group;
    return new Consumer({
      queue,
      store,
      runtime,
      quarantine: new Quarantine(runtime.clock),
      topic,
      group,
      concurrency,
      lease,
      attempts: 1,
      redeliver: REDELIVER,
      handle: (delivery, signal) => this.#handle(topic, delivery, signal),
      bury: (delivery, fault, tries) => {
        const { id, key, payload, pushed } = delivery;
        return letters.put({ topic, group, id, key, payload, pushed, ...tries, fault });
      },
    });
  }

  async #handle(topic: string, delivery: Delivery, signal: AbortSignal): Promise<Result<void, Fault>> {
    const { cluster, runtime: { clock } } = this.#options;
    const parcel = read(delivery);
    if (!("type" in parcel)) return failure(parcel);
    const route = routeOf(parcel);
    if (route.includes(this.#target) || route.includes(cluster)) {
      this.#counts.passed++;
      return ok(undefined);
    }
    this.#begun.set(delivery, clock.mono());
    this.#unwatch ??= clock.timer(STALLED, () => this.#watch());
    try {
      return await this.#bring(topic, parcel, delivery.key, signal);
    } finally {
      this.#begun.delete(delivery);
      if (this.#begun.size === 0) {
        this.#unwatch?.();
        this.#unwatch = undefined;
      }
    }
  }

  /** Goes on until it is there, or cannot be, or is no longer this process's. */
  async #bring(
    topic: string,
    parcel: Parcel,
    key: string | undefined,
    signal: AbortSignal,
  ): Promise<Result<void, Fault>> {
    const { cluster, to, runtime } = this.#options;
    const payload = encodeParcel(json, comeThrough(parcel, cluster));
    const item = { id: parcel.id, key, payload };
    const host = { queue: to[this.#target]!, runtime };
    for (let failures = 1;; failures++) {
      const result = await push(host, topic, item, { deadline: Infinity, signals: [signal] });
      if (result.ok) {
        this.#counts.sent++;
        this.#arrived = runtime.clock.mono();
        this.#warned = false;
        return result;
      }
      if (!result.error.retryable || signal.aborted) return result;
      await sleep(runtime.clock, backoff(failures, DELAY, LONGEST, runtime.random.u32()), signal);
    }
  }

  /** How long nothing has arrived although something is on its way. */
  #stalled(): number {
    const [oldest] = this.#begun.values();
    return oldest === undefined ? 0 : this.#options.runtime.clock.mono() - Math.max(oldest, this.#arrived);
  }

  #watch(): void {
    const { cluster, runtime } = this.#options;
    const stalled = this.#stalled();
    this.#unwatch = runtime.clock.timer(stalled < STALLED ? STALLED - stalled : STALLED, () => this.#watch());
    if (this.#warned || stalled < STALLED) return;
    this.#warned = true;
    runtime.log({
      level: "warn",
      event: "replication.stalled",
      message: `No event of "${cluster}" arrives in "${this.#target}"; they wait until they do`,
      fields: { from: cluster, to: this.#target, stalled },
    });
  }
}

function read({ id, payload }: Delivery): Parcel | Fault {
  try {
    return decodeParcel(json, payload);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return systemFault("SERIALIZATION", `Cannot read "${id}": ${why}`);
  }
}

function refuse(why: string): never {
  throw new CatgaError(systemFault("VALIDATION", `Cannot replicate: ${why}`));
}
