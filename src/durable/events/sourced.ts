import {
  type Failure,
  failure,
  type Fault,
  faultOf,
  isResult,
  ok,
  type Result,
  type SystemFault,
} from "../../result.ts";
import { createIdSource } from "../../internal/id_source.ts";
import { KeyedTurns } from "../../internal/keyed_turns.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import type { StoredEvent } from "../../ports/event_store.ts";
import { appendSurely } from "./append_surely.ts";
import { type EncodedEvent, EventCodec, type EventMeta, metaOf } from "./event_codec.ts";
import { causedBy, eventId, fingerprint, isOneOf } from "./event_ids.ts";
import type {
  EventSourced,
  EventSourcedOptions,
  Executed,
  ExecuteOptions,
  HistoryOptions,
  Loaded,
  LoadOptions,
} from "./event_sourced.ts";
import type { EventOf, EventTypes, Recorded, SourcedEvent } from "./event_types.ts";
import { cancelled, crowded, nothingDone, otherCommand, outrun } from "./execution_faults.ts";
import { Snapshots } from "./snapshots.ts";
import { type ReadState, StreamReader } from "./stream_reader.ts";

/** How long to wait at most when somebody else was faster, in ms: twice as long each time, up to the second. */
const DELAY = 5;
const LONGEST = 500;
/** How many commands may wait until others on the same entity are done. */
const WAITING = 10_000;

/** What is executed: the ids of its events begin with its base. */
interface Order<Command> {
  readonly entity: string;
  readonly stream: string;
  readonly command: Command;
  readonly base: string;
  readonly caused: boolean;
  readonly meta: EventMeta;
  readonly signal: AbortSignal | undefined;
}

