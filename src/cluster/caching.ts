import type { Fault, Result } from "../result.ts";
import type { Contract } from "../message/contract.ts";
import type { Message } from "../message/message.ts";
import type { CachePolicy } from "../message/policy.ts";
import type { Origin } from "../mediator/context.ts";
import type { Engine } from "../mediator/mediator.ts";
import type { WireMessage } from "../wire/envelope.ts";
import type { QueryCacheOptions } from "./cache_types.ts";
import {
  decodeInvalidation,
  encodeInvalidation,
  type Invalidation,
  invalidationsOf,
} from "./invalidation.ts";
import type { Link } from "./link.ts";
import { QueryCache } from "./query_cache.ts";
import { tenantOf } from "./stable_key.ts";
import type { Ways } from "./ways.ts";

/** The name of the notice that kept answers hold no more; no contract can have it. */
export const INVALIDATED = "~invalidated";

/** How soon a node that did not take word of what changed is told to let everything go, in ms. */
const AGAIN = 500;

/** How old a kept answer may be while word of what changed may be lost, in ms. */
const UNSURE = 5000;

/** Keeps answers of queries on this node, and tells all nodes when a command that was handled here has changed them. */
export class Caching {
  readonly cache: QueryCache;
  readonly #engine: Engine;
  readonly #link: Link;
  readonly #ways: Ways;
  readonly #header: string;
  /** What goes when a command has succeeded, by its name. */
  readonly #ends: Map<string, readonly string[]> = new Map();
  readonly #owed: Map<string, () => void> = new Map();

  constructor(
    engine: Engine,
    link: Link,
    ways: Ways,
    options: QueryCacheOptions & { readonly now: () => number },
  ) {
    this.cache = new QueryCache(engine.runtime, options);
    this.#engine = engine;
    this.#link = link;
    this.#ways = ways;
    this.#header = options.tenantHeader?.toLowerCase() ?? "tenant";
    for (const contract of engine.contracts) {
      const types = invalidationsOf(contract);
      if (types.length > 0) this.#ends.set(contract.type, types);
    }
    link.missed = (id) => this.#missed(id);
  }

  /** Sends a query, unless its answer is there. */
  ask(
    message: Message,
    policy: CachePolicy<unknown>,
    origin: Origin | undefined,
    run: (origin: Origin | undefined) => Promise<Result<unknown, Fault>>,
  ): Promise<Result<unknown, Fault>> {
    return this.cache.through(message, policy, origin, run);
  }

  /** Handles a message on this node. */
  dispatch(message: Message, origin: Origin | undefined): Promise<Result<unknown, Fault>> {
    const handled = this.#engine.dispatch(message, origin);
    const types = this.#ends.size === 0 ? undefined : this.#ends.get(message.type);
    if (types === undefined) return handled;
    return handled.then((result) => {
      if (result.ok) this.#tell({ types, tenant: this.#tenantOf(origin) });
      return result;
    });
  }

  /** A command that this node sent has succeeded: what it keeps itself ends at once. */
  succeeded(contract: Contract, origin: Origin | undefined): void {
    const types = invalidationsOf(contract);
    if (types.length > 0) this.cache.invalidate(types, this.#tenantOf(origin));
  }

  /** Takes word of another node. */
  take(items: unknown): void {
    for (const item of Array.isArray(items) ? items as readonly unknown[] : []) {
      if (item === "*") this.cache.clear();
      else {
        const { types, tenant } = decodeInvalidation(item);
        this.cache.invalidate(types, tenant);
      }
    }
  }

  /** The view may have changed: word of nodes that are out of reach may be lost. */
  look(): void {
    const unsure = this.#link.membership.everyone().some(({ local, reachable, suspected }) =>
      !local && (!reachable || suspected !== undefined)
    );
    if (unsure) this.cache.suspect(UNSURE);
    else this.cache.trust();
  }

  /** Keeps nothing more. */
  close(): void {
    for (const stop of this.#owed.values()) stop();
    this.#owed.clear();
    this.cache[Symbol.dispose]();
  }

  #tell(invalidation: Invalidation): void {
    this.cache.invalidate(invalidation.types, invalidation.tenant);
    const notice = noticeOf(encodeInvalidation(invalidation));
    for (const record of this.#link.membership.records()) this.#ways.to(record).notify(notice);
  }

  /** A node that did not take word is told to let everything go, until it has taken that. */
  #missed(id: string): void {
    if (this.#owed.has(id) || this.#link.membership.self.status === "left") return;
    this.#owed.set(
      id,
      this.#link.runtime.clock.timer(AGAIN, () => {
        this.#owed.delete(id);
        const record = this.#link.membership.find(id);
        if (record !== undefined) this.#ways.to(record).notify(noticeOf(["*"]));
      }),
    );
  }

  #tenantOf(origin: Origin | undefined): string | undefined {
    return tenantOf(origin?.headers ?? origin?.parent?.headersIfAny, this.#header) ?? undefined;
  }
}

function noticeOf(body: readonly unknown[]): WireMessage {
  return {
    type: INVALIDATED,
    id: undefined,
    body,
    correlationId: undefined,
    causationId: undefined,
    headers: undefined,
  };
}
