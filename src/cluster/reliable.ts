import { failure, type Fault, type Result, systemFault } from "../result.ts";
import { within } from "../internal/within.ts";
import type { Contract } from "../message/contract.ts";
import { contractOf } from "../message/contract.ts";
import type { Message } from "../message/message.ts";
import type { Host, Origin } from "../mediator/context.ts";
import type { Engine } from "../mediator/mediator.ts";
import { Consumer, type ConsumerHost, type ConsumerStats } from "../durable/consumer.ts";
import { deadLetters } from "../durable/dead_letters.ts";
import { deliveryName } from "../durable/dead_letters_name.ts";
import { COMMANDS, keepingCommands, topicOfCommand } from "../durable/command_group.ts";
import { JoinedPushes } from "../durable/joined_pushes.ts";
import { Quarantine } from "../durable/quarantine.ts";
import { inbox } from "../durable/records/inbox.ts";
import type { Delivery } from "../ports/queue.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Storage } from "../ports/storage.ts";
import { json } from "../wire/json.ts";
import { encodeParcel, type Parcel } from "../wire/parcel.ts";
import { type DeliveryOptions, readDeliveries } from "./delivery_options.ts";
import type { Membership } from "./membership.ts";
import { signalsOf, wireOf } from "./outgoing.ts";
import { isParcel, originOfParcel, parcelOf } from "./parcels.ts";
import { handleQueued } from "./queued_command.ts";
import type { ReliableHost } from "./reliable_host.ts";
import { refuseHearer } from "./reliable_refusal.ts";

/** How often a delivery is tried, and after how long, in ms, it is handed out again, where its contract does not say. */
const ATTEMPTS = 3;
const REDELIVER = [5000, 60_000];
const DAY = 86_400_000;
/** How many leases a delivery that was done is known for at least. */
const LEASES = 10;

/** What the consumers of a node differ in. */
type OwnPart = Pick<ConsumerHost, "idle" | "attempts" | "redeliver" | "marks" | "markOf" | "handle">;

/** The reliable events of a node: published into the queue, and taken from it for each handler on its own. */
export class Reliable {
  readonly #host: ReliableHost;
  readonly #runtime: Runtime;
  readonly #pushes: JoinedPushes;
  readonly #quarantine: Quarantine;
  readonly #consumers: readonly Consumer[];

  /** Throws a `CatgaError` where handlers cannot be told from those of other services or from each other. */
  constructor(host: ReliableHost) {
    this.#host = host;
    this.#runtime = host.engine.runtime;
    this.#pushes = new JoinedPushes({ queue: keepingCommands(host.queue), runtime: this.#runtime });
    this.#quarantine = new Quarantine(this.#runtime.clock);
    const { contracts } = host.engine;
    this.#consumers = [
      ...contracts.filter(({ kind }) => kind === "reliable").flatMap((contract) => this.#hearing(contract)),
      ...contracts.filter(({ idempotency }) => idempotency !== undefined).map((each) => this.#handling(each)),
    ];
  }

  get stats(): readonly ConsumerStats[] {
    return this.#consumers.map(({ stats }) => stats);
  }

  /** Begins to hear; settles when the queue knows of all handlers, or cannot be asked. */
  async start(): Promise<void> {
    await Promise.all(this.#consumers.map((consumer) => consumer.start()));
  }

  /** Hears no more, finishes what it has for so many ms, and gives back the rest. */
  async stop(drain: number): Promise<void> {
    await Promise.all(this.#consumers.map((consumer) => consumer.stop(drain)));
  }

  /** Stores an event for all who hear it. */
  tell(message: Message, origin: Origin | undefined): Promise<Result<void>> {
    return this.#store(message.type, message, origin, 0);
  }

  /** Stores a command for one of the nodes that serve it. */
  async enqueue(message: Message, origin: Origin | undefined, delay: number): Promise<Result<void>> {
    const { type } = message;
    if (contractOf(message)?.idempotency === undefined) {
      const why = "it may come twice, so its contract needs idempotency";
      return failure(systemFault("VALIDATION", `Cannot enqueue "${type}": ${why}`));
    }
    return await this.#store(topicOfCommand(type), message, origin, delay);
  }

  #store(topic: string, message: Message, origin: Origin | undefined, delay: number): Promise<Result<void>> {
    const { host, timeout } = this.#host;
    const contract = contractOf(message);
    if (origin?.id !== undefined && deliveryName(origin.id).letter !== undefined) {
      const why =
        "its id reads like that of a replayed dead letter, which others would not hear; choose another";
      return Promise.resolve(failure(systemFault("VALIDATION", `Cannot store "${message.type}": ${why}`)));
    }
    try {
      const id = origin?.id ?? host.nextId();
      const key = contract?.key?.(message.body);
      const payload = encodeParcel(json, wireOf(message, origin, id) as Parcel);
      return this.#pushes.push(topic, { id, key, payload, delay }, {
        timeout: contract?.timeout ?? timeout,
        deadline: origin?.deadline ?? Infinity,
        signals: signalsOf(origin),
      }) as Promise<Result<void>>;
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      return Promise.resolve(failure(systemFault("SERIALIZATION", `Cannot store "${message.type}": ${why}`)));
    }
  }

