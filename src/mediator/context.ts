import { CatgaError, type Fault, type Result } from "../result.ts";
import type { Contract } from "../message/contract.ts";
import type { Answerable, FaultOf, Message, OutputOf, Publishable, Streamable } from "../message/message.ts";
import type { Router } from "../message/route.ts";
import { publishEach, sendEach } from "./batch.ts";
import type { BatchOptions, Context, DeliveryFacts, OwnedShard, Results, SendOptions } from "./types.ts";

/** What sends on behalf of a context: the mediator, or the node it serves. */
export interface Host {
  dispatch(message: Message, origin: Origin | undefined): Promise<Result<unknown, Fault>>;
  tell(message: Message, origin: Origin | undefined): Promise<Result<void>>;
  flow(message: Message, origin: Origin | undefined): AsyncIterable<unknown>;
  now(): number;
  nextId(): string;
}

/** Where a message comes from; made only for messages that carry more than their body. */
export class Origin {
  host: Host | undefined;
  parent: MessageContext | undefined;
  id: string | undefined;
  /** Names the message where it came without a name of its own; asked only if somebody looks. */
  name: (() => string) | undefined;
  correlationId: string | undefined;
  causationId: string | undefined;
  headers: Readonly<Record<string, string>> | undefined;
  signal: AbortSignal | undefined;
  /** Picks the node where the caller wants another one than the contract. */
  route: Router | undefined;
  deadline: number = Infinity;
  /** Whether the caller set a limit of its own, so that somebody has to watch it. */
  bounded: boolean = false;
  /** The shard that it was let in to. */
  shard: OwnedShard | undefined;
  /** How it came from a queue. */
  delivery: DeliveryFacts | undefined;
  /** Whether whoever sent it may cancel the context it got. */
  watched: boolean = false;
  /** The context that the message got; whoever sent it can cancel it there. */
  context: MessageContext | undefined;

  /** The origin of a message sent with options, by a handler or from outside; `undefined` if there is nothing to say. */
  static of(host: Host, options: SendOptions | undefined, parent?: MessageContext): Origin | undefined {
    if (options === undefined && parent === undefined) return undefined;
    const origin = new Origin();
    origin.host = parent?.origin?.host;
    origin.parent = parent;
    if (parent !== undefined) origin.deadline = parent.deadline;
    if (options === undefined) return origin;
    const inherited = options.headers === undefined ? undefined : parent?.headersIfAny;
    origin.headers = inherited === undefined ? options.headers : { ...inherited, ...options.headers };
    origin.signal = options.signal;
    origin.route = options.route;
    origin.id = options.id;
    if (options.timeout !== undefined) {
      // What is no number of ms leaves no time at all.
      origin.deadline = Math.min(origin.deadline, host.now() + (options.timeout > 0 ? options.timeout : 0));
    }
    origin.bounded = options.signal !== undefined || options.timeout !== undefined;
    return origin;
  }
}

/** The part of a registered contract that contexts share. */
export interface Served {
  readonly contract: Contract;
  readonly host: Host;
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** One message on its way through a handler. Everything that few handlers look at is made when it is looked at. */
export class MessageContext implements Context {
  declare readonly served: Served;
  declare body: unknown;
  declare readonly origin: Origin | undefined;
  declare late: Late | undefined;

  constructor(served: Served, body: unknown, origin: Origin | undefined) {
    this.served = served;
    this.body = body;
    this.origin = origin;
    this.late = undefined;
  }

  get contract(): Contract {
    return this.served.contract;
  }

  get id(): string {
    const late = this.later();
    return late.id ??= this.origin?.id ?? this.origin?.name?.() ?? this.served.host.nextId();
  }

  get correlationId(): string {
    return this.origin?.correlationId ?? this.origin?.parent?.correlationId ?? this.id;
  }

  get causationId(): string | undefined {
    return this.origin?.causationId ?? this.origin?.parent?.id;
  }

  get headers(): Readonly<Record<string, string>> {
    return this.headersIfAny ?? NO_HEADERS;
  }

  get shard(): OwnedShard | undefined {
    return this.origin?.shard;
  }

  get delivery(): DeliveryFacts | undefined {
    return this.origin?.delivery;
  }

  get headersIfAny(): Readonly<Record<string, string>> | undefined {
    return this.origin?.headers ?? this.origin?.parent?.headersIfAny;
  }

  get deadline(): number {
    return Math.min(this.origin?.deadline ?? Infinity, this.late?.deadline ?? Infinity);
  }

