import { CatgaError, failure, type Fault, type Result, systemFault } from "../result.ts";
import { within } from "../internal/within.ts";
import type { Contract } from "../message/contract.ts";
import { contractOf } from "../message/contract.ts";
import type { Message } from "../message/message.ts";
import { type Host, Origin } from "../mediator/context.ts";
import type { Engine } from "../mediator/mediator.ts";
import { Consumer, type ConsumerStats, type DoneMarks } from "../durable/consumer.ts";
import { deadLetters } from "../durable/dead_letters.ts";
import { push } from "../durable/push.ts";
import { inbox } from "../durable/records/inbox.ts";
import type { Delivery, Queue } from "../ports/queue.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Storage } from "../ports/storage.ts";
import { json } from "../wire/json.ts";
import { decodeParcel, encodeParcel, type Parcel } from "../wire/parcel.ts";
import { type DeliveryOptions, readDeliveries } from "./delivery_options.ts";
import type { Membership } from "./membership.ts";
import { signalsOf, wireOf } from "./outgoing.ts";

/** What reliable events need of their node. */
export interface ReliableHost {
  readonly engine: Engine;
  /** What handlers send through. */
  readonly host: Host;
  readonly queue: Queue;
  readonly node: string;
  /** What the nodes that do the same work are called together. */
  readonly service: string | undefined;
  readonly options: ReturnType<typeof readDeliveries>;
  /** How long storing an event or handling it once may take, in ms, where nobody says. */
  readonly timeout: number;
  /** Remembers deliveries of QoS 2 for so many ms. */
  marks(window: number): DoneMarks;
  /** Keeps what will never be handled. */
  bury(topic: string, group: string, delivery: Delivery, fault: Fault): Promise<void>;
}

const DAY = 86_400_000;

/** The reliable events of a node: published into the queue, and taken from it for each handler on its own. */
export class Reliable {
  readonly #host: ReliableHost;
  readonly #runtime: Runtime;
  readonly #consumers: readonly Consumer[];

  /** Throws a `CatgaError` where handlers cannot be told from those of other services or from each other. */
  constructor(host: ReliableHost) {
    this.#host = host;
    this.#runtime = host.engine.runtime;
    this.#consumers = host.engine.contracts
      .filter(({ kind }) => kind === "reliable")
      .flatMap((contract) =>
        host.engine.hearers(contract.type).map((name, at) => this.#consumer(contract, name, at))
      );
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
    const { queue, host, timeout } = this.#host;
    const contract = contractOf(message);
    const { clock } = this.#runtime;
    try {
      const parcel = { ...wireOf(message, origin, undefined), id: origin?.id ?? host.nextId() };
      const item = { id: parcel.id, key: contract?.key?.(message.body), payload: encodeParcel(json, parcel) };
      const deadline = Math.min(origin?.deadline ?? Infinity, clock.mono() + (contract?.timeout ?? timeout));
      const limits = { queue, runtime: this.#runtime, deadline, signals: signalsOf(origin) };
      return push(message.type, [item], limits) as Promise<Result<void>>;
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      return Promise.resolve(failure(systemFault("SERIALIZATION", `Cannot store "${message.type}": ${why}`)));
    }
  }

  #consumer(contract: Contract, name: string, at: number): Consumer {
    const { queue, engine, node, marks, bury, options: { concurrency, lease, away } } = this.#host;
    const { type, delivery: policy = {} } = contract;
    const { qos = 1, to = "service", attempts = 3, redeliver = [5000, 60_000], window = DAY } = policy;
    this.#refuse(contract, name, at);
    const handler = `${this.#host.service}/${name}`;
    const group = to === "nodes" ? `${handler}@${node}` : handler;
    return new Consumer({
      queue,
      runtime: engine.runtime,
      topic: type,
      group,
      idle: to === "nodes" ? away : undefined,
      concurrency,
      lease,
      attempts,
      redeliver,
      marks: qos === 2 ? marks(window) : undefined,
      markOf: (delivery) => {
        const parcel = read(delivery, contract);
        return "type" in parcel ? parcel.id : delivery.id;
      },
      handle: (delivery, signal) => this.#handle(contract, at, group, delivery, signal),
      bury: (delivery, fault) => bury(type, group, delivery, fault),
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
    const parcel = read(delivery, contract);
    if (!("type" in parcel)) return failure(parcel);
    const origin = new Origin();
    origin.host = host;
    origin.id = parcel.id;
    origin.correlationId = parcel.correlationId;
    origin.causationId = parcel.causationId;
    origin.headers = parcel.headers;
    origin.delivery = { group, attempt: delivery.attempt };
    origin.signal = signal;
    origin.bounded = true;
    origin.deadline = clock.mono() + (contract.timeout ?? timeout);
    const result = await engine.tellOne(
      { kind: contract.kind, type: contract.type, body: parcel.body },
      at,
      origin,
    );
    const still = origin.context?.stillHandled;
    if (still !== undefined) await within(clock, still.then(nothing, nothing), options.lease);
    return result;
  }

  #refuse({ type, key }: Contract, name: string, at: number): void {
    const { service, engine, queue } = this.#host;
    const refuse = (why: string): never => {
      throw new CatgaError(systemFault("CONFLICT", `Cannot hear "${type}": ${why}`));
    };
    if (service === undefined) {
      refuse(
        "say which service this node is of, so that its nodes share the events and other services get their own",
      );
    }
    if (key !== undefined && !queue.ordered) {
      refuse(
        "its contract has a key, but the queue keeps no order; take the key away or choose another backend",
      );
    }
    if (engine.hearers(type).indexOf(name) !== at) {
      refuse(`two of its handlers are called "${name}"; name them, so that each gets its own deliveries`);
    }
  }
}

function read(delivery: Delivery, { type }: Contract): Parcel | Fault {
  try {
    const parcel = decodeParcel(json, delivery.payload);
    if (parcel.type === type) return parcel;
    return systemFault(
      "SERIALIZATION",
      `Cannot read "${delivery.id}": it is "${parcel.type}", not "${type}"`,
    );
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return systemFault("SERIALIZATION", `Cannot read "${delivery.id}": ${why}`);
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
    node: membership.self.id,
    service,
    options: readDeliveries(deliveries),
    timeout: callTimeout,
    marks: (retention) => inbox(store, { runtime, retention }),
    bury: (topic, group, { id, key, payload, pushed, attempt }, fault) => {
      return letters.put({ topic, group, id, key, payload, pushed, attempts: attempt, fault });
    },
  });
}
