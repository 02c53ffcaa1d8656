import { byCodePoint } from "../../src/internal/by_code_point.ts";
import type { Durability } from "../../src/ports/storage.ts";
import type {
  Change,
  DeleteOptions,
  Entry,
  GetOptions,
  ListOptions,
  Looks,
  PutOptions,
  Store,
  WatchOptions,
} from "../../src/ports/store.ts";
import {
  checkAfter,
  checkKey,
  checkLimit,
  checkPut,
  revisionConflict,
} from "../../src/ports/store_faults.ts";
import { CatgaError } from "../../src/result.ts";
import { CommandBudget, type PollingProfile, pollings } from "./budget.ts";
import { RenewalMeter } from "./budget_renewals.ts";
import type { Commander } from "./commander.ts";
import { notSent } from "./faults.ts";
import type { Script } from "./scripts.ts";
import { listingOf, listOf, numberOf, textOf, writeOf } from "./store_answers.ts";
import { StoreFeed } from "./store_feed.ts";
import { getScript, listScript, settleScript, storeKeys, writeScript } from "./store_scripts.ts";
import type { Reply } from "./wire.ts";

/** What {@linkcode redisStore} takes. */
export interface RedisStoreOptions {
  /** What it is called in Redis: stores of one name are one store. @default "catga" */
  readonly name?: string | undefined;
  /** How often its watches look for what others wrote. @default "default" */
  readonly polling?: PollingProfile | undefined;
  /** What its watches share with whatever else looks for something. @default one of its own */
  readonly budget?: CommandBudget | undefined;
  /** What that Redis keeps: as good as its settings, which it does not tell. @default "process" */
  readonly durability?: Durability | undefined;
  /** How many entries it takes; over it writes are refused with `OVERLOADED`. @default 1000000 */
  readonly keys?: number | undefined;
  /** How many may watch at a time; over it a watch is refused with `OVERLOADED`. @default 4096 */
  readonly watches?: number | undefined;
}

/** A store in Redis. Disposing it breaks its watches off. */
export interface RedisStore extends Store, AsyncDisposable {
  readonly durability: Durability;
  /** How soon its watches tell of a change of another process, while there are changes and at the latest, in ms. */
  readonly looks: Looks;
  /** How many writes renewed what is held for a time, such as leases: no budget holds them back. */
  readonly renewed: number;
}

/**
 * A store in Redis, for all that reach it. Each operation is one script and happens at one instant by the server's
 * clock; a list of more than 4 MiB is read in parts. Revisions also grow when Redis has lost its data, unless its clock
 * was set back.
 *
 * A write of this process reaches its watches at once, unless it only renews what they know and others wrote before it;
 * one of another when they look next. What runs out is looked for when its time is over, as far as the budget allows.
 */
export function redisStore(commander: Commander, options: RedisStoreOptions = {}): RedisStore {
  return new ScriptedStore(commander, options);
}

class ScriptedStore implements RedisStore {
  readonly durability: Durability;
  readonly looks: RedisStore["looks"];
  readonly #commander: Commander;
  readonly #names: readonly string[];
  readonly #limits: { readonly keys: number; readonly watches: number };
  readonly #feed: StoreFeed;
  readonly #renewals: RenewalMeter;
  /** What the names of its writes begin with. */
  readonly #mark: string;
  #writes = 0;

  constructor(commander: Commander, options: RedisStoreOptions) {
    const { name = "catga", polling = "default", durability = "process", keys = 1_000_000, watches = 4096 } =
      options;
    for (const [what, limit] of Object.entries({ keys, watches })) {
      if (!(limit >= 1)) {
        throw new RangeError(`Cannot make a store: ${what} is ${limit}, but must be 1 or more`);
      }
    }
    if (!(name.length >= 1 && name.length <= 128 && name.isWellFormed())) {
      throw new RangeError("Cannot make a store: its name must be well-formed text of 1 to 128 characters");
    }
    const { eager, idle, perMinute, whole } = pollings[polling];
    const { budget = new CommandBudget(commander.runtime.clock, perMinute) } = options;
    this.durability = durability;
    this.#commander = commander;
    this.#names = storeKeys(name);
    this.#limits = { keys, watches };
    this.#feed = new StoreFeed(commander, this.#names, { eager, idle, budget });
    this.looks = { soon: eager, late: idle };
    this.#renewals = new RenewalMeter(commander.runtime, whole);
    const { random } = commander.runtime;
    this.#mark = `${random.u32().toString(36)}-${random.u32().toString(36)}`;
  }

  get renewed(): number {
    return this.#renewals.renewed;
  }

