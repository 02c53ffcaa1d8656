import type { Result } from "../result.ts";
import { within } from "../internal/within.ts";
import { contractOf } from "../message/contract.ts";
import type { Answerable, FaultOf, OutputOf, Publishable, Streamable } from "../message/message.ts";
import type { Router } from "../message/route.ts";
import { publishEach, sendEach } from "../mediator/batch.ts";
import { Origin } from "../mediator/context.ts";
import type { Engine } from "../mediator/mediator.ts";
import type { BatchOptions, Results, SendOptions } from "../mediator/types.ts";
import type { BackendParts } from "../ports/backend.ts";
import type { Codec } from "../ports/codec.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Capacity } from "./admission.ts";
import { drained } from "./drained.ts";
import { explain } from "./explain.ts";
import { healthOf } from "./health.ts";
import type { Explanation, Inspection } from "./inspect.ts";
import { Heart } from "./heart.ts";
import { Inbound } from "./inbound.ts";
import { type Leader, type Leadership, SoftLeadership } from "./leader.ts";
import { Link } from "./link.ts";
import type { Membership } from "./membership.ts";
import { type LeaderTask, Singletons } from "./singletons.ts";
import { Sender, type SenderOptions } from "./sender.ts";
import type {
  ClusterEvent,
  ClusterHealth,
  ClusterView,
  Member,
  Node,
  NodeAnswer,
  NodeStats,
  Status,
} from "./types.ts";
import { Watchers } from "./watchers.ts";

/** What {@linkcode ClusterNode} is made of. */
export interface NodeParts extends Omit<SenderOptions, "leading"> {
  readonly engine: Engine;
  readonly membership: Membership;
  readonly backend: BackendParts;
  readonly codec: Codec;
  /** How long leaving waits for calls under way, in ms. */
  readonly drain: number;
  readonly capacity: Capacity | undefined;
}

/** How long a goodbye waits for the others to take note, in ms. */
const GOODBYE = 1000;

/** A mediator in a cluster: what is sent goes out by the sender, what comes in is answered by the inbound. */
export class ClusterNode implements Node {
  readonly #runtime: Runtime;
  readonly #membership: Membership;
  readonly #parts: NodeParts;
  readonly #link: Link;
  readonly #sender: Sender;
  readonly #inbound: Inbound;
  readonly #heart: Heart;
  readonly #watchers: Watchers = new Watchers();
  readonly #leadership: Leadership;
  readonly #singletons: Singletons;
  #served: AsyncDisposable | undefined;
  #leaving: Promise<void> | undefined;
  #shown = -1;

