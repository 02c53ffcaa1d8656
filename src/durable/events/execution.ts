import { type Failure, type Fault, faultOf, isResult } from "../../result.ts";
import type { Appended, EventStore, StoredEvent } from "../../ports/event_store.ts";
import type { Runtime } from "../../ports/runtime.ts";
import { isThenable } from "../../internal/thenable.ts";
import { appendSurely } from "./append_surely.ts";
import type { Decider } from "./decider.ts";
import { type EncodedEvent, type EventCodec, type EventMeta, metaOf } from "./event_codec.ts";
import { eventId, isOneOf } from "./event_ids.ts";
import type { Executed } from "./event_sourced.ts";
import type { SourcedEvent } from "./event_types.ts";
import { lost, maybeDone, nothingDone, otherCommand } from "./execution_faults.ts";
import type { ReadState, StreamReader } from "./stream_reader.ts";

/** What is executed: the ids of its events begin with its base. */
export interface Order<Command> {
  readonly entity: string;
  readonly stream: string;
  readonly command: Command;
  readonly base: string;
  /** Names this execution, where a message is the reason for it and may come again. */
  readonly run: string | undefined;
  readonly meta: EventMeta;
  readonly signal: AbortSignal | undefined;
}

/** What {@linkcode Execution} stands on. */
export interface ExecutionHost<State, Command, Event extends SourcedEvent, F extends Fault> {
  readonly decider: Decider<State, Command, Event, F>;
  readonly store: EventStore;
  readonly runtime: Runtime;
  readonly codec: EventCodec;
  readonly reader: StreamReader<State>;
}

/** Somebody else was faster. */
export interface Outrun {
  readonly outrun: unknown;
}

/** Executes orders: reads, decides, appends. */
export class Execution<State, Command, Event extends SourcedEvent, F extends Fault> {
  readonly #host: ExecutionHost<State, Command, Event, F>;

  constructor(host: ExecutionHost<State, Command, Event, F>) {
    this.#host = host;
  }

  /**
   * Tries once. A hasty try may take a part of the events for all of them: that its append succeeds shows that they
   * were, and where it comes to nothing else it looks again.
   */
  async attempt(
    order: Order<Command>,
    hasty: boolean,
  ): Promise<Executed<State, Event> | Failure<F> | Outrun> {
    const { reader } = this.#host;
    const { stream, base, run, signal } = order;
    const seek = run === undefined ? undefined : eventId(base, 0);
    let before: ReadState<State>;
    try {
      before = await reader.read(stream, { seek, hasty, signal });
    } catch (thrown) {
      return nothingDone(thrown);
    }
    reader.keep(stream, before);
    if (before.sought !== undefined) return await this.#repeat(order, before.sought).catch(maybeDone);
    let decided: readonly EncodedEvent[] | Failure<F> | undefined;
    try {
      const deciding = this.#decide(order, before);
      decided = isThenable(deciding) ? await deciding : deciding;
    } catch (thrown) {
      // With only a part of the events it may have been about a state that was long over.
      if (before.complete) throw thrown;
    }
    if (decided !== undefined && !isResult(decided) && decided.length > 0) {
      return await this.#append(order, before, decided);
    }
    if (!before.complete) return await this.attempt(order, false);
    if (isResult(decided)) return decided as Failure<F>;
    const { state, last: { version, position } } = before;
    return { state, events: [], version, position, repeated: false };
  }

  /** A promise only where a schema needs one. */
  #decide(
    order: Order<Command>,
    { state, last: { version } }: ReadState<State>,
  ): readonly EncodedEvent[] | Failure<F> | Promise<readonly EncodedEvent[]> {
    const { decider, runtime } = this.#host;
    const { entity, command } = order;
    const decided = decider.decide(command, state, { entity, version, now: runtime.clock.wall() });
    if (isResult(decided)) return decided as Failure<F>;
    return this.#encode(order, (Array.isArray(decided) ? decided : [decided]) as readonly SourcedEvent[], []);
  }

  #encode(
    order: Order<Command>,
    events: readonly SourcedEvent[],
    encoded: EncodedEvent[],
  ): readonly EncodedEvent[] | Promise<readonly EncodedEvent[]> {
    const { base, run, meta } = order;
    for (let at = encoded.length; at < events.length; at++) {
      const facts = run === undefined || at > 0 ? meta : { ...meta, run };
      const each = this.#host.codec.encode(eventId(base, at), events[at]!, facts);
      if (isThenable(each)) {
        return each.then((each) => this.#encode(order, events, [...encoded, each]));
      }
      encoded.push(each);
    }
    return encoded;
  }

  async #append(
    order: Order<Command>,
    { state, last: { version } }: ReadState<State>,
    encoded: readonly EncodedEvent[],
  ): Promise<Executed<State, Event> | Outrun> {
    const { store, runtime, reader, decider } = this.#host;
    const { stream, run, signal } = order;
    const given = encoded.map(({ event }) => event);
    const ask = (signal: AbortSignal): Promise<Appended> =>
      store.append(stream, given, { expected: version, signal });
    let appended: Appended;
    try {
      appended = await appendSurely(runtime, signal, () => reader.ask(signal, ask));
    } catch (thrown) {
      if (faultOf(thrown).code === "CONFLICT") return { outrun: thrown };
      throw thrown;
    }
    if (run !== undefined) {
      const repeated = await this.#otherwise(order).catch(maybeDone);
      if (repeated !== undefined) return repeated;
    }
    const events = encoded.map(({ read }) => read as Event);
    return {
      state: events.reduce((state, event) => decider.evolve(state, event), state),
      events,
      version: appended.version,
      position: appended.position,
      repeated: false,
    };
  }

  /**
   * The store knows events by their ids alone, so another execution may have appended others because of the same
   * message: then these have not happened, and the answer is what has.
   */
  async #otherwise(order: Order<Command>): Promise<Executed<State, Event> | undefined> {
    const { stream, base, run, signal } = order;
    const first = await this.#host.reader.find(stream, eventId(base, 0), signal);
    if (first === undefined) throw lost(stream);
    return metaOf(first).run === run ? undefined : await this.#repeat(order, first);
  }

  /** Answers as the first time. */
  async #repeat(
    { stream, base, meta, signal }: Order<Command>,
    first: StoredEvent,
  ): Promise<Executed<State, Event>> {
    const { reader, codec } = this.#host;
    const { command } = metaOf(first);
    if (command !== undefined && meta.command !== undefined && command !== meta.command) {
      throw otherCommand(stream, first, meta.cause);
    }
    const events: Event[] = [];
    for await (const stored of reader.events(stream, first.version, signal)) {
      if (!isOneOf(base, stored.id)) break;
      const { type, data } = await codec.decode(stored);
      events.push({ type, data } as Event);
    }
    const version = first.version + events.length - 1;
    const { state, last } = await reader.read(stream, { version, signal });
    return { state, events, version, position: last.position, repeated: true };
  }
}
