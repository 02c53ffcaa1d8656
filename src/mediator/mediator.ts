import {
  type Failure,
  failure,
  type Fault,
  ok,
  type Result,
  type SystemFault,
  systemFault,
} from "../result.ts";
import { createIdSource } from "../internal/id_source.ts";
import { isThenable } from "../internal/thenable.ts";
import type { Contract, Made } from "../message/contract.ts";
import type { Answerable, FaultOf, Message, OutputOf, Publishable, Streamable } from "../message/message.ts";
import type { Runtime } from "../ports/runtime.ts";
import { systemRuntime } from "../ports/system_runtime.ts";
import { CONCURRENCY, publishEach, sendEach, settleAll } from "./batch.ts";
import { type Behavior, isOnce } from "./behavior.ts";
import { type Answerer, Catalog } from "./catalog.ts";
import { type Host, MessageContext, Origin } from "./context.ts";
import { type Audience, fanOut, tellOne } from "./fan_out.ts";
import { broken, flow } from "./flow.ts";
import { flatten, type Module, type Registration } from "./handle.ts";
import { settled } from "./pipeline.ts";
import { refuseMissing } from "./refuse.ts";
import { supervise } from "./supervise.ts";
import type { BatchOptions, Context, Dispatcher, Results, SendOptions, Step } from "./types.ts";

/** What {@linkcode createMediator} takes. */
export interface MediatorOptions {
  /** What is served, and by which functions. */
  readonly handlers: Module;
  /** Contracts that must have a handler; a missing one fails here instead of at the first call. */
  readonly contracts?: readonly Contract[] | Readonly<Record<string, Contract>>;
  /** Layers around every handler, the first one outermost. */
  readonly behaviors?: readonly Behavior[];
  /** The door to the outside. @default systemRuntime() */
  readonly runtime?: Runtime;
}

/** Answers messages in this process. Once disposed it answers `UNAVAILABLE`; what is under way goes on. */
export interface Mediator extends Dispatcher, AsyncDisposable {
  /** The contracts that have a handler here. */
  readonly contracts: readonly Contract[];
  /** The door to the outside that handlers and behaviors share. */
  readonly runtime: Runtime;
}

/**
 * Puts handlers and behaviors together. No I/O, no timer, nothing to wait for.
 *
 * Throws a `CatgaError`: `CONFLICT` if two handlers claim one command, query or stream, or one name stands for two
 * contracts; `NO_HANDLER` if one of `contracts` has none.
 *
 * @example
 * ```ts
 * import { command, createMediator, handle, type } from "@catga/catga";
 * const Greet = command("greet", { input: type<{ name: string }>(), output: type<string>() });
 * await using app = createMediator({ handlers: [handle(Greet, ({ name }) => `Hello ${name}`)] });
 * const result = await app.send(Greet({ name: "Ada" }));
 * if (result.ok) console.log(result.value);
 * ```
 */
export function createMediator(options: MediatorOptions): Mediator {
  return new Engine(options);
}

/** The mediator behind the interface; the cluster room knows it by this name. */
export class Engine implements Mediator, Host {
  readonly contracts: readonly Contract[];
  readonly runtime: Runtime;
  readonly nextId: () => string;
  /** Lets commands with the policy `idempotency` happen once; put there by what keeps their answers. */
  once: ((context: Context, next: Step) => Promise<Result<unknown, Fault>>) | undefined;
  /** Commands with the policy `idempotency` that have no behavior for it. */
  readonly unkept: readonly Contract[];
  readonly #catalog: Catalog;
  readonly #done: Promise<Result<void>> = Promise.resolve(ok(undefined));
  #closed = false;

