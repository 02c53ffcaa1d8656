import type { Result } from "../result.ts";
import { contractOf } from "../message/contract.ts";
import type { Answerable, FaultOf, Message, OutputOf, Publishable, Streamable } from "../message/message.ts";
import type { Router } from "../message/route.ts";
import { limitsOf, publishEach, sendEach } from "../mediator/batch.ts";
import { Origin } from "../mediator/context.ts";
import type { BatchOptions, Results, SendOptions } from "../mediator/types.ts";
import { explain } from "./explain.ts";
import { healthOf } from "./health.ts";
import { type Explanation, type Inspection, ringOf, type RingShare } from "./inspect.ts";
import type { Leader } from "./leader.ts";
import { Life, type NodeParts } from "./life.ts";
import type { Settings, SettingsSpec } from "./settings.ts";
import type { Sender } from "./sender.ts";
import type { LeaderTask } from "./singletons.ts";
import type { ClusterHealth } from "./health_types.ts";
import type { ClusterView, EnqueueOptions, Member, Node, NodeAnswer, NodeStats, Status } from "./types.ts";

/** A mediator in a cluster: what is sent goes out by the sender, what comes in is answered by the inbound. */
export class ClusterNode implements Node {
  readonly #life: Life;
  readonly #sender: Sender;
  readonly #router: Router;
  /** How keys fall by the view of a digest; to work it out takes a while. */
  #ring: { readonly digest: number | undefined; readonly shares: readonly RingShare[] } = {
    digest: undefined,
    shares: [],
  };

  constructor(parts: NodeParts) {
    this.#life = new Life(parts);
    this.#sender = this.#life.sender;
    this.#router = parts.router;
  }

  get id(): string {
    return this.#life.membership.self.id;
  }

  get endpoint(): string {
    return this.#life.membership.self.endpoint;
  }

  get status(): Status {
    return this.#life.membership.self.status;
  }

  get leader(): Leader | undefined {
    return this.#life.leadership.leader;
  }

  /** Begins to listen and to speak; settles when the seeds have answered or kept silent for a heartbeat. */
  join(): Promise<void> {
    return this.#life.join();
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
    const limits = limitsOf(options);
    return publishEach((event) => sender.tell(event, Origin.of(sender, limits)), events, options);
  }

  enqueue(command: Message<"command">, options: EnqueueOptions = {}): Promise<Result<void>> {
    const { delay = 0, ...limits } = options;
    return this.#life.enqueue(command, Origin.of(this.#sender, limits), delay);
  }

  stream<M extends Streamable>(message: M, options?: SendOptions): AsyncIterable<OutputOf<M>> {
    return this.#sender.flow(message, Origin.of(this.#sender, options)) as AsyncIterable<OutputOf<M>>;
  }

  broadcast<M extends Answerable>(message: M, options?: SendOptions): Promise<readonly NodeAnswer<M>[]> {
    return Promise.all(
      this.#sender.candidates.serving(message.type).map(async (node) => {
        const route: Router = (_call, targets) => targets.find(({ id }) => id === node);
        return { node, result: await this.send(message, { ...options, route }) };
      }),
    );
  }

  singleton(name: string, task: LeaderTask): AsyncDisposable {
    return this.#life.singletons.add(name, task);
  }

  isolate(id: string): void {
    this.#sender.candidates.guard.isolate(id);
  }

  restore(id: string): void {
    this.#sender.candidates.guard.restore(id);
  }

  settings<T>(name: string, spec: SettingsSpec<T>): Promise<Settings<T>> {
    return this.#life.settings(name, spec);
  }

  resign(): Promise<void> {
    return this.#life.resign();
  }

  members(): readonly Member[] {
    return this.#life.membership.members(this.#sender.runtime.clock);
  }

  watch(options: { readonly signal?: AbortSignal } = {}): AsyncIterable<ClusterView> {
    return this.#life.watchers.watch(this.#life.view([]), options.signal);
  }

  health(): ClusterHealth {
    return healthOf(this.id, this.members());
  }

  stats(): NodeStats {
    const { inFlight, answered, refused } = this.#life.inbound;
    const { sent, failovers } = this.#sender.calls;
    return { inFlight, answered, sent, failovers, dropped: this.#life.link.dropped, refused };
  }

  inspect(): Inspection {
    const members = this.members();
    const view = this.#life.view([]);
    if (this.#ring.digest !== view.digest) this.#ring = { digest: view.digest, shares: ringOf(members) };
    return {
      self: members.find(({ local }) => local)!,
      view,
      leader: this.leader,
      stats: this.stats(),
      targets: this.#sender.candidates.states(),
      ring: this.#ring.shares,
      shards: this.#sender.handling.shards.states(),
      deliveries: this.#life.reliable?.stats ?? [],
      cache: this.#sender.handling.caching.cache.stats(),
      hotKeys: this.#sender.candidates.hot(),
    };
  }

  explain(message: Answerable | Streamable, options?: Pick<SendOptions, "route">): Explanation {
    return explain(message, {
      membership: this.#life.membership,
      candidates: this.#sender.candidates,
      shards: this.#sender.handling.shards,
      contract: contractOf(message),
      route: options?.route,
      router: this.#router,
    });
  }

  leave(): Promise<void> {
    return this.#life.leave();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }
}
