import { failure, type Fault, type Result } from "../../result.ts";
import type { Contract } from "../../message/contract.ts";
import type { Message } from "../../message/message.ts";
import type { ShardPolicy } from "../../message/policy.ts";
import type { Router } from "../../message/route.ts";
import { Origin } from "../../mediator/context.ts";
import { cancelledFault } from "../../mediator/supervise.ts";
import type { WireMessage } from "../../wire/envelope.ts";
import type { Calls } from "../calls.ts";
import type { Candidates } from "../candidates.ts";
import { signalsOf, wireOf } from "../outgoing.ts";
import { cancelWith, RemoteCall } from "../remote_call.ts";
import type { Target } from "../target.ts";
import { type OwnerAnswer, sendToOwner } from "./send_to_owner.ts";
import type { Shards } from "./shards.ts";

/** What sending to owners of shards needs of its node. */
export interface OwnerSenderHost {
  readonly calls: Calls;
  readonly candidates: Candidates;
  readonly shards: Shards;
  nextId(): string;
  nobody(type: string): Fault;
  /** Why nothing can be sent any more, once this node has left. */
  left(type: string): Fault | undefined;
}

/** One sharded message on its way. */
interface Sharded {
  readonly message: Message;
  readonly origin: Origin;
  readonly wire: WireMessage;
  readonly key: string;
  readonly deadline: number;
  readonly idempotent: boolean;
  readonly signals: readonly AbortSignal[];
  readonly router: Router;
}

/** Sends the messages of contracts with shards. */
export class OwnerSender {
  readonly #host: OwnerSenderHost;

  constructor(host: OwnerSenderHost) {
    this.#host = host;
  }

  /** Sends a message to the owner of its shard, or to where its sender wants it. Throws what the `key` throws. */
  send(
    message: Message,
    given: Origin | undefined,
    contract: Contract,
    policy: ShardPolicy<unknown>,
  ): Promise<Result<unknown, Fault>> {
    const { candidates, shards, calls, nobody } = this.#host;
    const { type } = message;
    const targets = candidates.of(type);
    if (targets.length === 0) return Promise.resolve(failure(nobody(type)));
    const own = given?.route === undefined ? targets.find(isLocal) : undefined;
    const origin = unused(given);
    if (own !== undefined) {
      origin.watched = true;
      if (shards.admit(message, origin) === undefined) return calls.here(message, origin, own);
    }
    return this.#elsewhere(message, origin, contract, policy);
  }

  #elsewhere(
    message: Message,
    origin: Origin,
    contract: Contract,
    policy: ShardPolicy<unknown>,
  ): Promise<Result<unknown, Fault>> {
    const { candidates, shards, calls, nextId, left } = this.#host;
    const { type, body } = message;
    const key = policy.key(body);
    const group = shards.groupOf(type, policy);
    const index = group.indexOf(key);
    const signals = signalsOf(origin);
    if (signals.some((signal) => signal.aborted)) return Promise.resolve(failure(cancelledFault(type)));
    origin.id ??= nextId();
    const sharded: Sharded = {
      message,
      origin,
      wire: wireOf(message, origin, origin.id),
      key,
      deadline: calls.deadlineOf(contract, origin),
      idempotent: contract.idempotent ?? false,
      signals,
      router: origin.route ??
        ((_call, targets) => targets.find(({ id }) => id === group.owners[index]?.id)),
    };
    if (origin.route !== undefined) return this.#where(sharded, origin.route);
    return sendToOwner({
      ...sharded,
      type,
      group,
      index,
      gone: () => left(type),
      ask: (owner) => {
        const target = candidates.named(type, owner);
        return target && this.#ask(sharded, target);
      },
    }, calls);
  }

  /** Sends a message to where its sender wants it, whoever owns its shard. */
  #where(sharded: Sharded, router: Router): Promise<Result<unknown, Fault>> {
    const { candidates, calls, nobody } = this.#host;
    const { message: { type }, key } = sharded;
    const target = candidates.pick(router, { type, key, zone: calls.zone });
    if (target === undefined) return Promise.resolve(failure(nobody(type)));
    return this.#ask(sharded, target).then(({ result }) => result);
  }

  #ask(sharded: Sharded, target: Target): Promise<OwnerAnswer> {
    return target.local ? this.#askHere(sharded, target) : this.#askThere(sharded, target);
  }

  async #askHere({ message, origin, deadline }: Sharded, target: Target): Promise<OwnerAnswer> {
    const { shards, calls } = this.#host;
    origin.watched = true;
    const refused = shards.admit(message, origin);
    if (refused !== undefined) return { result: failure(refused), answered: false };
    // The time that it waited counts.
    origin.deadline = deadline;
    origin.bounded = true;
    return { result: await calls.here(message, origin, target), answered: true };
  }

  #askThere(
    { wire, key, deadline, router, idempotent, signals }: Sharded,
    target: Target,
  ): Promise<OwnerAnswer> {
    return new Promise((resolve) => {
      const { calls } = this.#host;
      const call: RemoteCall = new RemoteCall(calls, wire, key, deadline, router, idempotent, (result) => {
        resolve({ result, answered: call.answered });
      });
      calls.begins();
      if (signals.length > 0) cancelWith(call, signals);
      call.start(target);
    });
  }
}

function isLocal({ local }: Target): boolean {
  return local;
}

/** An origin of its own for each handling: what was handled with the given one may still go on. */
function unused(given: Origin | undefined): Origin {
  if (given?.shard === undefined) return given ?? new Origin();
  return Object.assign(new Origin(), given, { shard: undefined, context: undefined });
}