  constructor(parts: NodeParts) {
    const { engine, membership, backend } = parts;
    this.#runtime = engine.runtime;
    this.#membership = membership;
    this.#parts = parts;
    const changed = (): void => this.#changed();
    this.#link = new Link(engine.runtime, parts.codec, membership, backend.transport, changed);
    this.#singletons = new Singletons(engine.runtime);
    this.#leadership = new SoftLeadership(membership, () => engine.runtime.clock.wall(), (leader) => {
      membership.note({ type: "leader", leader });
      this.#singletons.led(leader);
    });
    this.#sender = new Sender(engine, this.#link, { ...parts, leading: () => this.#leadership.leader });
    this.#heart = new Heart(this.#link, { load: () => this.#load(), seeds: () => backend.seeds(), changed });
    this.#inbound = new Inbound(
      engine,
      this.#sender,
      this.#link,
      (items) => this.#heart.take(items),
      parts.capacity,
    );
  }

  get id(): string {
    return this.#membership.self.id;
  }

  get endpoint(): string {
    return this.#membership.self.endpoint;
  }

  get status(): Status {
    return this.#membership.self.status;
  }

  /** Begins to listen and to speak; settles when the seeds have answered or kept silent for a heartbeat. */
  async join(): Promise<void> {
    const { id, endpoint } = this;
    const receive = this.#inbound.receive.bind(this.#inbound);
    this.#served = await this.#parts.backend.transport.serve({ id, endpoint }, receive);
    await within(this.#runtime.clock, this.#heart.start(), this.#membership.timing.heartbeat);
    this.#membership.say({ status: "ready" });
    this.#heart.learnt();
  }

  send<M extends Answerable>(
    message: M,
    options?: SendOptions,
  ): Promise<Result<OutputOf<M>, FaultOf<M>>> {
    const result = this.#sender.dispatch(message, Origin.of(this.#sender, options));
    return result as Promise<Result<OutputOf<M>, FaultOf<M>>>;
  }

  sendAll<const M extends readonly Answerable[]>(messages: M, options?: BatchOptions): Promise<Results<M>> {
    const sender = this.#sender;
    return sendEach((message) => sender.dispatch(message, Origin.of(sender, options)), messages, options);
  }

  publish(event: Publishable, options?: SendOptions): Promise<Result<void>> {
    return this.#sender.tell(event, Origin.of(this.#sender, options));
  }

  publishAll(events: readonly Publishable[], options?: BatchOptions): Promise<Result<void>[]> {
    const sender = this.#sender;
    return publishEach((event) => sender.tell(event, Origin.of(sender, options)), events, options);
  }

  stream<M extends Streamable>(message: M, options?: SendOptions): AsyncIterable<OutputOf<M>> {
    return this.#sender.flow(message, Origin.of(this.#sender, options)) as AsyncIterable<OutputOf<M>>;
  }

  broadcast<M extends Answerable>(message: M, options?: SendOptions): Promise<readonly NodeAnswer<M>[]> {
    return Promise.all(
      this.#sender.serving(message.type).map(async (node) => {
        const route: Router = (_call, targets) => targets.find(({ id }) => id === node);
        return { node, result: await this.send(message, { ...options, route }) };
      }),
    );
  }

  get leader(): Leader | undefined {
    return this.#leadership.leader;
  }

  singleton(name: string, task: LeaderTask): AsyncDisposable {
    return this.#singletons.add(name, task);
  }

  async resign(): Promise<void> {
    await this.#leadership.resign();
    this.#heart.learnt();
  }

  members(): readonly Member[] {
    return this.#membership.members(this.#runtime.clock);
  }

  watch(options: { readonly signal?: AbortSignal } = {}): AsyncIterable<ClusterView> {
    return this.#watchers.watch(this.#view([]), options.signal);
  }

  health(): ClusterHealth {
    return healthOf(this.id, this.members());
  }

  stats(): NodeStats {
    const { inFlight, answered, refused } = this.#inbound;
    const { sent, failovers } = this.#sender;
    return { inFlight, answered, sent, failovers, dropped: this.#link.dropped, refused };
  }

  inspect(): Inspection {
    const members = this.members();
    return {
      self: members.find(({ local }) => local)!,
      view: this.#view([]),
      leader: this.leader,
      stats: this.stats(),
      targets: this.#sender.candidates.states(),
    };
  }

  explain(message: Answerable | Streamable, options?: Pick<SendOptions, "route">): Explanation {
    return explain(message, {
      membership: this.#membership,
      candidates: this.#sender.candidates,
      contract: contractOf(message),
      route: options?.route,
      router: this.#parts.router,
    });
  }

  leave(): Promise<void> {
    return this.#leaving ??= this.#leave();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }

  #load(): number {
    return this.#inbound.inFlight + this.#sender.underWay;
  }

  #changed(): void {
    if (this.#membership.version === this.#shown) return;
    this.#leadership.look();
    this.#shown = this.#membership.version;
    const events = this.#membership.events();
    for (const event of events) {
      if (event.type === "left" || event.type === "faulted") {
        this.#sender.forget(event.member, event.type === "faulted");
      }
    }
    this.#watchers.publish(this.#view(events));
  }

  #view(events: readonly ClusterEvent[]): ClusterView {
    const { version, digest } = this.#membership;
    return { version, digest, members: this.members(), events };
  }

  async #leave(): Promise<void> {
    const { clock } = this.#runtime;
    await this.#announce("draining");
    const end = clock.mono() + this.#parts.drain;
    await within(clock, this.#singletons.stop(), this.#parts.drain);
    await drained(clock, () => this.#load(), end);
    this.#heart.stop();
    await this.#announce("left");
    this.#watchers.close();
    this.#sender.close();
    await this.#served?.[Symbol.asyncDispose]();
    await this.#parts.backend.transport[Symbol.asyncDispose]();
  }

  /** Says how this node is, and gives the others time to take note. */
  async #announce(status: Status): Promise<void> {
    this.#membership.say({ status });
    this.#changed();
    await within(this.#runtime.clock, this.#heart.tellAll(), GOODBYE);
  }
}
