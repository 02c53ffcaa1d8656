import { failure, type Fault, faultOf, type Result, type SystemFault, systemFault } from "../result.ts";
import { createIdSource } from "../internal/id_source.ts";
import { sleep } from "../internal/sleep.ts";
import { type Contract, contractOf } from "../message/contract.ts";
import type { Answerable, FaultOf, Message, OutputOf, Publishable, Streamable } from "../message/message.ts";
import type { RouteCall, Router } from "../message/route.ts";
import { publishEach, sendEach } from "../mediator/batch.ts";
import { type Behavior, compose } from "../mediator/behavior.ts";
import { MessageContext, Origin } from "../mediator/context.ts";
import { broken } from "../mediator/flow.ts";
import type { Engine } from "../mediator/mediator.ts";
import { cancelledFault } from "../mediator/supervise.ts";
import type { BatchOptions, Results, SendOptions, Step } from "../mediator/types.ts";
import type { BackendParts } from "../ports/backend.ts";
import type { Codec } from "../ports/codec.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { ExchangeOptions, Frame, Peer, Reply } from "../ports/transport.ts";
import { encodeEnvelope, type FrameKind, type WireMessage } from "../wire/envelope.ts";
import { Candidates, pick } from "./candidates.ts";
import { Heart } from "./heart.ts";
import { Inbound } from "./inbound.ts";
import type { Link } from "./link.ts";
import type { Membership } from "./membership.ts";
import { Outbound, type OutboundCall } from "./outbound.ts";
import { type Plan, RemoteCall } from "./remote_call.ts";
import { flowFrom } from "./remote_flow.ts";
import type { ClusterHealth, ClusterView, Member, Node, NodeHealth, NodeStats, Status } from "./types.ts";
import { Watchers } from "./watchers.ts";

/** What {@linkcode ClusterNode} is made of. */
export interface NodeParts {
  readonly engine: Engine;
  readonly membership: Membership;
  readonly backend: BackendParts;
  readonly codec: Codec;
  readonly router: Router;
  readonly behaviors: readonly Behavior[];
  readonly attempts: number;
  readonly callTimeout: number;
  readonly drain: number;
}

/** How long a goodbye waits for the others to take note, in ms. */
const GOODBYE = 1000;

