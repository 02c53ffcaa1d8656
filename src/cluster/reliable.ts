import { failure, type Result, systemFault } from "../result.ts";
import type { Contract } from "../message/contract.ts";
import { contractOf } from "../message/contract.ts";
import type { Message } from "../message/message.ts";
import type { Host, Origin } from "../mediator/context.ts";
import type { Engine } from "../mediator/mediator.ts";
import { Consumer, type ConsumerHost, type ConsumerStats } from "../durable/consumer.ts";
import { deadLetters } from "../durable/dead_letters.ts";
import { deliveryName } from "../durable/dead_letters_name.ts";
import { COMMANDS, keepingCommands, topicOfCommand } from "../durable/command_group.ts";
import { type Hearing, hearing, tries } from "../durable/heard_event.ts";
import { JoinedPushes } from "../durable/joined_pushes.ts";
import { Quarantine } from "../durable/quarantine.ts";
import { inbox } from "../durable/records/inbox.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Storage } from "../ports/storage.ts";
import { json } from "../wire/json.ts";
import { encodeParcel, type Parcel } from "../wire/parcel.ts";
import { type DeliveryOptions, readDeliveries } from "./delivery_options.ts";
import type { Membership } from "./membership.ts";
import { signalsOf, wireOf } from "./outgoing.ts";
import { handleQueued } from "./queued_command.ts";
import type { ReliableHost } from "./reliable_host.ts";
import { refuseHearer } from "./reliable_refusal.ts";

/** What the consumers of a node differ in. */
type OwnPart = Partial<Hearing> & Pick<ConsumerHost, "idle" | "attempts" | "redeliver" | "handle">;

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
      ...tries,
      handle: (delivery, signal) => handleQueued(contract, delivery, signal, { host, clock, timeout }),
    });
  }

  /** Takes an event for one of its handlers. */
  #hearer(contract: Contract, name: string, at: number): Consumer {
    const { engine, host, node, marks, service, timeout, options: { lease, away } } = this.#host;
    const to = contract.delivery?.to ?? "service";
    const group = to === "nodes" ? `${service}/${name}@${node}` : `${service}/${name}`;
    refuseHearer(this.#host, contract, name, at, group);
    return this.#consumer(contract.type, group, {
      idle: to === "nodes" ? away : undefined,
      ...hearing({ engine, contract, at, group, host, timeout, lease, marks }),
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
}

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
