import { failure, type Fault, faultOf, type Result } from "../result.ts";
import { type Contract, contractOf } from "../message/contract.ts";
import type { Message } from "../message/message.ts";
import type { Router } from "../message/route.ts";
import type { Behavior } from "../mediator/behavior.ts";
import { type Host, Origin } from "../mediator/context.ts";
import { broken } from "../mediator/flow.ts";
import type { Engine } from "../mediator/mediator.ts";
import { cancelledFault } from "../mediator/supervise.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Store } from "../ports/store.ts";
import { turnClock } from "../internal/turn_clock.ts";
import { Calls } from "./calls.ts";
import type { QueryCacheOptions } from "./cache_types.ts";
import { Caching } from "./caching.ts";
import { CallerSide } from "./caller_side.ts";
import { Hedges, type Take } from "./hedge.ts";
import { type CandidateOptions, Candidates } from "./candidates.ts";
import { Handling } from "./handling.ts";
import type { Link } from "./link.ts";
import { signalsOf, wireOf } from "./outgoing.ts";
import { cancelWith, RemoteCall } from "./remote_call.ts";
import { flowFrom, planOf } from "./remote_flow.ts";
import type { Reliable } from "./reliable.ts";
import { OwnerSender } from "./shards/owner_sender.ts";
import type { ShardOptions } from "./shards/shard_types.ts";
import { Shards } from "./shards/shards.ts";
import type { Target } from "./target.ts";
import type { Member } from "./types.ts";
import { leftFault, nobodyFault, unkeptFault } from "./unavailable.ts";
import { Ways } from "./ways.ts";

/** How a node sends. */
export interface SenderOptions extends CandidateOptions {
  readonly router: Router;
  readonly behaviors: readonly Behavior[];
  readonly attempts: number;
  readonly callTimeout: number;
  readonly cache: QueryCacheOptions | undefined;
  readonly shards: ShardOptions | undefined;
  readonly drain: number;
  readonly store: Store | undefined;
  /** Stores reliable events where something keeps them. */
  readonly reliable: () => Reliable | undefined;
  /** Why reliable events would be lost; `undefined` if they are kept, or may be lost. */
  readonly unkept: string | undefined;
  /** Something happened that whoever watches the cluster is to know. */
  readonly changed: () => void;
}

/** Takes messages to whichever node serves them, this one included. */
export class Sender implements Host {
  readonly runtime: Runtime;
  readonly nextId: () => string;
  readonly calls: Calls;
  readonly candidates: Candidates;
  readonly handling: Handling;
  readonly #engine: Engine;
  readonly #link: Link;
  readonly #options: SenderOptions;
  readonly #owners: OwnerSender;
  readonly #ways: Ways;
  readonly #layers: CallerSide | undefined;
  readonly #hedges: Hedges;

  constructor(engine: Engine, link: Link, options: SenderOptions) {
    const { behaviors, cache, shards } = options;
    const { runtime, contracts, nextId } = engine;
    const { membership } = link;
    this.#engine = engine;
    this.#link = link;
    this.#options = options;
    this.runtime = runtime;
    this.nextId = nextId;
    const candidates = this.candidates = new Candidates(membership, options, runtime);
    const ways = this.#ways = new Ways(link);
    const now = turnClock(() => runtime.clock.mono());
    const handling = this.handling = new Handling(
      new Caching(engine, link, ways, { ...cache, now }),
      new Shards({ ...options, runtime, membership, contracts, options: shards }),
    );
    const { zone } = membership.self;
    this.calls = new Calls({ ...options, runtime, host: this, candidates, handling, ways, zone });
    this.#hedges = new Hedges(runtime.clock);
    const nobody = (type: string): Fault => nobodyFault(type, this.#members);
    this.#owners = new OwnerSender({
      calls: this.calls,
      candidates,
      shards: handling.shards,
      nextId,
      nobody,
      left: (type) => this.#left ? leftFault(type) : undefined,
    });
    this.#layers = behaviors.length === 0
      ? undefined
      : new CallerSide(behaviors, runtime, this.#ask.bind(this));
  }

  now(): number {
    return this.runtime.clock.mono();
  }