/** A mediator in a cluster. */
export class ClusterNode implements Node {
  readonly engine: Engine;
  readonly membership: Membership;
  readonly runtime: Runtime;
  readonly codec: Codec;
  readonly attempts: number;
  readonly nextId: () => string;
  readonly #parts: NodeParts;
  readonly #candidates: Candidates = new Candidates();
  readonly #outbound: Map<string, Outbound> = new Map();
  readonly #steps: Map<Contract, Step> = new Map();
  readonly #watchers: Watchers = new Watchers();
  readonly #heart: Heart;
  readonly #inbound: Inbound;
  readonly #here: Origin = new Origin();
  #served: AsyncDisposable | undefined;
  #leaving: Promise<void> | undefined;
  #seq = 0;
  #shown = -1;
  #underWay = 0;
  #sent = 0;
  #failovers = 0;
  #dropped = 0;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    this.engine = parts.engine;
    this.membership = parts.membership;
    this.runtime = parts.engine.runtime;
    this.codec = parts.codec;
    this.attempts = parts.attempts;
    this.nextId = createIdSource(this.runtime.random.u32);
    this.#here.host = this;
    this.#inbound = new Inbound(this, this);
    this.#heart = new Heart(this);
  }

  get link(): Link {
    return this;
  }

  get id(): string {
    return this.membership.self.id;
  }

  get endpoint(): string {
    return this.membership.self.endpoint;
  }

  get status(): Status {
    return this.membership.self.status;
  }

  /** Begins to listen and to speak; settles when the seeds have answered or kept silent for a heartbeat. */
  async join(): Promise<void> {
    const { transport } = this.#parts.backend;
    const self = { id: this.id, endpoint: this.endpoint };
    this.#served = await transport.serve(
      self,
      (frame, reply, options) => this.#inbound.receive(frame, reply, options),
    );
    const { clock } = this.runtime;
    await Promise.race([this.#heart.start(), sleep(clock, this.membership.timing.heartbeat)]);
    this.membership.say({ status: "ready" });
    void this.#heart.beat();
    this.changed();
  }

  send<M extends Answerable>(
    message: M,
    options?: SendOptions,
  ): Promise<Result<OutputOf<M>, FaultOf<M> & Fault>> {
    return this.dispatch(message, Origin.of(this, options)) as Promise<
      Result<OutputOf<M>, FaultOf<M> & Fault>
    >;
  }

  sendAll<const M extends readonly Answerable[]>(messages: M, options?: BatchOptions): Promise<Results<M>> {
    return sendEach((message) => this.dispatch(message, Origin.of(this, options)), messages, options);
  }

  publish(event: Publishable, options?: SendOptions): Promise<Result<void>> {
    return this.tell(event, Origin.of(this, options));
  }

  publishAll(events: readonly Publishable[], options?: BatchOptions): Promise<Result<void>[]> {
    return publishEach((event) => this.tell(event, Origin.of(this, options)), events, options);
  }

  stream<M extends Streamable>(message: M, options?: SendOptions): AsyncIterable<OutputOf<M>> {
    return this.flow(message, Origin.of(this, options)) as AsyncIterable<OutputOf<M>>;
  }

  members(): readonly Member[] {
    return this.membership.view(this.runtime.clock.mono(), this.runtime.clock.wall());
  }

  watch(options: { readonly signal?: AbortSignal } = {}): AsyncIterable<ClusterView> {
    return this.#watchers.watch(
      { version: this.membership.version, members: this.members(), events: [] },
      options.signal,
    );
  }

  health(): ClusterHealth {
    const nodes = this.members().map(healthOf);
    const currentNode = nodes.find((node) => node.nodeId === this.id)!;
    return {
      currentNode,
      totalNodes: nodes.length,
      onlineNodes: nodes.filter((node) => node.isOnline).length,
      nodes,
    };
  }

  stats(): NodeStats {
    const { inFlight, answered, refused } = this.#inbound;
    return {
      inFlight,
      answered,
      refused,
      sent: this.#sent,
      failovers: this.#failovers,
      dropped: this.#dropped,
    };
  }

  leave(): Promise<void> {
    return this.#leaving ??= this.#leave();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }

  now(): number {
    return this.runtime.clock.mono();
  }

  dispatch(message: Message, origin: Origin | undefined): Promise<Result<unknown, Fault>> {
    const { behaviors } = this.#parts;
    const contract = behaviors.length === 0 ? undefined : contractOf(message);
    if (contract === undefined) {
      try {
        return this.#route(message, origin);
      } catch (thrown) {
        return Promise.resolve(failure(faultOf(thrown)));
      }
    }
    let step = this.#steps.get(contract);
    if (step === undefined) {
      step = compose(
        (context) => {
          const { body, id } = context;
          const inner = (context as MessageContext).origin ?? new Origin();
          inner.id ??= id;
          return this.#route({ kind: contract.kind, type: contract.type, body }, inner, contract);
        },
        behaviors,
        contract,
        this.runtime,
      );
      this.#steps.set(contract, step);
    }
    const context = new MessageContext({ contract, host: this }, message.body, origin);
    try {
      return step(context).then(undefined, (thrown) => failure(faultOf(thrown)));
    } catch (thrown) {
      return Promise.resolve(failure(faultOf(thrown)));
    }
  }

  tell(message: Message, origin: Origin | undefined): Promise<Result<void>> {
    if (this.status === "left") return Promise.resolve(failure(this.#closed(message.type)));
    const others = this.#candidatesOf(message.type).filter((member) => !member.local);
    const from = this.#hosted(origin);
    if (others.length > 0) {
      const own = from === this.#here ? this.#hosted(new Origin()) : from;
      own.id ??= this.nextId();
      const wire = this.#wire(message, own, -1);
      for (const member of others) this.#to(member).notify(wire);
      return this.engine.tell(message, own);
    }
    return this.engine.tell(message, from);
  }

  flow(message: Message, origin: Origin | undefined): AsyncIterable<unknown> {
    if (this.status === "left") return broken(this.#closed(message.type));
    const contract = contractOf(message);
    const { router, route } = this.#routeOf(message, contract);
    const from = this.#hosted(origin);
    const timeout = contract?.timeout === undefined ? Infinity : this.now() + contract.timeout;
    return flowFrom({
      link: this,
      attempts: this.attempts,
      pick: (router, call, tried) => this.pick(router, call, tried),
      own: () => this.engine.flow(message, from),
      nobody: (type) => this.nobody(type),
    }, {
      message: this.#wire(message, origin, -1),
      deadline: Math.min(timeout, origin?.deadline ?? Infinity),
      router,
      route,
      signals: signalsOf(origin),
    });
  }

  // What the parts of the node ask of it.

  pick(router: Router, call: RouteCall, tried: ReadonlySet<string>): Member | undefined {
    return pick(router, call, this.#candidatesOf(call.type), tried);
  }

  attempt(member: Member, call: OutboundCall): void {
    if (member.local) {
      const message: Message = { kind: "command", type: call.message.type, body: call.message.body };
      const origin = this.#inbound.originOf({ ...call.message, remaining: call.deadline - this.now() });
      call.onCancel = (fault) => origin.context?.cancel(fault);
      this.engine.dispatch(message, origin).then((result) => call.settle(result, true, true));
      return;
    }
    this.#sent++;
    const outbound = this.#to(member);
    outbound.budget.earn(0.1);
    outbound.call(call);
  }

  mayRetry(id: string): boolean {
    this.#failovers++;
    return this.#outbound.get(id)?.budget.take(this.now()) ?? true;
  }

  nobody(type: string): Fault {
    const serving = this.members().filter((member) => member.contracts.includes(type));
    if (serving.length === 0) {
      return systemFault(
        "NO_HANDLER",
        `Cannot send "${type}": none of the ${this.members().length} known nodes serves it`,
      );
    }
    const names = serving.slice(0, 5).map((member) =>
      `${member.id} (${member.status}${member.reachable ? "" : ", unreachable"})`
    );
    return systemFault(
      "UNAVAILABLE",
      `Cannot send "${type}": no node that serves it can take it now: ${names.join(", ")}`,
    );
  }

  beat(items: readonly unknown[]): readonly unknown[] {
    return this.#heart.take(items);
  }

  load(): number {
    return this.#inbound.inFlight + this.#underWay;
  }

  seeds(): readonly Peer[] {
    return this.#parts.backend.seeds();
  }

  changed(): void {
    const { version } = this.membership;
    if (version === this.#shown) return;
    this.#shown = version;
    const known = new Set(this.membership.records().map((record) => record.id));
    for (const id of this.#outbound.keys()) if (!known.has(id)) this.#outbound.delete(id);
    this.#watchers.publish({ version, members: this.members(), events: this.membership.events() });
  }

  nextSeq(): number {
    return ++this.#seq;
  }

  encode(kind: FrameKind, seq: number, items: readonly unknown[]): Frame {
    return encodeEnvelope(this.codec, {
      kind,
      from: this.id,
      incarnation: this.membership.self.incarnation,
      seq,
      items,
    });
  }

  exchange(to: Peer, frame: Frame, reply: Reply, options?: ExchangeOptions): Promise<void> {
    try {
      return this.#parts.backend.transport.exchange(to, frame, reply, options);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  reached(peer: Peer, fault: Fault | undefined): void {
    if (fault === undefined) this.membership.contact(peer.id, "answered", this.now());
    else if (fault.code === "UNAVAILABLE") this.membership.contact(peer.id, "refused", this.now());
    this.changed();
  }

  dropped(count: number): void {
    this.#dropped += count;
  }

  #route(
    message: Message,
    origin: Origin | undefined,
    contract = contractOf(message),
  ): Promise<Result<unknown, Fault>> {
    const { type } = message;
    if (this.status === "left") return Promise.resolve(failure(this.#closed(type)));
    const { router, route } = this.#routeOf(message, contract);
    const member = pick(router, route, this.#candidatesOf(type));
    if (member === undefined) return Promise.resolve(failure(this.nobody(type)));
    if (member.local) return this.engine.dispatch(message, this.#hosted(origin));
    const now = this.now();
    const limit = contract?.timeout ??
      (origin === undefined || origin.deadline === Infinity ? this.#parts.callTimeout : Infinity);
    const deadline = Math.min(origin?.deadline ?? Infinity, now + limit);
    const idempotent = contract?.idempotent ?? message.kind === "query";
    const plan = { message: this.#wire(message, origin, 0), deadline, idempotent, router, route };
    const signals = signalsOf(origin);
    if (signals.length > 0) return this.#cancellable(plan, member, signals);
    this.#underWay++;
    return new Promise((resolve) => {
      new RemoteCall(this, plan, (result) => {
        this.#underWay--;
        resolve(result);
      }).start(member);
    });
  }

  #cancellable(plan: Plan, member: Member, signals: readonly AbortSignal[]): Promise<Result<unknown, Fault>> {
    if (signals.some((signal) => signal.aborted)) {
      return Promise.resolve(failure(cancelledFault(plan.message.type)));
    }
    this.#underWay++;
    return new Promise((resolve) => {
      const call = new RemoteCall(this, plan, (result) => {
        for (const signal of signals) signal.removeEventListener("abort", cancel);
        this.#underWay--;
        resolve(result);
      });
      const cancel = (): void => call.cancel();
      for (const signal of signals) signal.addEventListener("abort", cancel, { once: true });
      call.start(member);
    });
  }

  #routeOf(message: Message, contract: Contract | undefined): { router: Router; route: RouteCall } {
    const router = contract?.route ?? this.#parts.router;
    return { router, route: { type: message.type, key: contract?.key?.(message.body) } };
  }

  #wire({ type, body }: Message, origin: Origin | undefined, remaining: number): WireMessage {
    const id = origin?.id ?? this.nextId();
    if (origin === undefined) {
      return {
        type,
        id,
        remaining,
        body,
        correlationId: undefined,
        causationId: undefined,
        headers: undefined,
      };
    }
    const { parent } = origin;
    const correlationId = origin.correlationId ?? parent?.correlationId;
    const causationId = origin.causationId ?? parent?.id;
    return {
      type,
      id,
      remaining,
      body,
      correlationId,
      causationId,
      headers: origin.headers ?? parent?.origin?.headers,
    };
  }

  #candidatesOf(type: string): readonly Member[] {
    return this.#candidates.of(type, this.members());
  }

  /** The same origin, with this node as the one that handlers send through. */
  #hosted(origin: Origin | undefined): Origin {
    if (origin === undefined) return this.#here;
    origin.host = this;
    return origin;
  }

  #to(member: Member): Outbound {
    let outbound = this.#outbound.get(member.id);
    if (outbound === undefined || outbound.peer.endpoint !== member.endpoint) {
      outbound = new Outbound(this, { id: member.id, endpoint: member.endpoint });
      this.#outbound.set(member.id, outbound);
    }
    return outbound;
  }

  #closed(type: string): SystemFault {
    return systemFault("UNAVAILABLE", `Cannot send "${type}": this node has left the cluster`);
  }

  async #leave(): Promise<void> {
    const { clock } = this.runtime;
    this.membership.say({ status: "draining" });
    this.changed();
    await Promise.race([this.#heart.beat(), sleep(clock, GOODBYE)]);
    const end = clock.mono() + this.#parts.drain;
    while (this.load() > 0 && clock.mono() < end) await sleep(clock, 10);
    this.#heart.stop();
    this.membership.say({ status: "left" });
    await Promise.race([this.#heart.beat(), sleep(clock, GOODBYE)]);
    this.changed();
    this.#watchers.close();
    await this.#served?.[Symbol.asyncDispose]();
    await this.#parts.backend.transport[Symbol.asyncDispose]();
  }
}

function signalsOf(origin: Origin | undefined): readonly AbortSignal[] {
  if (origin === undefined) return NO_SIGNALS;
  const inherited = origin.parent?.cancellable ? origin.parent.signal : undefined;
  if (origin.signal === undefined && inherited === undefined) return NO_SIGNALS;
  return [origin.signal, inherited].filter((signal) => signal !== undefined);
}

const NO_SIGNALS: readonly AbortSignal[] = [];

function healthOf({ id, endpoint, lastSeen, load, reachable, status }: Member): NodeHealth {
  const isOnline = reachable && status !== "left";
  return { nodeId: id, endpoint, lastSeen: new Date(lastSeen).toISOString(), load, isOnline };
}
