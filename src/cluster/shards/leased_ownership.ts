import { within } from "../../internal/within.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import { KeptLease } from "../../durable/kept_lease.ts";
import type { Lease } from "../../durable/lease.ts";
import { HeldShard } from "./held_shard.ts";
import { drop, type Ownership, type OwnershipHost } from "./ownership.ts";
import { NOWHERE, type Placement, placementOf } from "./placement.ts";
import { ShardClaims } from "./shard_claims.ts";
import type { ShardGroup } from "./shard_group.ts";
import { keyOfShard, SESSIONS, shardOfKey } from "./shard_record.ts";
import { type FollowedRecord, ShardTable } from "./shard_table.ts";
import { Slots } from "./slots.ts";

/** For how many shards the store is asked at a time. */
const AT_ONCE = 16;
/** The shortest time of a lease, in ms. */
const SHORTEST = 100;

/** What leased ownership needs beside what all need. */
export interface LeasedHost extends OwnershipHost {
  readonly runtime: Runtime;
  readonly store: Store;
}

/** Where the shards of a group should be, and since when. */
interface Plan {
  readonly placement: Placement;
  readonly since: number;
}

/** What this node holds shards by. */
interface Holding {
  readonly lease: Lease;
  readonly claims: ShardClaims;
}

/**
 * Owners by lease. A node has one lease, and the record of each shard names the lease that its owner holds it by; the
 * revision of the record is the fencing token. Records are changed by compare-and-set, and only by the owner or once
 * the owner's lease is over, so no two own a shard at a time; and a node renews one lease, however many shards it has
 * (after the sessions of Chubby, Burrows 2006). A shard that should be elsewhere is closed, drained and given back by
 * its owner before another can take it.
 */
export class LeasedOwnership implements Ownership {
  readonly soft: boolean = false;
  readonly #host: LeasedHost;
  readonly #plans: Map<ShardGroup, Plan> = new Map();
  readonly #shown: Set<ShardGroup> = new Set();
  /** What is being done about shards, by key. */
  readonly #busy: Map<string, Promise<void>> = new Map();
  /** Keys that nothing more is to be done about until there is news of them or a heartbeat has passed. */
  readonly #tried: Set<string> = new Set();
  readonly #slots: Slots = new Slots(AT_ONCE);
  #table: ShardTable | undefined;
  #session: KeptLease | undefined;
  #holding: Holding | undefined;
  #moved = 0;
  #kicked = false;
  #closed = false;
  #stop: (() => void) | undefined;

  constructor(host: LeasedHost) {
    this.#host = host;
  }

  holds(): boolean {
    return this.#session?.held !== undefined;
  }

  look(): void {
    if (this.#closed) return;
    const { groups, membership, clock, store, runtime } = this.#host;
    this.#table ??= new ShardTable(store, runtime, (key, record) => this.#heard(key, record));
    for (const group of groups.values()) {
      if (!this.#shown.has(group)) this.#show(group, this.#table);
      if (!group.served || membership.self.kind !== "process") continue;
      this.#session ??= this.#begin();
      const before = this.#plans.get(group)?.placement ?? NOWHERE;
      const placement = placementOf(group, membership.everyone(), before);
      if (placement !== before) this.#plans.set(group, { placement, since: clock.mono() });
    }
    this.#kick();
  }

  tick(): void {
    this.#holding?.claims.tick();
    this.#tried.clear();
    this.#moved = 0;
    this.#kick();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stop?.();
    const { clock, drain } = this.#host;
    await within(clock, this.#leaveAll(), drain);
    this.#table?.close();
    await this.#session?.close();
  }

  #begin(): KeptLease {
    const { runtime, store, membership } = this.#host;
    const { id } = membership.self;
    const ttl = Math.max(membership.timing.timeout, SHORTEST);
    return new KeptLease({
      store,
      runtime,
      owner: id,
      ttl,
      key: () => `${SESSIONS}${id}/${membership.self.incarnation}-${runtime.random.u32().toString(36)}`,
      gained: (lease) => {
        const claims = new ShardClaims(store, runtime.clock, ttl / 3, { owner: id, session: lease.key });
        this.#holding = { lease, claims };
        this.#host.fit(true);
      },
      lost: () => this.#lose(),
      failed: (cause) => {
        const message = `"${id}" can own no shards just now: the store cannot be asked`;
        runtime.log({ level: "warn", event: "shards.unreachable", message, fields: { cause } });
      },
    });
  }

  /** The lease is over, and with it everything that was held by it. */
  #lose(): void {
    this.#holding = undefined;
    this.#host.fit(false);
    for (const group of this.#host.groups.values()) {
      for (const shard of group.held.values()) drop(group, shard);
    }
  }

  #heard(key: string, record: FollowedRecord | undefined): void {
    const shard = shardOfKey(key);
    const group = shard && this.#host.groups.get(shard.group);
    if (group === undefined || shard!.index >= group.count) return;
    const held = group.held.get(shard!.index);
    // Should clocks drift by more than they may, what is another's by now is let go of here at the latest.
    if (held !== undefined && record !== undefined && record.revision > held.token!) drop(group, held);
    this.#host.own(group, shard!.index, record && { id: record.owner, token: record.revision });
    this.#tried.delete(key);
    this.#kick();
  }

