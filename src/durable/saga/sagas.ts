import { CatgaError, failure, type Fault, type Result, systemFault } from "../../result.ts";
import type { Contract } from "../../message/contract.ts";
import type { Message, Publishable } from "../../message/message.ts";
import { handle, type Module, on } from "../../mediator/handle.ts";
import type { MessageContext } from "../../mediator/context.ts";
import type { Context, Dispatcher } from "../../mediator/types.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import { refuseUnkept } from "../refuse_unkept.ts";
import { beginSaga } from "./begin_saga.ts";
import { deliverEvent } from "./deliver.ts";
import { Executor } from "./executor.ts";
import {
  cancelSaga,
  listSagas,
  resumeSaga,
  type SagaListOptions,
  type SagaState,
  stateOf,
} from "./manage.ts";
import type { SagaDefinition } from "./saga.ts";
import { type SagaLimits, sagaLimits } from "./saga_limits.ts";
import { sagaResult } from "./saga_result.ts";
import { newTally, type SagaTally } from "./tally.ts";

/** What {@linkcode createSagas} takes. */
export interface SagasOptions {
  /** The sagas; of one contract there may be several versions, and the highest begins what is new. */
  readonly definitions: readonly SagaDefinition[];
  /** Where instances are kept; the same for all nodes. What survives of it survives of them. */
  readonly store: Store;
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** The name of this node. */
  readonly owner: string;
  /** How long after it was last heard of others take over what a node runs, in ms: at least 100. @default 5000 */
  readonly ttl?: number | undefined;
  /** How many instances are run at a time; what only waits is not counted. @default 1000 */
  readonly capacity?: number | undefined;
  /** How long instances are kept when they are done, in ms. @default 604800000 (7 days) */
  readonly retention?: number | undefined;
  /** How long what is under way may take when this is disposed, in ms. @default 10000 */
  readonly drain?: number | undefined;
  /** Takes a store of which nothing survives; sagas may then stop half-way for good. @default false */
  readonly unsafe?: boolean | undefined;
  /** The contracts of undos that have a shard or a route: after a crash they take it again. */
  readonly contracts?: readonly Contract[] | undefined;
}

/** Sagas of one node. Disposing it gives what it runs to the others. */
export interface Sagas extends AsyncDisposable {
  /** For the mediator: handlers of the commands that begin sagas, and of the events that they wait for. */
  readonly handlers: Module;
  /** Runs instances from now on; steps are sent by this dispatcher, a node or a mediator. */
  start(dispatcher: Dispatcher): void;
  /** Begins an instance, unless that is there already, and does not wait for it. Answers its id. */
  begin(message: Message<"command">, options: { readonly key: string }): Promise<string>;
  /** Gives an event to those that wait for it, once for each id; answers how many they are. When it does, they have it. */
  deliver(event: Publishable, options?: { readonly id?: string | undefined }): Promise<number>;
  /** Instances by where they are. */
  list(options?: SagaListOptions): Promise<readonly SagaState[]>;
  /** An instance; `undefined` when there is none, or none any more. */
  show(id: string): Promise<SagaState | undefined>;
  /** Lets one that is stuck go on: what failed last is tried again. */
  resume(id: string): Promise<void>;
  /** Lets one end: what it asks for from now on fails, and what it did is undone. */
  cancel(id: string): Promise<void>;
  /** What came to pass here, and how many are run here and are not done anywhere just now. */
  counts(): Readonly<SagaTally> & { readonly running: number; readonly live: number };
}

/** How long whoever waits for an instance looks again at the latest, in ms. */
const POLL = 5000;

/**
 * Makes the sagas of a node. All methods but `start` and `counts` reject with what the store rejects with, with
 * `UNAVAILABLE` before `start`, `NO_HANDLER` for what is not there and `CONFLICT` for what cannot be asked of it now.
 *
 * Sending the command of a saga begins an instance under the header `idempotency-key`, or the id of the message, and
 * waits for its answer; sending it again under that key waits for the same one. Whoever stops waiting stops nothing.
 *
 * Throws a `RangeError` when a version is there twice or an option cannot be, and `CONFLICT` for a store of which
 * nothing survives, unless they are `unsafe`.
 *
 * @example
 * ```ts
 * import { command, createMediator, handle, type } from "@catga/catga";
 * import { createSagas, saga } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const Charge = command("charge", { input: type<number>(), output: type<string>() });
 * const Buy = command("buy", { input: type<number>(), output: type<string>() });
 * const buy = saga(Buy, (cents, saga) => saga.step("charge", Charge(cents)));
 *
 * const runtime = systemRuntime();
 * const store = memoryStore({ clock: runtime.clock }); // gone with the process
 * await using sagas = createSagas({ definitions: [buy], store, runtime, owner: "node-1", unsafe: true });
 * const app = createMediator({ handlers: [handle(Charge, (cents) => `paid ${cents}`), sagas.handlers], runtime });
 * sagas.start(app);
 * console.log(await app.send(Buy(100), { headers: { "idempotency-key": "order-1" } }));
 * console.log((await sagas.show("buy/order-1"))?.status);
 * ```
 */
export function createSagas(options: SagasOptions): Sagas {
  return new NodeSagas(options);
}

