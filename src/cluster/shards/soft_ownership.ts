import { within } from "../../internal/within.ts";
import { HeldShard } from "./held_shard.ts";
import { movedFault, type Ownership, type OwnershipHost } from "./ownership.ts";
import { NOWHERE, type Placement, placementOf } from "./placement.ts";
import type { ShardGroup } from "./shard_group.ts";

/**
 * Owners by the view alone, where nothing is kept: each node takes what is its by its own view once that has settled,
 * and lets go at once of what no longer is. While views differ two may own a shard.
 */
export class SoftOwnership implements Ownership {
  readonly soft: boolean = true;
  readonly #host: OwnershipHost;
  readonly #placements: Map<ShardGroup, Placement> = new Map();
  readonly #timers: Map<ShardGroup, () => void> = new Map();
  #closed = false;

  constructor(host: OwnershipHost) {
    this.#host = host;
  }

  holds(): boolean {
    return true;
  }

  look(): void {
    const { groups, membership } = this.#host;
    for (const group of groups.values()) {
      const before = this.#placements.get(group) ?? NOWHERE;
      const placement = placementOf(group, membership.everyone(), before);
      if (placement === before) continue;
      this.#placements.set(group, placement);
      for (const [index, id] of placement.owners.entries()) {
        if (group.owners[index]?.id === id) continue;
        this.#host.own(group, index, id === undefined ? undefined : { id, token: undefined });
      }
      this.#settle(group, placement);
    }
  }

  tick(): void {}

  async close(): Promise<void> {
    this.#closed = true;
    for (const stop of this.#timers.values()) stop();
    const { clock, drain, groups } = this.#host;
    const held = [...groups.values()].flatMap((group) => [...group.held.values()]);
    await within(clock, Promise.all(held.map((shard) => shard.close())).then(() => {}), drain);
  }

  /** Lets go at once, and takes what is new after a while: whoever had it may still be finishing. */
  #settle(group: ShardGroup, { owners, nodes }: Placement): void {
    const { clock, membership, settle, drain } = this.#host;
    const { id } = membership.self;
    if (!group.served || this.#closed) return;
    for (const shard of [...group.held.values()]) {
      if (owners[shard.index] === id) continue;
      group.held.delete(shard.index);
      void within(clock, shard.close(), drain).then(() => shard.cancel(movedFault(shard)));
    }
    const take = (): void => {
      this.#timers.delete(group);
      for (const [index, owner] of owners.entries()) {
        if (owner === id && !group.held.has(index)) {
          group.held.set(index, new HeldShard(group.name, index, undefined));
        }
      }
    };
    this.#timers.get(group)?.();
    if (nodes === 1) take();
    else this.#timers.set(group, clock.timer(settle, take));
  }
}
