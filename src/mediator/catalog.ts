import type { Failure, Result } from "../result.ts";
import type { Contract, Made } from "../message/contract.ts";
import type { Message } from "../message/message.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Behavior } from "./behavior.ts";
import type { Host, Served } from "./context.ts";
import type { Audience, Hearer } from "./fan_out.ts";
import type { Registration } from "./handle.ts";
import { failureOf, hearerOf, isBare, pipelineOf } from "./pipeline.ts";
import { refuseConflict } from "./refuse.ts";
import type { Step } from "./types.ts";

/** A command, query or stream with its composed pipeline. */
export interface Answerer extends Served {
  readonly step: Step;
  readonly timeout: number | undefined;
  /** The handler itself, where nothing stands before it. */
  readonly bare: Registration["handler"] | undefined;
  readonly failed: (thrown: unknown) => Failure;
}

/** What a mediator serves, by the name of the contract. */
export class Catalog {
  readonly contracts: Map<string, Contract> = new Map();
  readonly streams: Map<string, Answerer> = new Map();
  readonly #host: Host;
  readonly #answerers = new Map<string, Answerer>();
  readonly #audiences = new Map<string, Audience>();

  /** @param done the answer of an event that has nothing to say */
  constructor(
    registrations: readonly Registration[],
    behaviors: readonly Behavior[],
    runtime: Runtime,
    host: Host,
    done: Promise<Result<void>>,
  ) {
    this.#host = host;
    const hearers = new Map<string, Hearer[]>();
    for (const registration of registrations) {
      const { contract } = registration;
      const { type, kind, timeout } = contract;
      refuseConflict(this.contracts, contract);
      this.contracts.set(type, contract);
      if (kind === "event" || kind === "reliable") {
        const hearer = { registration, hear: hearerOf(registration, behaviors, runtime) };
        const those = hearers.get(type);
        if (those !== undefined) {
          those.push(hearer);
          continue;
        }
        const audience = { contract, host, hearers: [hearer], timeout, runtime, done };
        hearers.set(type, audience.hearers);
        this.#audiences.set(type, audience);
        if (timeout === undefined) slots(contract)["~audience"] = audience;
        continue;
      }
      const answerer = {
        contract,
        host,
        step: pipelineOf(registration, behaviors, runtime),
        timeout,
        bare: timeout === undefined && isBare(registration, behaviors) ? registration.handler : undefined,
        failed: failureOf(registration, runtime),
      };
      (kind === "stream" ? this.streams : this.#answerers).set(type, answerer);
      if (kind !== "stream" && timeout === undefined) slots(contract)["~answerer"] = answerer;
    }
  }

  /** What answers a command or query. */
  answerer(message: Message): Answerer | undefined {
    const last = (message as Made)["~contract"]?.["~answerer"] as Answerer | undefined;
    return last?.host === this.#host ? last : this.#answerers.get(message.type);
  }

  /** Who hears an event. */
  audience(message: Message): Audience | undefined {
    const last = (message as Made)["~contract"]?.["~audience"] as Audience | undefined;
    return last?.host === this.#host ? last : this.#audiences.get(message.type);
  }

  /** Who hears events of that name. */
  audienceOf(type: string): Audience | undefined {
    return this.#audiences.get(type);
  }

  /** Whether commands or queries of that name are answered. */
  answers(type: string): boolean {
    return this.#answerers.has(type);
  }

  clear(): void {
    for (const map of [this.#answerers, this.streams, this.#audiences]) map.clear();
    for (const contract of this.contracts.values()) {
      const kept = slots(contract);
      if ((kept["~answerer"] as Answerer | undefined)?.host === this.#host) kept["~answerer"] = undefined;
      if ((kept["~audience"] as Audience | undefined)?.host === this.#host) kept["~audience"] = undefined;
    }
  }
}

/** Where a contract keeps what takes the short way of `send` and `publish`: what nobody has to watch the time of. */
function slots(contract: Contract): NonNullable<Made["~contract"]> {
  return contract as unknown as NonNullable<Made["~contract"]>;
}
