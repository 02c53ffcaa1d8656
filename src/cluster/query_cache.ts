import { failure, type Fault, faultOf, ok, type Result, type Success } from "../result.ts";
import { Lru } from "../internal/lru.ts";
import { type SharedCall, waitFor } from "../internal/shared_call.ts";
import { snapshot } from "../internal/snapshot.ts";
import type { CachePolicy } from "../message/policy.ts";
import type { Message } from "../message/message.ts";
import type { Origin } from "../mediator/context.ts";
import { cancelledFault, timeoutFault } from "../mediator/supervise.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { QueryCacheOptions, QueryCacheStats } from "./cache_types.ts";
import { CacheScopes, type Scope } from "./cache_scopes.ts";
import { frozenFailure, originOf } from "./flight.ts";
import { signalsOf } from "./outgoing.ts";
import { cacheKey, keyPrefix, tenantOf } from "./stable_key.ts";

/** Sends the query; settles with its result. */
export type Fetch = (origin: Origin | undefined) => Promise<Result<unknown, Fault>>;

/** What an entry takes beside its key and value, in bytes. */
const ENTRY = 200;
/** How long a refresh may take, in ms, and how many may be under way. */
const REFRESH = 30_000;
const REFRESHES = 256;

interface Kept {
  readonly result: Success<unknown>;
  readonly since: number;
}

interface Flight extends SharedCall<Result<unknown, Fault>> {
  readonly key: string;
  readonly scope: Scope;
}

/**
 * Answers of queries on the node that asked, and one call for all who ask the same at once.
 *
 * An answer is kept, and handed to all, as a frozen copy. The same object in many hands would change under one when
 * another writes to it, freezing the original would freeze what a handler in this process may still work with, and a
 * copy for each would cost what the cache is to save. An answer that isn't plain data is not kept and not shared.
 *
 * A kept answer counts from when it was asked for. A tenant's answers are its own; whatever else tells answers apart
 * has to stand in the body.
 */
export class QueryCache implements Disposable {
  readonly #runtime: Pick<Runtime, "clock" | "background">;
  readonly #now: () => number;
  readonly #header: string;
  readonly #largest: number;
  readonly #kept: Lru<Kept>;
  readonly #flights: Map<string, Flight> = new Map();
  readonly #scopes: CacheScopes;
  #maxAge = Infinity;
  #refreshing = 0;
  #closed = false;
  readonly #counts = { hits: 0, stale: 0, misses: 0, joined: 0, refused: 0, invalidated: 0 };

  /** Throws a `RangeError` for limits that are none. */
  constructor(
    runtime: Pick<Runtime, "clock" | "background">,
    options: QueryCacheOptions & { readonly now?: () => number } = {},
  ) {
    const { entries = 10_000, size = 2 ** 26, tenantHeader = "tenant" } = options;
    this.#runtime = runtime;
    this.#now = options.now ?? (() => runtime.clock.mono());
    this.#header = tenantHeader.toLowerCase();
    this.#largest = size / 8;
    this.#kept = new Lru({ entries, size });
    this.#scopes = new CacheScopes((group) => this.#kept.drop(group));
  }

