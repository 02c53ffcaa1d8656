import { type Fault, type Result, type SystemFault, systemFault } from "../../result.ts";
import type { Contract } from "../../message/contract.ts";
import type { Message } from "../../message/message.ts";
import type { ShardPolicy } from "../../message/policy.ts";
import type { Origin } from "../../mediator/context.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import type { Membership } from "../membership.ts";
import type { HeldShard } from "./held_shard.ts";
import { LeasedOwnership } from "./leased_ownership.ts";
import type { Ownership } from "./ownership.ts";
import { ShardGroup, type ShardOwner } from "./shard_group.ts";
import type { ShardOptions, ShardState } from "./shard_types.ts";
import { SoftOwnership } from "./soft_ownership.ts";

/** What shards need of their node. */
export interface ShardsHost {
  readonly runtime: Runtime;
  readonly membership: Membership;
  /** The contracts that this node serves. */
  readonly contracts: readonly Contract[];
  readonly store: Store | undefined;
  readonly options: ShardOptions | undefined;
  readonly drain: number;
  /** Something happened that whoever watches the cluster is to know. */
  readonly changed: () => void;
}

/** Handles a message on this node. */
export type Dispatch = (message: Message, origin: Origin | undefined) => Promise<Result<unknown, Fault>>;

/** Which of the shards of its contracts a node owns, and which nodes own the others. */
export class Shards {
  readonly #host: ShardsHost;
  readonly #groups: Map<string, ShardGroup> = new Map();
  readonly #served: Map<string, ShardPolicy<unknown>> = new Map();
  readonly #ownership: Ownership;
  #telling = false;

  /** Throws a `RangeError` for numbers that cannot work and for contracts of one group that count differently. */
  constructor(host: ShardsHost) {
    this.#host = host;
    const { runtime, membership, store, options = {}, drain } = host;
    const { settle = membership.timing.heartbeat, moves = 16 } = options;
    check("settle", settle, settle >= 0 && settle < Infinity, "0 ms or more");
    check("moves", moves, Number.isSafeInteger(moves) && moves > 0, "a whole number above 0");
    const shared = {
      clock: runtime.clock,
      membership,
      settle,
      moves,
      drain,
      groups: this.#groups,
      fit: (fit: boolean) => {
        membership.say({ fit });
        host.changed();
      },
      own: this.#own.bind(this),
    };
    for (const contract of host.contracts) {
      if (contract.shard === undefined) continue;
      this.#served.set(contract.type, contract.shard);
      this.groupOf(contract.type, contract.shard).served = true;
    }
    this.#ownership = store === undefined
      ? new SoftOwnership(shared)
      : new LeasedOwnership({ ...shared, runtime, store });
  }

  /** Whether this node has to do with shards at all. */
  get any(): boolean {
    return this.#groups.size > 0;
  }

  /** The group that the messages of a contract belong to. */
  groupOf(type: string, { group: name = type, count }: ShardPolicy<unknown>): ShardGroup {
    let group = this.#groups.get(name);
    if (group === undefined) this.#groups.set(name, group = new ShardGroup(name, count));
    if (group.count !== count) {
      throw new RangeError(
        `"${type}" has ${count} shards, but others of the group "${name}" have ${group.count}; make them the same`,
      );
    }
    if (!group.types.has(type)) {
      group.types.add(type);
      this.#ownership?.look();
    }
    return group;
  }

  /**
   * Lets a message in, if it belongs to no shard or to one that this node owns. Answers why it does not.
   *
   * @param origin what its handler's context will be made of
   */
  admit(
    { type, body }: { readonly type: string; readonly body: unknown },
    origin: Origin,
  ): SystemFault | undefined {
    const policy = this.#served.get(type);
    if (policy === undefined) return undefined;
    const group = this.groupOf(type, policy);
    let index: number;
    try {
      index = group.indexOf(policy.key(body));
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      return systemFault("VALIDATION", `"${type}" cannot be given to a shard, its key failed: ${why}`);
    }
    const shard = group.held.get(index);
    if (shard === undefined || (shard.leaving && !mayFinish(shard, origin)) || !this.#ownership.holds()) {
      const message =
        `"${type}" belongs to shard ${index} of "${group.name}", which is not this node's just now`;
      return systemFault("UNAVAILABLE", message);
    }
    shard.enter(origin);
    return undefined;
  }

  /** Handles a message that was let in. */
  dispatch(
    message: Message,
    origin: Origin | undefined,
    next: Dispatch,
  ): Promise<Result<unknown, Fault>> {
    const shard = origin?.shard as HeldShard | undefined;
    if (shard === undefined) return next(message, origin);
    const exit = (): void => shard.exit(origin!);
    return next(message, origin).then((result) => {
      // A handler that goes on after its caller has gone keeps its shard here.
      const still = origin!.context?.stillHandled;
      if (still === undefined) exit();
      else still.then(exit, exit);
      return result;
    });
  }

  look(): void {
    if (this.any) this.#ownership.look();
  }

  tick(): void {
    if (this.any) this.#ownership.tick();
  }

  /** Gives everything away. */
  close(): Promise<void> {
    return this.#ownership.close();
  }

  /** All shards that this node knows of. */
  states(): ShardState[] {
    return [...this.#groups.values()].flatMap((group) =>
      group.owners.map((_, index) => this.#state(group, index))
    );
  }

  /** The shard that a message belongs to. Throws what the `key` throws. */
  stateOf(type: string, policy: ShardPolicy<unknown>, body: unknown): ShardState {
    const group = this.groupOf(type, policy);
    return this.#state(group, group.indexOf(policy.key(body)));
  }

  #state(group: ShardGroup, index: number): ShardState {
    const { id: owner, token } = group.owners[index] ?? {};
    const shard = this.#ownership.holds() ? group.held.get(index) : undefined;
    const here = shard === undefined ? undefined : shard.leaving ? "leaving" : "owned";
    return { group: group.name, index, owner, token, soft: this.#ownership.soft, here };
  }

  #own(group: ShardGroup, index: number, owner: ShardOwner | undefined): void {
    const from = group.own(index, owner);
    if (from === undefined || owner === undefined) return;
    const { id: to, token } = owner;
    this.#host.membership.note({ type: "shardMoved", group: group.name, index, from, to, token });
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      this.#host.changed();
    });
  }
}

/** What is at work because of shards that are given away may finish with further messages to them. */
function mayFinish(shard: HeldShard, { parent }: Origin): boolean {
  if (!shard.busy) return false;
  for (let at = parent; at !== undefined; at = at.origin?.parent) {
    if ((at.shard as HeldShard | undefined)?.leaving === true) return true;
  }
  return false;
}

function check(name: string, value: number, fits: boolean, wanted: string): void {
  if (!fits) throw new RangeError(`Cannot own shards: ${name} is ${value}, but must be ${wanted}`);
}
