/** Nodes that run sagas in virtual time, over one store and the services of a test. */

import {
  type Answerable,
  type Context,
  createMediator,
  type Fault,
  type LogEntry,
  type Mediator,
  type Module,
  type Result,
} from "@catga/catga";
import {
  createSagas,
  type SagaDefinition,
  type Sagas,
  type SagasOptions,
  type SagaState,
} from "@catga/catga/durable";
import type { Runtime } from "@catga/catga/ports";
import { createSimulation, type SimulatedStore, simulatedStore, type Simulation } from "@catga/catga/testing";
import { drain } from "../simulation/drain.ts";

/** One life of a node. */
export interface SagaNode {
  readonly name: string;
  readonly sagas: Sagas;
  readonly app: Mediator;
  readonly runtime: Runtime;
}

/** A call that a service answered. */
export interface Served {
  readonly type: string;
  readonly body: unknown;
  readonly key: string | undefined;
  readonly at: number;
}

export class SagaBench {
  readonly simulation: Simulation;
  readonly server: SimulatedStore;
  readonly logged: LogEntry[] = [];
  /** All that reached a service, in order. */
  readonly served: Served[] = [];
  /** Answers in the place of a service, before any is reached. */
  instead: ((message: Answerable) => Result<unknown, Fault> | undefined) | undefined;
  readonly #handlers: (bench: SagaBench) => Module;

  constructor(handlers: (bench: SagaBench) => Module, seed: number = 1) {
    this.simulation = createSimulation({
      seed,
      skew: 3_600_000,
      log: (_node, entry) => void this.logged.push(entry),
      ...(drain && { drain }),
    });
    this.server = simulatedStore(this.simulation);
    this.#handlers = handlers;
  }

  /** Starts a node, or begins its next life; it has its lease when this settles. */
  async start(
    name: string,
    definitions: readonly SagaDefinition[],
    options: Partial<SagasOptions> = {},
  ): Promise<SagaNode> {
    const runtime = this.simulation.runtime(name);
    const store = this.server.open(runtime);
    const sagas = createSagas({ definitions, store, runtime, owner: name, ttl: 1000, ...options });
    const app = createMediator({ handlers: [this.#handlers(this), sagas.handlers], runtime });
    const send: typeof app.send = (message, options) => {
      const answer = this.instead?.(message);
      return answer === undefined ? app.send(message, options) : Promise.resolve(answer) as never;
    };
    sagas.start({ send } as typeof app);
    await this.simulation.run(20);
    return { name, sagas, app, runtime };
  }

  /** Notes a call of a service. */
  serve(body: unknown, { contract, headers }: Context): void {
    const at = this.simulation.time;
    this.served.push({ type: contract.type, body, key: headers["idempotency-key"], at });
  }

  /** What services were asked, such as `charge 5`. */
  get calls(): string[] {
    return this.served.map(({ type, body }) =>
      `${type} ${typeof body === "object" ? JSON.stringify(body) : body}`
    );
  }

  /** What a call comes to, in virtual time. */
  async settle<T>(call: PromiseLike<T>, ms: number = 60_000): Promise<T> {
    let settled = false;
    const done = (): void => void (settled = true);
    call.then(done, done);
    if (!await this.simulation.until(() => settled, ms)) throw new Error(`it did not settle in ${ms} ms`);
    return await call;
  }

  /** Sends a command that begins a saga, under a key. */
  // deno-lint-ignore no-explicit-any
  send(node: SagaNode, message: Answerable, key: string, ms?: number): Promise<any> {
    return this.settle(node.app.send(message, { headers: { "idempotency-key": key } }), ms);
  }

  /** An instance once it has come to a status. */
  async comes(node: SagaNode, id: string, status: string, ms: number = 60_000): Promise<SagaState> {
    for (let waited = 0; waited < ms; waited += 50) {
      const state = await this.settle(node.sagas.show(id));
      if (state?.status === status) return state;
      await this.simulation.run(50);
    }
    throw new Error(
      `"${id}" did not become ${status}: ${JSON.stringify(await this.settle(node.sagas.show(id)))}`,
    );
  }

  /** What an operator is told. */
  alarms(): string[] {
    return this.logged.filter(({ level }) => level === "warn" || level === "error").map(({ event }) => event);
  }
}