  /**
   * The result of a query: a kept one, that of the same query under way, or a new one. Callers keep their own deadline
   * and signal; the call they wait for is given up with the last of them. Failures are not kept. Goes straight to
   * `run` where the caller picked a node or the body has no key. Never rejects where `run` does not.
   */
  through(
    { type, body }: Message,
    policy: CachePolicy<unknown>,
    origin: Origin | undefined,
    run: Fetch,
  ): Promise<Result<unknown, Fault>> {
    if (this.#closed || origin?.route !== undefined) return run(origin);
    const tenant = tenantOf(origin?.headers ?? origin?.parent?.headersIfAny, this.#header);
    let part: string | undefined;
    try {
      part = tenant === null ? undefined : cacheKey(policy, body);
    } catch (thrown) {
      return Promise.resolve(failure(faultOf(thrown)));
    }
    if (tenant === null || part === undefined) {
      this.#counts.refused++;
      return run(origin);
    }
    const now = this.#now();
    if (signalsOf(origin).some((signal) => signal.aborted)) {
      return Promise.resolve(failure(cancelledFault(type)));
    }
    if (origin !== undefined && !(origin.deadline > now)) return Promise.resolve(failure(timeoutFault(type)));
    const key = keyPrefix(type, tenant) + part;
    const kept = this.#fresh(key, now);
    const flight = this.#flights.get(key);
    const under = flight?.scope.live === true ? flight : undefined;
    const start = (refresh: boolean): Flight =>
      this.#start(key, this.#scopes.of(type, tenant), policy, now, originOf(origin, refresh), run, refresh);
    if (kept !== undefined) {
      this.#counts.hits++;
      if (now - kept.since < policy.ttl) return Promise.resolve(kept.result);
      this.#counts.stale++;
      if (under === undefined && this.#refreshing < REFRESHES) this.#runtime.background(start(true).result);
      return Promise.resolve(kept.result);
    }
    this.#counts.misses++;
    if (under === undefined) return this.#wait(start(false), type, origin);
    this.#counts.joined++;
    under.joined = true;
    return this.#wait(under, type, origin).then((result) =>
      result.ok && !under.shared ? run(origin) : result
    );
  }

  /**
   * Lets all answers of some queries go. What is under way is answered to those who wait already, but neither kept nor
   * joined by others.
   *
   * @param tenant whose answers; those asked for without a tenant go too. Those of all if left out
   */
  invalidate(types: readonly string[], tenant?: string): void {
    for (const type of types) this.#counts.invalidated += this.#scopes.drop(type, tenant);
  }

  /** While word of commands on other nodes may be lost: no answer older than some ms is given. */
  suspect(maxAge: number = 5000): void {
    this.#maxAge = maxAge;
  }

  /** Word of commands comes through again; what it may have missed goes, which is all there is. */
  trust(): void {
    if (this.#maxAge === Infinity) return;
    this.#maxAge = Infinity;
    this.clear();
  }

  /** Lets all answers go. */
  clear(): void {
    this.#scopes.clear();
  }

  /** What it holds and has done. */
  stats(): QueryCacheStats {
    const { count: entries, size, evicted } = this.#kept;
    return { entries, size, evicted, ...this.#counts, suspect: this.#maxAge < Infinity };
  }

  /** Lets everything go and keeps nothing more; refreshes end. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const flight of this.#flights.values()) if (flight.refresh) this.#end(flight, true);
    this.clear();
  }

  #fresh(key: string, now: number): Kept | undefined {
    const kept = this.#kept.get(key, now);
    if (kept === undefined || now - kept.since < this.#maxAge) return kept;
    this.#kept.delete(key);
    return undefined;
  }

  #start(
    key: string,
    scope: Scope,
    policy: CachePolicy<unknown>,
    since: number,
    origin: Origin,
    run: Fetch,
    refresh: boolean,
  ): Flight {
    const abort = new AbortController();
    origin.signal = abort.signal;
    if (refresh) origin.deadline = since + REFRESH;
    const flight = {
      key,
      scope,
      abort,
      refresh,
      waiting: refresh ? 1 : 0,
      joined: false,
      shared: true,
      over: false,
    };
    const stop = refresh ? this.#runtime.clock.timer(REFRESH, () => this.#end(flying, true)) : undefined;
    const settled = (result: Result<unknown, Fault>): Result<unknown, Fault> => {
      stop?.();
      const current = !flight.over && scope.live && !this.#closed;
      this.#end(flying, false);
      if (!result.ok) return flight.joined ? frozenFailure(result, this.#largest) : result;
      const copy = snapshot(result.value, this.#largest);
      flying.shared = copy !== undefined;
      if (copy === undefined) return this.#refuse(result);
      const kept: Kept = { result: Object.freeze(ok(copy.value)), since };
      const until = since + policy.ttl + (policy.staleWhileRevalidate ?? 0);
      const size = copy.size + key.length * 2 + ENTRY;
      if (current && until > this.#now()) this.#kept.set(key, kept, until, size, scope.group);
      return kept.result;
    };
    const flying: Flight = Object.assign(flight, { result: undefined as never });
    this.#flights.set(key, flying);
    scope.flights++;
    if (refresh) this.#refreshing++;
    flying.result = new Promise<Result<unknown, Fault>>((resolve) => resolve(run(origin)))
      .then(undefined, (thrown) => failure(faultOf(thrown))).then(settled)
      .then(undefined, (thrown) => failure(faultOf(thrown)));
    return flying;
  }

  #refuse(result: Result<unknown, Fault>): Result<unknown, Fault> {
    this.#counts.refused++;
    return result;
  }

  /** A call is over, or nobody waits for it any longer. */
  #end(flight: Flight, abort: boolean): void {
    if (flight.over) return;
    flight.over = true;
    flight.scope.flights--;
    if (flight.refresh) this.#refreshing--;
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
    if (abort) flight.abort.abort();
  }

  #wait(flight: Flight, type: string, origin: Origin | undefined): Promise<Result<unknown, Fault>> {
    const deadline = origin?.deadline ?? Infinity;
    const { clock } = this.#runtime;
    return waitFor(flight, {
      signals: signalsOf(origin),
      timer: deadline === Infinity ? undefined : (run) => clock.timer(deadline - clock.mono(), run),
      gone: (late) => failure(late ? timeoutFault(type) : cancelledFault(type)),
      empty: () => this.#end(flight, true),
    });
  }
}