/** {@linkcode EventSourced} itself. */
export class Sourced<State, Command, T extends EventTypes, F extends Fault>
  implements EventSourced<State, Command, T, F> {
  readonly name: string;
  readonly events: T;
  readonly #options: EventSourcedOptions<State, Command, T, F>;
  readonly #codec: EventCodec;
  readonly #snapshots: Snapshots | undefined;
  readonly #reader: StreamReader<State>;
  readonly #turns: KeyedTurns = new KeyedTurns();
  readonly #nextId: () => string;
  readonly #tries: number;

  constructor(name: string, options: EventSourcedOptions<State, Command, T, F>) {
    const { decider, events, store, runtime, snapshots, tries = 10, patience = 5000 } = options;
    if (!(Number.isSafeInteger(tries) && tries >= 1)) {
      throw new RangeError(
        `Cannot source "${name}": tries is ${tries}, but must be a whole number from 1 upwards`,
      );
    }
    if (!(patience > 0)) {
      throw new RangeError(`Cannot source "${name}": patience is ${patience}, but must be above 0 ms`);
    }
    this.name = name;
    this.events = events;
    this.#options = options;
    this.#tries = tries;
    this.#codec = new EventCodec(name, events);
    this.#snapshots = snapshots && new Snapshots(snapshots, runtime, patience);
    this.#nextId = createIdSource(() => runtime.random.u32());
    this.#reader = new StreamReader({
      store,
      runtime,
      codec: this.#codec,
      snapshots: this.#snapshots,
      initial: decider.initial,
      evolve: (state, event) => decider.evolve(state, event as EventOf<T>),
      patience,
    });
  }

  async execute(
    entity: string,
    command: Command,
    options: ExecuteOptions = {},
  ): Promise<Result<Executed<State, EventOf<T>>, F | SystemFault>> {
    try {
      const order = this.#orderOf(entity, command, options);
      const { signal } = order;
      if (this.#turns.waiting >= WAITING) throw crowded(order.stream, WAITING);
      // Commands of this process on one entity would only be in each other's way.
      const end = await this.#turns.take(order.stream, signal);
      try {
        for (let tries = 1;; tries++) {
          if (signal?.aborted) throw cancelled(order.stream);
          const isLast = tries >= this.#tries;
          const executed = await this.#attempt(order, tries === 1 && !isLast, isLast);
          if (executed !== undefined) return isResult(executed) ? executed : ok(executed);
          const { clock, random } = this.#options.runtime;
          await sleep(clock, backoff(tries, DELAY, LONGEST, random.u32()), signal);
        }
      } finally {
        end();
      }
    } catch (thrown) {
      return failure(faultOf(thrown) as SystemFault);
    }
  }

  async load(entity: string, options: LoadOptions = {}): Promise<Loaded<State>> {
    const { state, last } = await this.#reader.read(this.#codec.streamOf(entity), options);
    return { state, version: last.version, position: last.position, at: last.at };
  }

  async *history(
    entity: string,
    { from = 1, signal }: HistoryOptions = {},
  ): AsyncGenerator<Recorded<EventOf<T>>, void, undefined> {
    const { store } = this.#options;
    const stream = this.#codec.streamOf(entity);
    for (let next = from;;) {
      const page = await this.#reader.look(signal, (signal) => store.read(stream, { from: next, signal }));
      if (page.length === 0) return;
      for (const event of page) yield await this.#codec.decode(event) as Recorded<EventOf<T>>;
      next = page.at(-1)!.version + 1;
    }
  }

  #orderOf(entity: string, command: Command, options: ExecuteOptions): Order<Command> {
    const { context, step, meta, signal } = options;
    const known = context && fingerprint(command);
    return {
      entity,
      stream: this.#codec.streamOf(entity),
      command,
      base: context === undefined ? this.#nextId() : causedBy(context, step),
      caused: context !== undefined,
      meta: {
        ...(context === undefined ? {} : { cause: context.id }),
        ...(context?.correlationId === undefined ? {} : { correlation: context.correlationId }),
        ...(known === undefined ? {} : { command: known }),
        ...(meta === undefined ? {} : { meta }),
      },
      signal,
    };
  }

  /**
   * `undefined` when somebody else was faster. A hasty one may take a part of the events for all of them: that its
   * append succeeds shows that they were, and where there is none it looks again.
   */
  async #attempt(
    order: Order<Command>,
    hasty: boolean,
    isLast: boolean,
  ): Promise<Executed<State, EventOf<T>> | Failure<F> | undefined> {
    const { decider, store, runtime } = this.#options;
    const { entity, stream, command, base, caused, meta, signal } = order;
    const seek = caused ? eventId(base, 0) : undefined;
    const before = await this.#reader.read(stream, { seek, hasty, signal }).catch(nothingDone);
    this.#keep(stream, before);
    const done = caused ? await this.#doneBefore(order, before).catch(nothingDone) : undefined;
    if (done !== undefined) return this.#repeat(order, done);

    const { version, position } = before.last;
    const decided = decider.decide(command, before.state, { entity, version, now: runtime.clock.wall() });
    const failed = isResult(decided) ? decided as Failure<F> : undefined;
    const events = (Array.isArray(decided) ? decided : [decided]) as readonly SourcedEvent[];
    if ((failed !== undefined || events.length === 0) && !before.complete) {
      return this.#attempt(order, false, isLast);
    }
    if (failed !== undefined) return failed;
    if (events.length === 0) return { state: before.state, events: [], version, position, repeated: false };
    const encoded: EncodedEvent[] = [];
    for (const event of events) {
      encoded.push(await this.#codec.encode(eventId(base, encoded.length), event, meta));
    }
    try {
      const given = encoded.map(({ event }) => event);
      const ask = (signal: AbortSignal) => store.append(stream, given, { expected: version, signal });
      const appended = await appendSurely(runtime, signal, () => this.#reader.ask(signal, ask));
      const read = encoded.map(({ read }) => read as EventOf<T>);
      const state = read.reduce((state, event) => decider.evolve(state, event), before.state);
      return { state, events: read, ...appended, repeated: false };
    } catch (thrown) {
      if (faultOf(thrown).code !== "CONFLICT") throw thrown;
      if (isLast) throw outrun(stream, this.#tries, thrown);
      return undefined;
    }
  }

  /** The first of the events that the same message caused before. */
  async #doneBefore(
    { stream, base, signal }: Order<Command>,
    { sought, kept }: ReadState<State>,
  ): Promise<StoredEvent | undefined> {
    if (sought !== undefined || kept === 0) return sought;
    const { store } = this.#options;
    return await this.#reader.look(signal, (signal) => store.find(stream, eventId(base, 0), { signal }));
  }

  /** Answers as the first time. */
  async #repeat(
    { stream, base, meta, signal }: Order<Command>,
    first: StoredEvent,
  ): Promise<Executed<State, EventOf<T>>> {
    const { command } = metaOf(first);
    if (command !== undefined && meta.command !== undefined && command !== meta.command) {
      throw otherCommand(stream, first, meta.cause);
    }
    const events: EventOf<T>[] = [];
    for await (
      const event of this.history(stream.slice(this.name.length + 1), { from: first.version, signal })
    ) {
      if (!isOneOf(base, event.id)) break;
      const { type, data } = event;
      events.push({ type, data } as EventOf<T>);
    }
    const version = first.version + events.length - 1;
    const { state, last } = await this.#reader.read(stream, { version, signal });
    return { state, events, version, position: last.position, repeated: true };
  }

  /** Keeps what was read, now and then: what the store has told, so that it is what reading all would give. */
  #keep(stream: string, { state, last, kept, revision }: ReadState<State>): void {
    const snapshots = this.#snapshots;
    if (snapshots === undefined || last.version - kept < snapshots.every) return;
    this.#options.runtime.background(snapshots.keep(stream, state, last, revision));
  }
}
