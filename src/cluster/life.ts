import { CatgaError, failure, type Result, systemFault } from "../result.ts";
import { Idempotency } from "../durable/idempotency/idempotency.ts";
import { within } from "../internal/within.ts";
import type { Message } from "../message/message.ts";
import type { Origin } from "../mediator/context.ts";
import type { Engine } from "../mediator/mediator.ts";
import type { BackendParts } from "../ports/backend.ts";
import type { Codec } from "../ports/codec.ts";
import type { Clock } from "../ports/runtime.ts";
import type { Capacity } from "./admission.ts";
import type { DeliveryOptions } from "./delivery_options.ts";
import { drained } from "./drained.ts";
import { Heart } from "./heart.ts";
import { Inbound } from "./inbound.ts";
import { LeasedLeadership } from "./leased_leadership.ts";
import { type Leader, type Leadership, SoftLeadership } from "./leader.ts";
import { Link } from "./link.ts";
import type { Membership } from "./membership.ts";
import { openReliable, type Reliable } from "./reliable.ts";
import { Sender, type SenderOptions } from "./sender.ts";
import { openSettings, type Settings, type SettingsSpec } from "./settings.ts";
import { Singletons } from "./singletons.ts";
import type { ClusterEvent, ClusterView, Status } from "./types.ts";
import { leftFault } from "./unavailable.ts";
import { Watchers } from "./watchers.ts";

/** What a node is made of. */
export interface NodeParts extends Omit<SenderOptions, "leading" | "store" | "changed" | "reliable"> {
  readonly engine: Engine;
  readonly membership: Membership;
  readonly backend: BackendParts;
  readonly codec: Codec;
  readonly capacity: Capacity | undefined;
  readonly service: string | undefined;
  readonly deliveries: DeliveryOptions | undefined;
}

/** How long a goodbye waits for the others to take note, in ms. */
const GOODBYE = 1000;

/** The parts of a node, from when it joins until it has left. */
export class Life {
  readonly membership: Membership;
  readonly link: Link;
  readonly sender: Sender;
  readonly inbound: Inbound;
  readonly reliable: Reliable | undefined;
  readonly leadership: Leadership;
  readonly singletons: Singletons;
  readonly watchers: Watchers = new Watchers();
  readonly #clock: Clock;
  readonly #backend: BackendParts;
  readonly #drain: number;
  readonly #heart: Heart;
  readonly #settings: Set<AsyncDisposable> = new Set();
  #served: AsyncDisposable | undefined;
  #leaving: Promise<void> | undefined;
  #shown = -1;

