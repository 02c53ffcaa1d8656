import { failure, type Fault, faultOf, type Result } from "../result.ts";
import { type Contract, contractOf } from "../message/contract.ts";
import type { Message } from "../message/message.ts";
import type { RouteCall, Router } from "../message/route.ts";
import type { Behavior } from "../mediator/behavior.ts";
import { type Host, Origin } from "../mediator/context.ts";
import { broken } from "../mediator/flow.ts";
import type { Engine } from "../mediator/mediator.ts";
import { cancelledFault } from "../mediator/supervise.ts";
import type { Runtime } from "../ports/runtime.ts";
import { turnClock } from "../internal/turn_clock.ts";
import { messageOf } from "./call_frame.ts";
import type { QueryCacheOptions } from "./cache_types.ts";
import { Caching } from "./caching.ts";
import { CallerSide } from "./caller_side.ts";
import { Hedges, type Take } from "./hedge.ts";
import { type CandidateOptions, Candidates } from "./candidates.ts";
import type { Link } from "./link.ts";
import { signalsOf, wireOf } from "./outgoing.ts";
import { originOf } from "./received.ts";
import { type Caller, cancelWith, RemoteCall } from "./remote_call.ts";
import { flowFrom, planOf } from "./remote_flow.ts";
import type { Target } from "./target.ts";
import type { Member } from "./types.ts";
import { leftFault, nobodyFault } from "./unavailable.ts";
import { Ways } from "./ways.ts";

/** How a node sends. */
export interface SenderOptions extends CandidateOptions {
  readonly router: Router;
  readonly behaviors: readonly Behavior[];
  readonly attempts: number;
  readonly callTimeout: number;
  readonly cache: QueryCacheOptions | undefined;
}

/** Takes messages to whichever node serves them, this one included. */
export class Sender implements Host, Caller {
  readonly runtime: Runtime;
  readonly attempts: number;
  readonly nextId: () => string;
  /** The time, read once for all calls of a turn. */
  readonly turn: () => number;
  /** Calls under way, here and on other nodes. */
  underWay: number = 0;
  /** Calls handed to other nodes. */
  sent: number = 0;
  /** Calls sent again. */
  failovers: number = 0;
  readonly #engine: Engine;
  readonly #link: Link;
  readonly #options: SenderOptions;
  readonly candidates: Candidates;
  readonly caching: Caching;
  readonly #ways: Ways;
  readonly #layers: CallerSide | undefined;
  readonly #plain: Origin = new Origin();
  readonly #hedges: Hedges;

