import { failure, type Fault, faultOf, isResult, ok, type Result, type SystemFault } from "../../result.ts";
import { createIdSource } from "../../internal/id_source.ts";
import { KeyedTurns } from "../../internal/keyed_turns.ts";
import { backoff } from "../../internal/backoff.ts";
import { sleep } from "../../internal/sleep.ts";
import { EventCodec, type EventMeta, NO_META } from "./event_codec.ts";
import type { Cause } from "../records/transaction.ts";
import { causedBy, fingerprint } from "./event_ids.ts";
import type {
  EventSourced,
  EventSourcedOptions,
  Executed,
  ExecuteOptions,
  HistoryOptions,
  Loaded,
  LoadOptions,
} from "./event_sourced.ts";
import type { EventOf, EventTypes, Recorded } from "./event_types.ts";
import { Execution, type Order } from "./execution.ts";
import { cancelled, crowded, outrun } from "./execution_faults.ts";
import { Snapshots } from "./snapshots.ts";
import { StateCache } from "./state_cache.ts";
import { StreamReader } from "./stream_reader.ts";

/** How long to wait at most when somebody else was faster, in ms: twice as long each time, up to the second. */
const DELAY = 5;
const LONGEST = 500;
/** How many commands may wait until others on the same entity are done. */
const WAITING = 10_000;

/** {@linkcode EventSourced} itself. */
export class Sourced<State, Command, T extends EventTypes, F extends Fault>
  implements EventSourced<State, Command, T, F> {
  readonly name: string;
  readonly events: T;
  readonly #options: EventSourcedOptions<State, Command, T, F>;
  readonly #codec: EventCodec;
  readonly #reader: StreamReader<State>;
  readonly #execution: Execution<State, Command, EventOf<T>, F>;
  readonly #turns: KeyedTurns = new KeyedTurns();
  readonly #nextId: () => string;
  readonly #tries: number;

  constructor(name: string, options: EventSourcedOptions<State, Command, T, F>) {
    const { decider, events, store, runtime, snapshots, tries = 10, patience = 5000, cache = 1000 } = options;
    if (!(Number.isSafeInteger(tries) && tries >= 1)) {
      throw new RangeError(
        `Cannot source "${name}": tries is ${tries}, but must be a whole number from 1 upwards`,
      );
    }
    if (!(patience > 0)) {
      throw new RangeError(`Cannot source "${name}": patience is ${patience}, but must be above 0 ms`);
    }
    if (!(Number.isSafeInteger(cache) && cache >= 0)) {
      throw new RangeError(
        `Cannot source "${name}": cache is ${cache}, but must be a whole number from 0 upwards`,
      );
    }
    this.name = name;
    this.events = events;
    this.#options = options;
    this.#tries = tries;
    this.#codec = new EventCodec(name, events);
    this.#nextId = createIdSource(() => runtime.random.u32());
    this.#reader = new StreamReader({
      store,
      runtime,
      codec: this.#codec,
      snapshots: snapshots && new Snapshots(snapshots, runtime, patience),
      cache: cache === 0 ? undefined : new StateCache(cache),
      initial: decider.initial,
      evolve: (state, event) => decider.evolve(state, event as EventOf<T>),
      patience,
    });
    this.#execution = new Execution({ decider, store, runtime, codec: this.#codec, reader: this.#reader });
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
          const executed = await this.#execution.attempt(order, tries === 1 && !isLast);
          if (isResult(executed)) return executed;
          if (!("outrun" in executed)) return ok(executed);
          if (isLast) throw outrun(order.stream, tries, executed.outrun);
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
    for await (const stored of this.#reader.events(this.#codec.streamOf(entity), from, signal)) {
      yield await this.#codec.decode(stored) as Recorded<EventOf<T>>;
    }
  }

  #orderOf(entity: string, command: Command, options: ExecuteOptions): Order<Command> {
    const { context, step, meta, signal } = options;
    return {
      entity,
      stream: this.#codec.streamOf(entity),
      command,
      base: context === undefined ? this.#nextId() : causedBy(context, step),
      run: context && this.#nextId(),
      meta: context === undefined
        ? meta === undefined ? NO_META : { meta }
        : metaBecause(context, command, meta),
      signal,
    };
  }
}

function metaBecause(
  { id: cause, correlationId: correlation }: Cause,
  command: unknown,
  meta: ExecuteOptions["meta"],
): EventMeta {
  const known = fingerprint(command);
  return {
    cause,
    ...(correlation === undefined ? {} : { correlation }),
    ...(known === undefined ? {} : { command: known }),
    ...(meta === undefined ? {} : { meta }),
  };
}