  constructor(parts: NodeParts) {
    const { engine, membership, backend, codec, drain, capacity } = parts;
    const { runtime } = engine;
    this.membership = membership;
    this.#clock = runtime.clock;
    this.#backend = backend;
    this.#drain = drain;
    const changed = (): void => this.#changed();
    this.link = new Link(runtime, codec, membership, backend.transport, changed);
    this.singletons = new Singletons(runtime);
    const led = (leader: Leader | undefined): void => {
      membership.note({ type: "leader", leader });
      this.singletons.led(leader);
    };
    const { store } = backend;
    if (store !== undefined && engine.unkept.length > 0) {
      const idempotency = new Idempotency(runtime, { store, codec, tenantHeader: parts.cache?.tenantHeader });
      engine.once = idempotency.run.bind(idempotency);
    }
    this.leadership = store === undefined
      ? new SoftLeadership(membership, () => runtime.clock.wall(), led)
      : new LeasedLeadership({
        membership,
        runtime,
        store,
        changed: (leader) => {
          led(leader);
          changed();
        },
      });
    this.sender = new Sender(engine, this.link, {
      ...parts,
      store,
      changed: () => this.#heart.learnt(),
      leading: () => this.leadership.leader,
      reliable: () => this.reliable,
    });
    this.reliable = openReliable(this.sender, parts);
    this.#heart = new Heart(this.link, {
      load: () => this.#load(),
      seeds: () => backend.seeds(),
      tick: (now) => {
        this.sender.candidates.tick(now);
        this.sender.handling.shards.tick();
      },
      changed,
    });
    const beat = this.#heart.take.bind(this.#heart);
    this.inbound = new Inbound(engine, this.sender, this.link, beat, capacity);
  }

  /** Begins to listen and to speak; settles when the seeds have answered or kept silent for a heartbeat. */
  async join(): Promise<void> {
    const { self, timing } = this.membership;
    const receive = this.inbound.receive.bind(this.inbound);
    this.#served = await this.#backend.transport.serve(self, receive);
    const heard = this.reliable?.start() ?? Promise.resolve();
    await within(this.#clock, this.#heart.start(), timing.heartbeat);
    // Whoever sees this node ready may count on what it hears.
    await within(this.#clock, heard, timing.timeout);
    this.membership.say({ status: "ready" });
    this.#heart.learnt();
  }

  /** Stops taking calls, finishes those in flight, says goodbye. */
  leave(): Promise<void> {
    return this.#leaving ??= this.#leave();
  }

  /** Lets another node lead. */
  async resign(): Promise<void> {
    await this.leadership.resign();
    this.#heart.learnt();
  }

  /** Keeps a command for one of the nodes that serve it. */
  enqueue(command: Message, origin: Origin | undefined, delay: number): Promise<Result<void>> {
    if (this.membership.self.status === "left") return Promise.resolve(failure(leftFault(command.type)));
    if (this.reliable !== undefined) return this.reliable.enqueue(command, origin, delay);
    const message =
      `Cannot enqueue "${command.type}": the backend keeps nothing; choose one with a queue and a store`;
    return Promise.resolve(failure(systemFault("UNAVAILABLE", message)));
  }

  /** Opens settings of the whole cluster, which end with this node. */
  async settings<T>(name: string, spec: SettingsSpec<T>): Promise<Settings<T>> {
    const { store } = this.#backend;
    const node = this.membership.self.id;
    if (store === undefined) {
      const message =
        `Cannot open the settings "${name}" on "${node}": the backend keeps nothing; choose one with a store`;
      throw new CatgaError(systemFault("CONFLICT", message));
    }
    const settings = await openSettings(name, spec, { store, runtime: this.link.runtime, node });
    this.#settings.add(settings);
    return settings;
  }

  /** The cluster as this node sees it. */
  view(events: readonly ClusterEvent[]): ClusterView {
    const { version, digest } = this.membership;
    return { version, digest, members: this.membership.members(this.#clock), events };
  }

  #load(): number {
    return this.inbound.inFlight + this.sender.calls.underWay;
  }

  #changed(): void {
    if (this.membership.version === this.#shown) return;
    this.leadership.look();
    this.sender.handling.shards.look();
    this.#shown = this.membership.version;
    const events = this.membership.events();
    for (const { member, faulted } of this.membership.told.departures()) this.sender.forget(member, faulted);
    this.sender.handling.caching.look();
    if (this.watchers.any) this.watchers.publish(this.view(events));
  }

  async #leave(): Promise<void> {
    const announced = this.#announce("draining");
    // Neither slow tasks of the leader nor nodes that do not answer keep shards from their next owners.
    const given = this.sender.handling.shards.close();
    const heard = this.reliable?.stop(this.#drain);
    await announced;
    const end = this.#clock.mono() + this.#drain;
    await within(this.#clock, this.singletons.stop(), this.#drain);
    await Promise.all([this.leadership[Symbol.asyncDispose](), given, heard]);
    await drained(this.#clock, () => this.#load(), end);
    this.#heart.stop();
    await this.#announce("left");
    await Promise.all([...this.#settings].map((each) => each[Symbol.asyncDispose]()));
    this.watchers.close();
    this.sender.close();
    await this.#served?.[Symbol.asyncDispose]();
    await this.#backend.transport[Symbol.asyncDispose]();
  }

  /** Says how this node is, and gives the others time to take note. */
  async #announce(status: Status): Promise<void> {
    this.membership.say({ status });
    this.#changed();
    await within(this.#clock, this.#heart.tellAll(), GOODBYE);
  }
}