  get signal(): AbortSignal {
    const parent = this.origin?.parent;
    if (parent !== undefined && this.late?.watched !== true) return parent.signal;
    const late = this.later();
    if (late.controller === undefined) {
      late.controller = new AbortController();
      if (late.fault !== undefined) late.controller.abort(new CatgaError(late.fault));
    }
    return late.controller.signal;
  }

  /** Whether anything could ever abort {@linkcode signal}. */
  get cancellable(): boolean {
    const { origin } = this;
    return this.late?.watched === true || origin?.watched === true || (origin?.parent?.cancellable ?? false);
  }

  /** Says that somebody may call {@linkcode cancel}, and by when at the latest. */
  watch(deadline: number): void {
    const late = this.later();
    late.watched = true;
    late.deadline = Math.min(late.deadline, deadline);
  }

  /** Tells the handler that nobody waits for it any longer. */
  cancel(fault: Fault): void {
    const late = this.later();
    late.watched = true;
    late.fault ??= fault;
    late.controller?.abort(new CatgaError(late.fault));
    for (const run of late.ends ?? []) run(late.fault);
    late.ends = undefined;
  }

  /** The handler's own end, where the message was cancelled before it. */
  get stillHandled(): Promise<unknown> | undefined {
    return this.cancelled === undefined ? undefined : this.late?.handling;
  }

  /** Its handler was begun, and ends with this; whoever sent it may want to wait for that. */
  begun(handling: Promise<unknown>): void {
    this.later().handling = handling;
    const whole = this.origin?.context;
    if (whole !== undefined && whole !== this) whole.later().handling = handling;
  }

  /** Runs something when the message is cancelled; answers a function that calls that off. */
  whenCancelled(run: (fault: Fault) => void): () => void {
    const parent = this.origin?.parent;
    if (parent !== undefined && this.late?.watched !== true) return parent.whenCancelled(run);
    const ends = this.later().ends ??= new Set();
    ends.add(run);
    return () => void ends.delete(run);
  }

  /** What the message was cancelled with, if it was. */
  get cancelled(): Fault | undefined {
    return this.late?.fault ?? this.origin?.parent?.cancelled;
  }

  later(): Late {
    return this.late ??= new Late();
  }

  /** The context of a message that a caller may want to cancel. */
  static from(served: Served, body: unknown, origin: Origin | undefined): MessageContext {
    const context = new MessageContext(served, body, origin);
    if (origin !== undefined) origin.context = context;
    return context;
  }

  /** The same message for another handler of it, with a cancellation of its own. */
  fork(): MessageContext {
    const twin = new MessageContext(this.served, this.body, this.origin);
    twin.later().id = this.id;
    if (this.late?.watched === true) {
      twin.watch(this.deadline);
      this.whenCancelled((fault) => twin.cancel(fault));
    }
    return twin;
  }

  send<M extends Answerable>(
    message: M,
    options?: SendOptions,
  ): Promise<Result<OutputOf<M>, FaultOf<M>>> {
    const host = this.#host;
    return host.dispatch(message, Origin.of(host, options, this)) as Promise<
      Result<OutputOf<M>, FaultOf<M>>
    >;
  }

  sendAll<const M extends readonly Answerable[]>(messages: M, options?: BatchOptions): Promise<Results<M>> {
    const host = this.#host;
    return sendEach((message) => host.dispatch(message, Origin.of(host, options, this)), messages, options);
  }

  publish(event: Publishable, options?: SendOptions): Promise<Result<void>> {
    const host = this.#host;
    return host.tell(event, Origin.of(host, options, this));
  }

  publishAll(events: readonly Publishable[], options?: BatchOptions): Promise<Result<void>[]> {
    const host = this.#host;
    return publishEach((event) => host.tell(event, Origin.of(host, options, this)), events, options);
  }

  stream<M extends Streamable>(message: M, options?: SendOptions): AsyncIterable<OutputOf<M>> {
    const host = this.#host;
    return host.flow(message, Origin.of(host, options, this)) as AsyncIterable<OutputOf<M>>;
  }

  get #host(): Host {
    return this.origin?.host ?? this.served.host;
  }
}

/** What a context has only once something asked for it. */
class Late {
  id: string | undefined;
  controller: AbortController | undefined;
  fault: Fault | undefined;
  deadline: number = Infinity;
  watched: boolean = false;
  checked: boolean = false;
  ends: Set<(fault: Fault) => void> | undefined;
  handling: Promise<unknown> | undefined;
}