  #hearing(contract: Contract): readonly Consumer[] {
    return this.#host.engine.hearers(contract.type).map((name, at) => this.#hearer(contract, name, at));
  }

  /** Takes commands that wait in the queue. */
  #handling(contract: Contract): Consumer {
    const { engine: { runtime: { clock } }, host, timeout } = this.#host;
    return this.#consumer(topicOfCommand(contract.type), COMMANDS, {
      attempts: ATTEMPTS,
      redeliver: REDELIVER,
      handle: (delivery, signal) => handleQueued(contract, delivery, signal, { host, clock, timeout }),
    });
  }

  /** Takes an event for one of its handlers. */
  #hearer(contract: Contract, name: string, at: number): Consumer {
    const { node, marks, options: { lease, away } } = this.#host;
    const { type, delivery: policy = {} } = contract;
    const { qos = 1, to = "service", attempts = ATTEMPTS, redeliver = REDELIVER, window = DAY } = policy;
    const handler = `${this.#host.service}/${name}`;
    const group = to === "nodes" ? `${handler}@${node}` : handler;
    refuseHearer(this.#host, contract, name, at, group);
    return this.#consumer(type, group, {
      idle: to === "nodes" ? away : undefined,
      attempts,
      redeliver,
      // What was done may be handed out again once the lease is over.
      marks: qos === 2 ? marks(Math.max(window, LEASES * lease)) : undefined,
      markOf: (delivery) => {
        const parcel = parcelOf(delivery, type);
        return isParcel(parcel) ? parcel.id : delivery.id;
      },
      handle: (delivery, signal) => this.#handle(contract, at, group, delivery, signal),
    });
  }

  #consumer(topic: string, group: string, own: OwnPart): Consumer {
    const { queue, store, engine: { runtime }, bury, options: { concurrency, lease } } = this.#host;
    return new Consumer({
      queue,
      store,
      runtime,
      quarantine: this.#quarantine,
      topic,
      group,
      concurrency,
      lease,
      bury: (delivery, fault, tries) => bury(topic, group, delivery, fault, tries),
      ...own,
    });
  }

  /** Tries a delivery once, and waits for a handler that goes on after its time, so that none runs beside the next. */
  async #handle(
    contract: Contract,
    at: number,
    group: string,
    delivery: Delivery,
    signal: AbortSignal,
  ): Promise<Result<void, Fault>> {
    const { engine, host, timeout, options } = this.#host;
    const { clock } = this.#runtime;
    const parcel = parcelOf(delivery, contract.type);
    if (!isParcel(parcel)) return failure(parcel);
    const origin = originOfParcel(parcel, host, signal, clock.mono() + (contract.timeout ?? timeout));
    origin.delivery = { group, attempt: delivery.attempt };
    const result = await engine.tellOne(
      { kind: contract.kind, type: contract.type, body: parcel.body },
      at,
      origin,
    );
    const still = result.ok ? undefined : origin.context?.late?.handling;
    if (still !== undefined) await within(clock, still.then(nothing, nothing), options.lease);
    // It was read, so it is a call of its handler that could not be, which may heal.
    return result.ok || result.error.code !== "SERIALIZATION"
      ? result
      : failure({ ...result.error, code: "INTERNAL" });
  }
}

function nothing(): void {}

/** What a {@linkcode Reliable} is made of, for a node. */
export interface ReliableParts {
  readonly engine: Engine;
  readonly membership: Membership;
  readonly backend: Storage;
  readonly callTimeout: number;
  readonly service: string | undefined;
  readonly deliveries: DeliveryOptions | undefined;
}

/** The reliable events of a node whose backend has a queue and a store for what cannot be handled. */
export function openReliable(host: Host, parts: ReliableParts): Reliable | undefined {
  const { engine, membership, backend: { queue, store }, callTimeout, service, deliveries } = parts;
  if (queue === undefined || store === undefined) return undefined;
  const { runtime } = engine;
  const letters = deadLetters(store, { runtime });
  return new Reliable({
    engine,
    host,
    queue,
    store,
    node: membership.self.id,
    service,
    options: readDeliveries(deliveries),
    timeout: callTimeout,
    // A backend that keeps nothing was refused when joining.
    marks: (retention) => inbox(store, { runtime, retention, unsafe: true }),
    bury: (topic, group, { id, key, payload, pushed }, fault, tries) => {
      return letters.put({ topic, group, id, key, payload, pushed, ...tries, fault });
    },
  });
}
