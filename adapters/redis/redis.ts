import { sendOnce } from "../../src/internal/send_once.ts";
import type { EventStore } from "../../src/ports/event_store.ts";
import type { Queue } from "../../src/ports/queue.ts";
import type { Runtime } from "../../src/ports/runtime.ts";
import type { Durability, Storage } from "../../src/ports/storage.ts";
import type { Store } from "../../src/ports/store.ts";
import { systemRuntime } from "../../src/ports/system_runtime.ts";
import { CommandBudget, type PollingProfile, pollings } from "./budget.ts";
import { createCommander } from "./commander.ts";
import { type RedisDiscovery, redisDiscovery } from "./discovery.ts";
import { redisEvents } from "./events.ts";
import { redisQueue } from "./queue.ts";
import type { PollOptions } from "./queue_pace.ts";
import { readyWire, type RedisClientLike } from "./ready.ts";
import { type RestTarget, restWire } from "./rest.ts";
import { redisStore } from "./store.ts";

/** Where Redis is: its REST API, or a client that is there and is left open. */
export type RedisTarget = RestTarget | { readonly client: RedisClientLike };

/** What {@linkcode redis} takes. */
export interface RedisOptions {
  /** What all keys begin with: whoever gives the same name shares what is kept. @default "catga" */
  readonly name?: string;
  /**
   * How often a node looks for what others did. With `"default"` an idle one takes 30 commands a minute at most: 10 for
   * watches and for being listed, 15 for the queue, 5 for events; with `"fast"` 2,400 (1,200, 600 and 600). Leases that
   * it holds are renewed besides, three times in their time.
   * @default "default"
   */
  readonly polling?: PollingProfile;
  /**
   * What survives in that Redis; it does not tell. With `appendfsync always` it is `"power"`; with
   * `everysec` the end of redis-server by force may lose what was answered while its disk was busy.
   * @default "process"
   */
  readonly durability?: Durability;
  /** Where this node is reached, for {@linkcode RedisStorage.discovery}; may be known only later. */
  readonly endpoint?: string | (() => string | undefined);
  /** Whether many instances stand behind that endpoint. @default false */
  readonly shared?: boolean;
  /** Endpoints that are there always, for {@linkcode RedisStorage.discovery}. */
  readonly services?: readonly string[];
  /** How many entries the store takes; over it `OVERLOADED`. @default 1000000 */
  readonly keys?: number;
  /** How many items a topic takes, counted once for each group; over it `OVERLOADED`. @default 1000000 */
  readonly items?: number;
  /** How long the name of an item is remembered, in ms. @default 86400000 (a day) */
  readonly window?: number;
  /** How many names of items a topic remembers; over it the oldest are forgotten. @default 100000 */
  readonly names?: number;
  /** How many may watch at a time; over it `OVERLOADED`. @default 4096 */
  readonly watches?: number;
  /** How long an answer may take, in ms. @default 5000 */
  readonly timeout?: number;
  /**
   * The door to time and chance, through which requests go. On Deno give `processRuntime()` or none: other ways to
   * `fetch` there may send a request twice. @default systemRuntime()
   */
  readonly runtime?: Runtime;
}

/** What nodes keep in Redis. Disposing it waits for what is under way; it never rejects. */
export interface RedisStorage extends Storage, AsyncDisposable {
  /** Entries by compare-and-set, ordered by key as their UTF-8 is. */
  readonly store: Store;
  /** Items for groups, in order by key. */
  readonly queue: Queue;
  /** Events by stream, and all of them in one order. */
  readonly events: EventStore;
  /** Finds the nodes of the same name: `http({ peers: storage.discovery })`. */
  readonly discovery: RedisDiscovery;
  /** How many commands have been sent so far: each may cost money. */
  readonly sent: number;
  /** How many writes renewed leases that are held: they come on top of `polling`. */
  readonly renewed: number;
}

/** How often an idle node asks for items and events, by profile. */
const polls: Readonly<Record<PollingProfile, { readonly queue: PollOptions; readonly events: PollOptions }>> =
  {
    default: { queue: { perMinute: 15 }, events: { perMinute: 5 } },
    fast: { queue: { eager: 20, perMinute: 600 }, events: { eager: 20, perMinute: 600 } },
  };

/**
 * Keeps things in Redis by single requests over HTTP (the Upstash REST protocol, also that of `/redis/gateway`), or by
 * a client of `@upstash/redis`, node-redis, ioredis or Bun that is there. It carries no frames: put it under a backend
 * that does, by `withStorage`. Does not connect before something is asked for.
 *
 * Each operation is one script, and happens at one instant by the clock of Redis; those of one turn of the event loop
 * go in one request. Nothing is sent twice: what was not answered rejects with `TRANSPORT`, unless asking for it tells.
 * Nothing blocks there, so whoever waits looks from time to time, and hears of its own process at once.
 *
 * Throws a `CatgaError` with `VALIDATION` for an address, a token or a client that is none.
 *
 * @example
 * ```ts ignore
 * import { http } from "@catga/catga/http";
 * import { withStorage } from "@catga/catga/ports";
 * import { redis } from "@catga/catga/redis";
 *
 * const storage = redis({ url: "https://name.upstash.io", token: "…" }, { endpoint: "https://node-1.example.com" });
 * const backend = withStorage(http({ peers: storage.discovery, secret: "32-random-characters-or-more-…" }), storage);
 * ```
 */
export function redis(target: RedisTarget, options: RedisOptions = {}): RedisStorage {
  const { name, polling = "default", durability = "process", timeout, runtime = runtimeHere() } = options;
  if (!Object.hasOwn(pollings, polling)) {
    throw new RangeError(`Cannot use Redis: polling is "${polling}", but must be "default" or "fast"`);
  }
  const wire = "client" in target ? readyWire(target.client, runtime) : restWire(target, runtime);
  const commander = createCommander(wire, { runtime, ...given({ timeout }) });
  const budget = new CommandBudget(runtime.clock, pollings[polling].perMinute);
  const { endpoint, shared, services, keys, items, window, names, watches } = options;
  const store = redisStore(commander, { name, polling, budget, durability, keys, watches });
  return {
    durability,
    store,
    queue: redisQueue(commander, { ...given({ name, items, window, names }), poll: polls[polling].queue }),
    events: redisEvents(commander, { ...given({ name }), poll: polls[polling].events }),
    discovery: redisDiscovery(commander, { name, endpoint, shared, services, polling, budget }),
    get sent() {
      return commander.sent;
    },
    get renewed() {
      return store.renewed;
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await commander[Symbol.asyncDispose]();
    },
  };
}

/** What was given of some options. */
function given<T extends object>(options: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  const those = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(those) as { [Name in keyof T]?: Exclude<T[Name], undefined> };
}

/** Deno's own `fetch` sends a request again whose connection dropped. */
function runtimeHere(): Runtime {
  const system = systemRuntime();
  return "Deno" in globalThis ? { ...system, fetch: sendOnce(system.fetch) } : system;
}