  /** Shows the owners in a group that was not known before. */
  #show(group: ShardGroup, table: ShardTable): void {
    this.#shown.add(group);
    for (let index = 0; index < group.count; index++) {
      const record = table.get(keyOfShard(group.name, index));
      if (record !== undefined) this.#host.own(group, index, { id: record.owner, token: record.revision });
    }
  }

  #kick(): void {
    if (this.#kicked || this.#closed) return;
    this.#kicked = true;
    queueMicrotask(() => {
      this.#kicked = false;
      if (!this.#closed && this.holds() && this.#holding !== undefined) this.#round(this.#holding);
    });
  }

  /** Begins what is to be done about shards just now, as much as may be at a time. */
  #round(holding: Holding): void {
    const { membership, clock, settle } = this.#host;
    if (membership.self.status !== "ready") return;
    const now = clock.mono();
    for (const [group, { placement, since }] of this.#plans) {
      const wait = placement.nodes > 1 ? since + settle - now : 0;
      if (wait > 0) {
        this.#stop?.();
        this.#stop = clock.timer(wait, () => this.#kick());
      }
      for (let index = 0; index < group.count && this.#slots.free; index++) {
        const wanted = placement.owners[index] === membership.self.id;
        // What is nobody's is taken at once; what somebody has moves when the nodes have been the same for a while.
        if (wanted || wait <= 0) this.#place(holding, group, index, wanted);
      }
    }
  }

  /** Begins what is to be done about one shard. */
  #place(holding: Holding, group: ShardGroup, index: number, wanted: boolean): void {
    const key = keyOfShard(group.name, index);
    const held = group.held.get(index);
    if (this.#busy.has(key)) return;
    if (held !== undefined) {
      if (!wanted && this.#moved++ < this.#host.moves) this.#leave(holding, group, held);
      return;
    }
    // A request that came late may have taken what is no longer wanted.
    const stray = this.#table?.get(key)?.session === holding.lease.key;
    if (this.#tried.has(key) || !(wanted || stray)) return;
    this.#tried.add(key);
    this.#do(
      key,
      () =>
        this.#slots.run(() => wanted ? this.#take(holding, group, index, key) : holding.claims.giveBack(key)),
    );
  }

  #do(key: string, work: () => Promise<void>): void {
    const { runtime } = this.#host;
    const done = work().catch((cause: unknown) => {
      const message = `Could not move "${key}" just now; the next heartbeat tries again`;
      runtime.log({ level: "debug", event: "shards.failed", message, fields: { cause } });
    }).then(() => {
      this.#busy.delete(key);
      this.#kick();
    });
    this.#busy.set(key, done);
    runtime.background(done);
  }

  async #take({ lease, claims }: Holding, group: ShardGroup, index: number, key: string): Promise<void> {
    const record = this.#table?.get(key);
    if (record !== undefined && record.session !== lease.key && !await claims.isOver(record.session)) return;
    const token = await claims.take(key, record?.revision);
    if (token === undefined || lease !== this.#holding?.lease || !lease.held()) return;
    if (this.#closed) return await claims.giveBack(key);
    group.held.set(index, new HeldShard(group.name, index, token));
  }

  /** Closes a shard, lets what is under way end, and gives it back. */
  #leave({ lease, claims }: Holding, group: ShardGroup, shard: HeldShard): void {
    const { clock, drain } = this.#host;
    const key = keyOfShard(group.name, shard.index);
    this.#do(key, async () => {
      await within(clock, shard.close(), drain);
      drop(group, shard);
      // The record of an owner whose lease is over is as good as none.
      await this.#slots.run(async () => lease.held() ? await claims.giveBack(key) : undefined);
    });
  }

  /** Gives away everything; what is idle does not wait for the rest. */
  async #leaveAll(): Promise<void> {
    const holding = this.#holding;
    for (const group of holding === undefined ? [] : this.#host.groups.values()) {
      for (const shard of group.held.values()) if (!shard.leaving) this.#leave(holding!, group, shard);
    }
    await Promise.all(this.#busy.values());
  }
}
