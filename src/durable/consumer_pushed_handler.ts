import { CatgaError, failure, type Fault, type Result, systemFault } from "../result.ts";
import { within } from "../internal/within.ts";
import type { Contract } from "../message/contract.ts";
import { type Host, Origin } from "../mediator/context.ts";
import type { Engine } from "../mediator/mediator.ts";
import type { Delivery } from "../ports/queue.ts";
import type { Store } from "../ports/store.ts";
import { json } from "../wire/json.ts";
import { decodeParcel, type Parcel } from "../wire/parcel.ts";
import type { ConsumerHost } from "./consumer_types.ts";
import { inbox } from "./records/inbox.ts";

interface HandlerHost {
  readonly store: Store;
  readonly service: string;
  readonly timeout: number;
}

/** How often a delivery is tried, and after how long, in ms, it is handed out again, where its contract does not say. */
const ATTEMPTS = 3;
const REDELIVER = [5000, 60_000];
const DAY = 86_400_000;
/** How many times that a delivery may take one that was done is known for at least. */
const TIMES = 10;

/** A function that hears a reliable event, as those who bring one know it. */
export class PushedHandler {
  readonly #engine: Engine;
  readonly #contract: Contract;
  readonly #at: number;
  readonly #host: HandlerHost;
  readonly #through: Host;

  private constructor(engine: Engine, contract: Contract, at: number, host: HandlerHost) {
    this.#engine = engine;
    this.#contract = contract;
    this.#at = at;
    this.#host = host;
    this.#through = throughProcess(engine);
  }

  /** Those of a mediator, by topic and group in JSON. */
  static all(engine: Engine, host: HandlerHost): ReadonlyMap<string, PushedHandler> {
    const { service } = host;
    if (service === "" || service.includes("/")) throw conflict(`"${service}" is no name of a service`);
    const all = new Map<string, PushedHandler>();
    for (const contract of engine.contracts) {
      if (contract.kind !== "reliable" || contract.delivery?.to === "nodes") continue;
      for (const [at, name] of engine.hearers(contract.type).entries()) {
        const key = JSON.stringify([contract.type, `${service}/${name}`]);
        if (all.has(key)) {
          throw conflict(`two handlers of "${contract.type}" are called "${name}"; name them`);
        }
        all.set(key, new PushedHandler(engine, contract, at, host));
      }
    }
    return all;
  }

  /** How its deliveries are tried and known again, where each takes so many ms at most. */
  policy(lease: number): Pick<ConsumerHost, "attempts" | "redeliver" | "marks" | "markOf"> {
    const { qos = 1, attempts = ATTEMPTS, redeliver = REDELIVER, window = DAY } = this.#contract.delivery ??
      {};
    const { runtime } = this.#engine;
    const retention = Math.max(window, TIMES * lease);
    return {
      attempts,
      redeliver,
      // A store of which nothing survives was refused before, or is wanted.
      marks: qos === 2 ? inbox(this.#host.store, { runtime, retention, unsafe: true }) : undefined,
      markOf: (delivery) => {
        const parcel = read(delivery, this.#contract.type);
        return isParcel(parcel) ? parcel.id : delivery.id;
      },
    };
  }

  /** Tries a delivery once, and waits for a handler that goes on after its time. */
  async handle(delivery: Delivery, signal: AbortSignal, lease: number): Promise<Result<void, Fault>> {
    const { kind, type, timeout = this.#host.timeout } = this.#contract;
    const { clock } = this.#engine.runtime;
    const parcel = read(delivery, type);
    if (!isParcel(parcel)) return failure(parcel);
    const origin = new Origin();
    origin.host = this.#through;
    origin.id = parcel.id;
    origin.correlationId = parcel.correlationId;
    origin.causationId = parcel.causationId;
    origin.headers = parcel.headers;
    origin.signal = signal;
    origin.bounded = true;
    origin.watched = true;
    origin.deadline = clock.mono() + timeout;
    origin.delivery = { group: `${this.#host.service}/${this.#name}`, attempt: delivery.attempt };
    const result = await this.#engine.tellOne({ kind, type, body: parcel.body }, this.#at, origin);
    const still = result.ok ? undefined : origin.context?.late?.handling;
    if (still !== undefined) await within(clock, still.then(nothing, nothing), lease);
    // It was read, so it is a call of its handler that could not be, which may heal.
    return result.ok || result.error.code !== "SERIALIZATION"
      ? result
      : failure({ ...result.error, code: "INTERNAL" });
  }

  get #name(): string {
    return this.#engine.hearers(this.#contract.type)[this.#at]!;
  }
}

/** Sends within the process. What would have to be kept is refused, as it would reach nobody else. */
function throughProcess(engine: Engine): Host {
  return {
    dispatch: (message, origin) => engine.dispatch(message, origin),
    tell: (message, origin) => {
      if (message.kind !== "reliable") return engine.tell(message, origin);
      const why = "nothing is kept here; publish it through a node or by the outbox of a record";
      return Promise.resolve(failure(systemFault("UNAVAILABLE", `Cannot publish "${message.type}": ${why}`)));
    },
    flow: (message, origin) => engine.flow(message, origin),
    now: () => engine.now(),
    nextId: engine.nextId,
  };
}

function read({ id, payload }: Delivery, type: string): Parcel | Fault {
  try {
    const parcel = decodeParcel(json, payload);
    if (parcel.type === type) return parcel;
    return systemFault("SERIALIZATION", `Cannot read "${id}": it is "${parcel.type}", not "${type}"`);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return systemFault("SERIALIZATION", `Cannot read "${id}": ${why}`);
  }
}

function isParcel(found: Parcel | Fault): found is Parcel {
  return "type" in found;
}

function conflict(why: string): CatgaError {
  return new CatgaError(systemFault("CONFLICT", `Cannot handle events: ${why}`));
}

function nothing(): void {}