  constructor(engine: Engine, link: Link, options: SenderOptions) {
    this.#engine = engine;
    this.#link = link;
    this.#options = options;
    this.runtime = engine.runtime;
    const { behaviors } = options;
    this.#layers = behaviors.length === 0
      ? undefined
      : new CallerSide(behaviors, engine.runtime, this.#ask.bind(this));
    this.attempts = options.attempts;
    this.nextId = engine.nextId;
    this.#plain.host = this;
    this.turn = turnClock(() => this.now());
    this.candidates = new Candidates(link.membership, options, this.runtime);
    this.#ways = new Ways(link);
    this.caching = new Caching(engine, link, this.#ways, { ...options.cache, now: this.turn });
    this.#hedges = new Hedges(this.runtime.clock);
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
    const others = this.candidates.of(message.type).filter((target) => !target.local);
    if (others.length === 0) return this.#engine.tell(message, this.#hosted(origin));
    const own = this.#hosted(origin ?? new Origin());
    own.id ??= this.nextId();
    const wire = wireOf(message, own, own.id);
    for (const target of others) this.#ways.to(target).notify(wire);
    return this.#engine.tell(message, own);
  }

  flow(message: Message, origin: Origin | undefined): AsyncIterable<unknown> {
    if (this.#left) return broken(leftFault(message.type));
    const own = this.#hosted(origin ?? new Origin());
    own.id ??= this.nextId();
    try {
      return flowFrom({
        link: this.#link,
        attempts: this.attempts,
        pick: (router, call, tried) => this.pick(router, call, tried),
        own: () => this.#engine.flow(message, own),
        nobody: (type) => nobodyFault(type, this.#members),
      }, planOf(message, own, this.#options.router, this));
    } catch (thrown) {
      return broken(faultOf(thrown));
    }
  }

  get zone(): string | undefined {
    return this.#link.membership.self.zone;
  }

  pick(router: Router, call: RouteCall, tried?: ReadonlySet<string>): Target | undefined {
    return this.candidates.pick(router, call, tried);
  }

  attempt(target: Target, call: RemoteCall): void {
    if (target.local) {
      const message = { ...call.message, remaining: call.deadline - this.now() };
      const origin = originOf(message, this, this.now());
      origin.bounded = true;
      call.onCancel = (fault) => origin.context?.cancel(fault);
      this.caching.dispatch(messageOf(message, "command"), origin).then((result) =>
        call.settle(result, true, true)
      );
      return;
    }
    this.sent++;
    const outbound = this.#ways.to(target);
    outbound.budget.earn(0.1);
    outbound.call(call);
  }

  mayRetry(id: string): boolean {
    return this.#ways.mayRetry(id, this.now());
  }

  again(): void {
    this.failovers++;
  }

  finished(): void {
    this.underWay--;
  }

  /** A node is gone: what it still has of this one's calls fails when it was declared dead. */
  forget(member: Member, dead: boolean): void {
    this.#ways.forget(member.id, dead);
    this.candidates.forget(member.id);
  }

  /** This node has left. */
  close(): void {
    this.#ways.close();
    this.caching.close();
  }

  /** Sends a message on its way, unless its answer is there already. */
  #ask(
    message: Message,
    origin: Origin | undefined,
    contract: Contract | undefined,
  ): Promise<Result<unknown, Fault>> {
    if (contract?.cache === undefined || contract.kind !== "query") {
      return this.#route(message, origin, contract);
    }
    return this.caching.ask(message, contract, origin, (own) => this.#route(message, own, contract));
  }

  #route(
    message: Message,
    origin: Origin | undefined,
    contract: Contract | undefined,
  ): Promise<Result<unknown, Fault>> {
    const { type, body } = message;
    if (this.#left) return Promise.resolve(failure(leftFault(type)));
    const router = origin?.route ?? contract?.route ?? this.#options.router;
    const key = contract?.key?.(body);
    if (key !== undefined) this.candidates.heat(type, key);
    const target = this.pick(router, { type, key, zone: this.zone });
    if (target === undefined) return Promise.resolve(failure(nobodyFault(type, this.#members)));
    if (target.local) return this.#here(message, origin, target);
    const given = origin?.deadline ?? Infinity;
    const limit = contract?.timeout ?? (given === Infinity ? this.#options.callTimeout : Infinity);
    const deadline = Math.min(given, limit + this.turn());
    const idempotent = contract?.idempotent ?? message.kind === "query";
    const signals = signalsOf(origin);
    if (signals.some((signal) => signal.aborted)) return Promise.resolve(failure(cancelledFault(type)));
    const wire = wireOf(message, origin, origin?.id);
    const start = (target: Target, take: Take): RemoteCall => {
      this.underWay++;
      const call = new RemoteCall(this, wire, key, deadline, router, idempotent, take);
      if (signals.length > 0) cancelWith(call, signals);
      call.start(target);
      return call;
    };
    const after = idempotent ? contract?.hedge : undefined;
    if (after === undefined) return new Promise((resolve) => void start(target, resolve));
    return this.#hedges.call(after, (take) => start(target, take), (take) => {
      const other = this.pick(router, { type, key, zone: this.zone }, new Set([target.id]));
      return other && (() => start(other, take));
    });
  }

  /** This node itself is the one. */
  #here(message: Message, origin: Origin | undefined, { traffic }: Target): Promise<Result<unknown, Fault>> {
    this.underWay++;
    const began = this.turn();
    traffic.began(began);
    return this.caching.dispatch(message, this.#hosted(origin)).then((result) => {
      this.underWay--;
      const now = this.turn();
      traffic.ended("answered", now - began, now);
      return result;
    });
  }

  get #left(): boolean {
    return this.#link.membership.self.status === "left";
  }

  get #members(): readonly Member[] {
    return this.#link.membership.members(this.runtime.clock);
  }

  /** The same origin, with this node as the one that handlers send through. */
  #hosted(origin: Origin | undefined): Origin {
    if (origin === undefined) return this.#plain;
    origin.host = this;
    return origin;
  }
}