  dispatch(message: Message, origin: Origin | undefined): Promise<Result<unknown, Fault>> {
    try {
      const contract = contractOf(message);
      if (this.#layers === undefined || contract === undefined) return this.#ask(message, origin, contract);
      return this.#layers.send(message, origin, contract, this);
    } catch (thrown) {
      return Promise.resolve(failure(faultOf(thrown)));
    }
  }

  tell(message: Message, origin: Origin | undefined): Promise<Result<void>> {
    if (this.#left) return Promise.resolve(failure(leftFault(message.type)));
    if (message.kind === "reliable") {
      const { unkept, reliable } = this.#options;
      if (unkept !== undefined) {
        return Promise.resolve(failure(unkeptFault(`Cannot publish: "${message.type}"`, unkept)));
      }
      const kept = reliable();
      if (kept !== undefined) return kept.tell(message, origin);
    }
    const others = this.candidates.of(message.type).filter((target) => !target.local);
    if (others.length === 0) return this.#engine.tell(message, this.calls.hosted(origin));
    const own = this.calls.hosted(origin ?? new Origin());
    own.id ??= this.nextId();
    const wire = wireOf(message, own, own.id);
    for (const target of others) this.#ways.to(target).notify(wire);
    return this.#engine.tell(message, own);
  }

  flow(message: Message, origin: Origin | undefined): AsyncIterable<unknown> {
    if (this.#left) return broken(leftFault(message.type));
    const own = this.calls.hosted(origin ?? new Origin());
    own.id ??= this.nextId();
    try {
      return flowFrom({
        link: this.#link,
        attempts: this.calls.attempts,
        pick: (router, call, tried) => this.candidates.pick(router, call, tried),
        own: () => this.#engine.flow(message, own),
        nobody: (type) => nobodyFault(type, this.#members),
      }, planOf(message, own, this.#options.router, this.calls));
    } catch (thrown) {
      return broken(faultOf(thrown));
    }
  }

  /** A node is gone: what it still has of this one's calls fails when it was declared dead. */
  forget(member: Member, dead: boolean): void {
    this.#ways.forget(member.id, dead);
    this.candidates.forget(member.id);
  }

  /** This node has left. */
  close(): void {
    this.#ways.close();
    this.handling.caching.close();
  }

  /** Sends a message on its way, unless its answer is there already. */
  #ask(
    message: Message,
    origin: Origin | undefined,
    contract: Contract | undefined,
  ): Promise<Result<unknown, Fault>> {
    if (contract?.invalidates !== undefined) return this.#change(message, origin, contract);
    const hot = this.candidates.heat(message, contract);
    const policy = contract?.cache ?? hot;
    if (contract?.kind !== "query" || policy === undefined) return this.#route(message, origin, contract);
    const run = (own: Origin | undefined) => this.#route(message, own, contract);
    return this.handling.caching.ask(message, policy, origin, run);
  }

  /** What this node keeps ends with the success of its own command, and not only when word of it comes. */
  #change(
    message: Message,
    origin: Origin | undefined,
    contract: Contract,
  ): Promise<Result<unknown, Fault>> {
    this.candidates.heat(message, contract);
    return this.#route(message, origin, contract).then((result) => {
      if (result.ok) this.handling.caching.succeeded(contract, origin);
      return result;
    });
  }

  #route(
    message: Message,
    origin: Origin | undefined,
    contract: Contract | undefined,
  ): Promise<Result<unknown, Fault>> {
    const { type, body } = message;
    if (this.#left) return Promise.resolve(failure(leftFault(type)));
    if (contract?.shard !== undefined) return this.#owners.send(message, origin, contract, contract.shard);
    const router = origin?.route ?? contract?.route ?? this.#options.router;
    const key = contract?.key?.(body);
    const target = this.candidates.pick(router, { type, key, zone: this.calls.zone });
    if (target === undefined) return Promise.resolve(failure(nobodyFault(type, this.#members)));
    if (target.local) return this.calls.here(message, origin, target);
    const deadline = this.calls.deadlineOf(contract, origin);
    const idempotent = contract?.idempotent ?? message.kind === "query";
    const signals = signalsOf(origin);
    if (signals.some((signal) => signal.aborted)) return Promise.resolve(failure(cancelledFault(type)));
    const wire = wireOf(message, origin, origin?.id);
    const start = (target: Target, take: Take): RemoteCall => {
      this.calls.begins();
      const call = new RemoteCall(this.calls, wire, key, deadline, router, idempotent, take);
      if (signals.length > 0) cancelWith(call, signals);
      call.start(target);
      return call;
    };
    const after = idempotent ? contract?.hedge : undefined;
    if (after === undefined) return new Promise((resolve) => void start(target, resolve));
    return this.#hedges.call(after, (take) => start(target, take), (take) => {
      const other = this.candidates.pick(router, { type, key, zone: this.calls.zone }, new Set([target.id]));
      return other && (() => start(other, take));
    });
  }

  get #left(): boolean {
    return this.#link.membership.self.status === "left";
  }

  get #members(): readonly Member[] {
    return this.#link.membership.members(this.runtime.clock);
  }
}
