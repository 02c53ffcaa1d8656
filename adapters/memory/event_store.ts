import { CatgaError, systemFault } from "../../src/result.ts";
import type {
  Appended,
  AppendOptions,
  ChangedOptions,
  EventStore,
  EventStoreOptions,
  NewEvent,
  ReadAllOptions,
  ReadOptions,
  StoredEvent,
} from "../../src/ports/event_store.ts";
import {
  checkAppend,
  checkChanged,
  checkFind,
  checkRead,
  checkReadAll,
  isExpected,
  versionConflict,
} from "../../src/ports/event_store_faults.ts";
import type { Clock } from "../../src/ports/runtime.ts";
import { storeCancelled } from "../../src/ports/store_faults.ts";
import { EventTable } from "../../src/internal/event_table.ts";

/** What {@linkcode memoryEventStore} takes. */
export interface MemoryEventStoreOptions {
  /** The store's clock: its wall side dates events, its timers end waits. */
  readonly clock: Pick<Clock, "wall" | "timer">;
  /** How many events it takes; over it appends are refused with `OVERLOADED`. @default 1000000 */
  readonly events?: number;
  /** How large all of it may be, two bytes a character. @default 268435456 (256 MiB) */
  readonly bytes?: number;
  /** How many may wait for events at a time; over it a wait is refused with `OVERLOADED`. @default 4096 */
  readonly waits?: number;
}

/**
 * An event store in this process, for all who are given it. Nothing outlives the process.
 *
 * @example
 * ```ts
 * import { memoryEventStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const events = memoryEventStore({ clock: systemRuntime().clock });
 * await events.append("cart/1", [{ id: "e1", type: "cart.opened", data: "{}" }], { expected: "absent" });
 * console.log(await events.read("cart/1"));
 * ```
 */
export function memoryEventStore(options: MemoryEventStoreOptions): EventStore {
  return new MemoryEventStore(options);
}

class MemoryEventStore implements EventStore {
  readonly #clock: Pick<Clock, "wall" | "timer">;
  readonly #table: EventTable;
  readonly #most: number;
  readonly #waits: Set<() => void> = new Set();

  constructor(options: MemoryEventStoreOptions) {
    const { clock, events = 1_000_000, bytes = 256 * 2 ** 20, waits = 4096 } = options;
    for (const [name, limit] of Object.entries({ events, bytes, waits })) {
      if (!(limit >= 1)) {
        throw new RangeError(`Cannot make an event store: ${name} is ${limit}, but must be 1 or more`);
      }
    }
    this.#clock = clock;
    this.#most = waits;
    this.#table = new EventTable({ events, bytes });
  }

  append(
    stream: string,
    events: readonly NewEvent[],
    { expected = "any", signal }: AppendOptions = {},
  ): Promise<Appended> {
    return soon(signal, () => {
      checkAppend(stream, events, expected);
      const now = this.#clock.wall();
      const came = this.#table.append(now, stream, events, (version) => isExpected(expected, version));
      if (came.type === "conflict") throw versionConflict(`append to "${stream}"`, expected, came.found);
      if (came.type === "full") throw full(`append to "${stream}": the event store is full`);
      if (this.#waits.size > 0) { for (const wake of [...this.#waits]) wake(); }
      return { version: came.version, position: came.position };
    });
  }

  read(stream: string, options: ReadOptions = {}): Promise<readonly StoredEvent[]> {
    const { from, limit = 1000, backward = false, signal } = options;
    return soon(signal, () => {
      checkRead(stream, from, limit);
      return this.#table.read(stream, from, limit, backward);
    });
  }

  find(stream: string, id: string, { signal }: EventStoreOptions = {}): Promise<StoredEvent | undefined> {
    return soon(signal, () => {
      checkFind(stream, id);
      return this.#table.find(stream, id);
    });
  }

  readAll({ after = 0, limit = 1000, signal }: ReadAllOptions = {}): Promise<readonly StoredEvent[]> {
    return soon(signal, () => {
      checkReadAll(after, limit);
      return this.#table.readAll(after, limit);
    });
  }

  head({ signal }: EventStoreOptions = {}): Promise<number> {
    return soon(signal, () => this.#table.head);
  }

  changed(after: number, { wait, signal }: ChangedOptions): Promise<void> {
    return soon(signal, () => {
      checkChanged(after, wait);
      if (this.#table.head > after || wait === 0) return;
      if (this.#waits.size >= this.#most) {
        throw full(`wait for events: ${this.#most} wait already, as many as may`);
      }
      return this.#wait(after, wait, signal);
    });
  }

  #wait(after: number, ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        stop();
        this.#waits.delete(wake);
        signal?.removeEventListener("abort", abort);
      };
      const wake = (): void => {
        if (this.#table.head <= after) return;
        leave();
        resolve();
      };
      const abort = (): void => {
        leave();
        reject(storeCancelled("wait for events"));
      };
      const stop = this.#clock.timer(ms, () => {
        leave();
        resolve();
      });
      this.#waits.add(wake);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }
}

function soon<T>(signal: AbortSignal | undefined, work: () => T | Promise<T>): Promise<T> {
  if (signal?.aborted) return Promise.reject(storeCancelled("ask the event store"));
  try {
    return Promise.resolve(work());
  } catch (thrown) {
    return Promise.reject(thrown);
  }
}

function full(what: string): CatgaError {
  return new CatgaError(systemFault("OVERLOADED", `Cannot ${what}`));
}