  constructor(options: MediatorOptions) {
    this.runtime = options.runtime ?? systemRuntime();
    this.nextId = createIdSource(() => this.runtime.random.u32());
    const { handlers, behaviors = [], contracts = {} } = options;
    const registrations = flatten(handlers);
    const unkept = registrations.filter((registration) => asksForOnce(registration, behaviors));
    this.unkept = unkept.map(({ contract }) => contract);
    const layers: readonly Behavior[] = unkept.length === 0
      ? behaviors
      : [this.#once.bind(this), ...behaviors];
    this.#catalog = new Catalog(registrations, layers, this.runtime, this, this.#done);
    this.contracts = [...this.#catalog.contracts.values()];
    refuseMissing(this.#catalog.contracts, Object.values(contracts));
  }

  send<M extends Answerable>(
    message: M,
    options?: SendOptions,
  ): Promise<Result<OutputOf<M>, FaultOf<M>>> {
    const last = (message as Made)["~contract"]?.["~answerer"] as Answerer | undefined;
    const result = options === undefined && last?.host === this
      ? last.step(new MessageContext(last, message.body, undefined))
      : this.dispatch(message, Origin.of(this, options));
    return result as Promise<Result<OutputOf<M>, FaultOf<M>>>;
  }

  sendAll<const M extends readonly Answerable[]>(messages: M, options?: BatchOptions): Promise<Results<M>> {
    const bare = options === undefined && messages.length <= CONCURRENCY &&
      messages.every((message) => this.#catalog.answerer(message)?.bare !== undefined);
    if (!bare) {
      return sendEach((message) => this.dispatch(message, Origin.of(this, options)), messages, options);
    }
    const answers = new Array<unknown>(messages.length);
    for (let at = 0; at < answers.length; at++) answers[at] = this.#start(messages[at]!);
    const failed = (at: number, thrown: unknown) => this.#catalog.answerer(messages[at]!)!.failed(thrown);
    return settleAll(answers, settled, failed) as Promise<unknown> as Promise<Results<M>>;
  }

  publish(event: Publishable, options?: SendOptions): Promise<Result<void>> {
    const last = (event as Made)["~contract"]?.["~audience"] as Audience | undefined;
    return options === undefined && last?.host === this
      ? fanOut(last, new MessageContext(last, event.body, undefined))
      : this.tell(event, Origin.of(this, options));
  }

  publishAll(events: readonly Publishable[], options?: BatchOptions): Promise<Result<void>[]> {
    return publishEach((event) => this.tell(event, Origin.of(this, options)), events, options);
  }

  stream<M extends Streamable>(message: M, options?: SendOptions): AsyncIterable<OutputOf<M>> {
    return this.flow(message, Origin.of(this, options)) as AsyncIterable<OutputOf<M>>;
  }

  dispatch(message: Message, origin: Origin | undefined): Promise<Result<unknown, Fault>> {
    const answerer = this.#catalog.answerer(message);
    if (answerer === undefined) return Promise.resolve(this.#missing(message));
    const gone = origin?.parent?.cancelled;
    if (gone !== undefined) return Promise.resolve(failure(gone));
    const context = MessageContext.from(answerer, message.body, origin);
    if (answerer.timeout === undefined && (origin === undefined || !origin.bounded)) {
      return answerer.step(context);
    }
    return supervise(answerer.step, context, this.#deadline(answerer, origin), this.runtime.clock);
  }

  tell(message: Message, origin: Origin | undefined): Promise<Result<void>> {
    const audience = this.#catalog.audience(message);
    if (audience === undefined) return this.#closed ? Promise.resolve(this.#missing(message)) : this.#done;
    const context = MessageContext.from(audience, message.body, origin);
    if (audience.timeout === undefined && (origin === undefined || !origin.bounded)) {
      return fanOut(audience, context);
    }
    const step = (): Promise<Result<void>> => fanOut(audience, context);
    const told = supervise(step, context, this.#deadline(audience, origin), this.runtime.clock);
    return told.then((result) => audience.contract.kind === "event" ? this.#done : result as Result<void>);
  }

  /** The names of those who hear an event here, in order. */
  hearers(type: string): readonly string[] {
    return this.#catalog.audienceOf(type)?.hearers.map(({ registration }) => registration.name) ?? [];
  }

  /** Tells one of those who hear an event here, by its place among them. */
  tellOne(message: Message, at: number, origin: Origin): Promise<Result<void, Fault>> {
    const audience = this.#catalog.audienceOf(message.type);
    if (audience?.hearers[at] === undefined) return Promise.resolve(this.#missing(message));
    const context = MessageContext.from(audience, message.body, origin);
    const step = (): Promise<Result<void, Fault>> => tellOne(audience, at, context);
    const told = supervise(step, context, this.#deadline(audience, origin), this.runtime.clock);
    return told as Promise<Result<void, Fault>>;
  }

  flow(message: Message, origin: Origin | undefined): AsyncIterable<unknown> {
    const answerer = this.#catalog.streams.get(message.type);
    if (answerer === undefined) return broken(this.#missing(message).error);
    const context = MessageContext.from(answerer, message.body, origin);
    const faultFor = (thrown: unknown): Fault => answerer.failed(thrown).error;
    return flow(answerer.step, context, this.#deadline(answerer, origin), this.runtime.clock, faultFor);
  }

  now(): number {
    return this.runtime.clock.mono();
  }

  /** Whether this process answers commands or queries of that name. */
  answers(type: string): boolean {
    return this.#catalog.answers(type);
  }

  /** Whether this process answers streams of that name. */
  streams(type: string): boolean {
    return this.#catalog.streams.has(type);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#catalog.clear();
    return Promise.resolve();
  }

  /** The layer that lets commands happen once as soon as something keeps their answers. */
  #once(next: Step, contract: Contract): Step {
    if (!this.unkept.includes(contract)) return next;
    return (context) => this.once === undefined ? next(context) : this.once(context, next);
  }

  /** What a bare handler answers, as it is. */
  #start(message: Message): unknown {
    const answerer = this.#catalog.answerer(message)!;
    try {
      const answer = answerer.bare!(message.body, new MessageContext(answerer, message.body, undefined));
      return answer instanceof Promise || !isThenable(answer) ? answer : Promise.resolve(answer);
    } catch (thrown) {
      return answerer.failed(thrown);
    }
  }

  #deadline(answerer: { readonly timeout: number | undefined }, origin: Origin | undefined): number {
    const own = answerer.timeout === undefined ? Infinity : this.now() + answerer.timeout;
    return Math.min(own, origin?.deadline ?? Infinity);
  }

  #missing(message: Message): Failure<SystemFault> {
    const fault = this.#closed
      ? systemFault("UNAVAILABLE", `Cannot handle "${message.type}": the mediator is closed`)
      : systemFault(
        "NO_HANDLER",
        `Cannot handle "${message.type}": no handler is registered for it in this process`,
      );
    return failure(fault);
  }
}

function asksForOnce({ contract, behaviors: own }: Registration, behaviors: readonly Behavior[]): boolean {
  return contract.idempotency !== undefined && ![...behaviors, ...own].some(isOnce);
}