  async get(key: string, { signal }: GetOptions = {}): Promise<Entry | undefined> {
    checkKey(key);
    const what = `get "${key}"`;
    const reply = await this.#ask(what, getScript, [key], signal);
    if (reply === null) return undefined;
    const [revision, value] = listOf(what, reply);
    return { key, value: textOf(what, value), revision: numberOf(what, revision) };
  }

  async put(key: string, value: string, { expected, ttl, signal }: PutOptions = {}): Promise<number> {
    checkPut(key, value, ttl);
    const { keys } = this.#limits;
    const left = ttl === undefined ? undefined : Math.ceil(ttl);
    const nonce = this.#nonce();
    const args = ["p", key, value, expected ?? "", left ?? "", nonce, keys];
    const [revision, before] = await this.#write(`put "${key}"`, args, nonce, expected, signal);
    if (ttl !== undefined) this.#renewals.wrote(key, { revision, ttl }, expected);
    this.#feed.wrote({ change: { type: "put", entry: { key, value, revision } }, left }, before);
    return revision;
  }

  async delete(key: string, { expected, signal }: DeleteOptions = {}): Promise<void> {
    checkKey(key);
    const nonce = this.#nonce();
    const args = ["d", key, "", expected ?? "", "", nonce, ""];
    const [revision, before] = await this.#write(`delete "${key}"`, args, nonce, expected, signal);
    if (revision === 0) return;
    this.#feed.wrote({ change: { type: "delete", key, revision }, left: undefined }, before);
  }

  async list(prefix: string, { after, limit = 1000, signal }: ListOptions = {}): Promise<readonly Entry[]> {
    checkLimit(limit);
    checkAfter(after);
    const what = `list "${prefix}"`;
    let from = after === undefined || byCodePoint(after, prefix) < 0 ? `[${prefix}` : `(${after}`;
    const entries: Entry[] = [];
    for (;;) {
      const reply = await this.#ask(what, listScript, [from, prefix, limit - entries.length], signal);
      const page = listingOf(what, reply);
      for (const { key, value, revision } of page.entries) entries.push({ key, value, revision });
      if (!page.more || entries.length >= limit) return entries;
      from = `(${entries.at(-1)!.key}`;
    }
  }

  async *watch(prefix: string, { signal }: WatchOptions = {}): AsyncGenerator<Change, void, undefined> {
    if (signal?.aborted) return;
    const { watches } = this.#limits;
    if (this.#feed.size >= watches) {
      throw notSent("OVERLOADED", `watch "${prefix}"`, `${watches} watch already, as many as may`);
    }
    const watch = this.#feed.open(prefix);
    const end = (): void => {
      watch.feed.end();
      this.#feed.close(watch);
    };
    signal?.addEventListener("abort", end, { once: true });
    try {
      await this.#feed.begin(watch, signal).catch((thrown) => {
        if (!signal?.aborted) throw thrown;
      });
      yield* watch.feed.read();
    } finally {
      signal?.removeEventListener("abort", end);
      this.#feed.close(watch);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#feed.breakOff("the store was closed");
    return Promise.resolve();
  }

  /** The revision of a write, and the one before it if nothing was between. */
  async #write(
    what: string,
    args: readonly (string | number)[],
    nonce: string,
    expected: number | "absent" | undefined,
    signal: AbortSignal | undefined,
  ): Promise<readonly [revision: number, before: number]> {
    let reply: Reply;
    try {
      reply = await this.#ask(what, writeScript, args, signal);
    } catch (thrown) {
      const revision = await this.#settle(thrown, nonce, signal);
      if (revision === undefined) throw thrown;
      return [revision, -1];
    }
    const answer = writeOf(what, reply);
    if (answer.type === "done") return [answer.revision, answer.before];
    if (answer.type === "conflict") throw revisionConflict(what, expected ?? "absent", answer.found);
    throw notSent("OVERLOADED", what, `the store has ${this.#limits.keys} entries, as many as it takes`);
  }

  /** The revision of a write whose answer was lost; `undefined` if it cannot be told whether it was done. */
  async #settle(
    thrown: unknown,
    nonce: string,
    signal: AbortSignal | undefined,
  ): Promise<number | undefined> {
    if (!CatgaError.is(thrown) || thrown.code !== "TRANSPORT" || signal?.aborted) return undefined;
    const what = "settle a write";
    const reply = await this.#ask(what, settleScript, [nonce], signal).catch(() => null);
    return typeof reply === "number" ? reply : undefined;
  }

  #ask(
    what: string,
    script: Script,
    args: readonly (string | number)[],
    signal: AbortSignal | undefined,
  ): Promise<Reply> {
    return this.#commander.run(script, this.#names, args, { signal, what });
  }

  /** Names a write, so that it is found again. */
  #nonce(): string {
    return `${this.#mark}-${this.#writes++}`;
  }
}