class NodeSagas implements Sagas {
  readonly handlers: Module;
  readonly #options: SagasOptions;
  readonly #versions: Map<string, Map<number, SagaDefinition>> = new Map();
  readonly #tally: SagaTally = newTally();
  readonly #closed: AbortController = new AbortController();
  readonly #limits: SagaLimits;
  #started: Executor | undefined;

  constructor(options: SagasOptions) {
    this.#options = options;
    this.#limits = sagaLimits(options);
    refuseUnkept(`run the sagas of "${options.owner}"`, "those that are not done", options);
    for (const definition of options.definitions) this.#add(definition);
    const newest = [...this.#versions.values()].map((versions) =>
      versions.get(Math.max(...versions.keys()))!
    );
    const events = new Set(options.definitions.flatMap(({ events }) => events));
    this.handlers = [
      ...newest.map((definition) =>
        handle(definition.contract, (body, context) => this.#answer(definition, body, context) as never)
      ),
      ...[...events].map((contract) =>
        on(contract, async (body, { id }) => void await this.deliver(contract(body) as Publishable, { id }))
      ),
    ];
  }

  start(dispatcher: Dispatcher): void {
    if (this.#closed.signal.aborted) throw this.#unavailable();
    const { store, runtime, owner, contracts = [] } = this.#options;
    const known = new Map(contracts.map((contract) => [contract.type, contract]));
    this.#started ??= new Executor(dispatcher, {
      ...this.#limits,
      store,
      runtime,
      owner,
      tally: this.#tally,
      definition: (type, version) => this.#versions.get(type)?.get(version),
      contract: (type) => known.get(type),
    });
  }

  async begin(message: Message<"command">, { key }: { readonly key: string }): Promise<string> {
    const versions = this.#versions.get(message.type);
    if (versions === undefined) {
      throw new CatgaError(
        systemFault("NO_HANDLER", `Cannot begin "${message.type}": it is no saga of this node`),
      );
    }
    return await this.#begin(versions.get(Math.max(...versions.keys()))!, message.body, key);
  }

  async deliver(event: Publishable, { id }: { readonly id?: string | undefined } = {}): Promise<number> {
    const { random } = this.#options.runtime;
    const name = id ?? [0, 0, 0].map(() => random.u32().toString(36)).join("-");
    const given = await deliverEvent(this.#executor.keep, event, name);
    this.#tally.events += given;
    return given;
  }

  list(options: SagaListOptions = {}): Promise<readonly SagaState[]> {
    return listSagas(this.#executor.keep, options);
  }

  async show(id: string): Promise<SagaState | undefined> {
    const found = await this.#executor.keep.find(id);
    return found && stateOf(id, found.record);
  }

  resume(id: string): Promise<void> {
    return resumeSaga(this.#executor.keep, id, this.#closed.signal);
  }

  cancel(id: string): Promise<void> {
    return cancelSaga(this.#executor.keep, id, this.#closed.signal);
  }

  counts(): Readonly<SagaTally> & { readonly running: number; readonly live: number } {
    return { ...this.#tally, ...(this.#started?.load ?? { running: 0, live: 0 }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#started?.close();
    this.#closed.abort();
  }

  get #executor(): Executor {
    if (this.#started === undefined || this.#closed.signal.aborted) throw this.#unavailable();
    return this.#started;
  }

  #add(definition: SagaDefinition): void {
    const { contract: { type }, version } = definition;
    const versions = this.#versions.get(type) ?? new Map<number, SagaDefinition>();
    if (versions.has(version)) {
      throw new RangeError(`Cannot make sagas: version ${version} of "${type}" is there twice`);
    }
    this.#versions.set(type, versions.set(version, definition));
  }

  async #answer(
    definition: SagaDefinition,
    body: unknown,
    context: Context,
  ): Promise<Result<unknown, Fault>> {
    const key = ownKey(context as MessageContext) ?? context.id;
    const id = await this.#begin(definition, body, key);
    const { signal } = context;
    while (!signal.aborted) {
      const result = sagaResult(id, await this.#executor.keep.find(id));
      if (result !== undefined) return result;
      await this.#executor.news(id, POLL, signal);
    }
    return failure(systemFault("CANCELLED", `Nobody waits for the saga "${id}" any longer; it goes on`));
  }

  async #begin(definition: SagaDefinition, body: unknown, key: string): Promise<string> {
    const { id, isNew } = await beginSaga(this.#executor, this.#options.runtime, { definition, body, key });
    if (isNew) this.#tally.started++;
    return id;
  }

  #unavailable(): CatgaError {
    const { owner } = this.#options;
    const why = this.#closed.signal.aborted ? "has stopped" : "has not started: call start with a dispatcher";
    return new CatgaError(systemFault("UNAVAILABLE", `The sagas of "${owner}" cannot be asked: it ${why}`));
  }
}

/** The key that the message itself has: one that came along from the message behind it names that one. */
function ownKey({ headersIfAny, origin }: MessageContext): string | undefined {
  const key = headersIfAny?.["idempotency-key"];
  return key === origin?.parent?.headersIfAny?.["idempotency-key"] ? undefined : key;
}
