import { follow } from "../durable/follow.ts";
import { KeptLease } from "../durable/kept_lease.ts";
import { type LeaseHolder, leaseHolder } from "../durable/lease_record.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";
import type { Leader, Leadership } from "./leader.ts";
import type { Membership } from "./membership.ts";

/** Where the lease of the leader is kept. */
const KEY = "leader";
/** The shortest time of a lease, in ms. */
const SHORTEST = 100;

/** What {@linkcode LeasedLeadership} stands on. */
export interface LeasedLeadershipHost {
  readonly membership: Membership;
  readonly runtime: Runtime;
  readonly store: Store;
  /** Somebody else leads, or nobody. */
  changed(leader: Leader | undefined): void;
}

/**
 * A leader by lease: all processes that are ready wait for one, and whoever holds it leads. Its term is the fencing
 * token, so terms only grow, and it stops leading by its own clock before another one can begin.
 */
export class LeasedLeadership implements Leadership {
  readonly #host: LeasedLeadershipHost;
  readonly #closed: AbortController = new AbortController();
  readonly #ttl: number;
  #follows = false;
  #standing: KeptLease | undefined;
  #seen: LeaseHolder | undefined;
  #shown: Leader | undefined;

  constructor(host: LeasedLeadershipHost) {
    this.#host = host;
    this.#ttl = Math.max(host.membership.timing.timeout, SHORTEST);
  }

  get leader(): Leader | undefined {
    // Its own lease may be over before anything could say so.
    return this.#shown?.local === true && this.#standing?.held === undefined ? undefined : this.#shown;
  }

  look(): void {
    const { self } = this.#host.membership;
    if (this.#closed.signal.aborted) return;
    if (!this.#follows) this.#follow();
    if (self.status === "ready" && self.kind === "process") this.#standing ??= this.#stand();
  }

  async resign(): Promise<void> {
    await this.#standing?.letGo(this.#ttl);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.#standing?.close();
    this.#show();
  }

  #follow(): void {
    this.#follows = true;
    const { store, runtime } = this.#host;
    const { signal } = this.#closed;
    runtime.background(follow(KEY, {
      store,
      runtime,
      signal,
      take: (key, entry) => {
        if (key !== KEY) return;
        this.#seen = leaseHolder(entry);
        this.#show();
      },
    }));
  }

  #stand(): KeptLease {
    const { store, runtime, membership } = this.#host;
    const owner = membership.self.id;
    return new KeptLease({
      store,
      runtime,
      owner,
      ttl: this.#ttl,
      key: () => KEY,
      gained: () => {
        // Whoever led before does no more, however late the watch says so.
        this.#seen = undefined;
        this.#show();
      },
      lost: () => this.#show(),
      failed: (cause) => {
        const message = `"${owner}" cannot stand for leader just now: the store cannot be asked`;
        runtime.log({ level: "warn", event: "leader.unreachable", message, fields: { cause } });
      },
    });
  }

  #show(): void {
    const leader = this.#found();
    const before = this.#shown;
    if (leader?.id === before?.id && leader?.term === before?.term) return;
    this.#shown = leader;
    this.#host.changed(leader);
  }

  #found(): Leader | undefined {
    const { id } = this.#host.membership.self;
    const own = this.#standing?.held;
    if (own !== undefined) return { id, local: true, soft: false, term: own.token };
    // What it held itself, and does no longer, it has lost, whatever the store says as yet.
    if (this.#closed.signal.aborted || this.#seen === undefined || this.#seen.owner === id) return undefined;
    return { id: this.#seen.owner, local: false, soft: false, term: this.#seen.token };
  }
}
