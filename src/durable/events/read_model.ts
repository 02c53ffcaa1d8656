import type { Entry, ListOptions, Store } from "../../ports/store.ts";
import { askStore } from "../ask_store.ts";
import { pages } from "../pages.ts";
import type { AskStore } from "./checkpoint.ts";
import type { Projection, ProjectionOptions } from "./projection.ts";
import { ProjectionRunner } from "./projection_runner.ts";
import { type EventsOf, SourceReader, type Sources } from "./sources.ts";
import { rowKey, rowOf, StateTarget } from "./state_target.ts";

/** How many rows are asked for at a time at most. */
const PAGE = 1000;

/** What {@linkcode startReadModel} takes. */
export interface ReadModelOptions<S extends Sources, State> extends ProjectionOptions<S> {
  /** What a row begins as: plain data. */
  readonly initial: State;
  /** A row after an event; `undefined` takes it away. Must be pure: it may be asked again. */
  readonly evolve: (state: State, event: EventsOf<S>) => State | undefined;
  /** The row or the rows that an event is about, if any; without it there is one row, whose key is empty. */
  readonly key?: ((event: EventsOf<S>) => string | readonly string[] | undefined) | undefined;
}

/** What {@linkcode ReadModel.get} and its like take. */
export interface ReadModelReadOptions {
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@linkcode ReadModel.list} takes. */
export interface ReadModelListOptions extends ReadModelReadOptions {
  /** Only the rows that come after this key: the last one of the page before. */
  readonly after?: string | undefined;
  /** How many rows at most. @default 1000 */
  readonly limit?: number | undefined;
}

/** A row, and how new it is. */
export interface ReadModelRow<State> {
  /** Which one. */
  readonly key: string;
  /** What it is now. */
  readonly state: State;
  /** The position of the last event that changed it. */
  readonly position: number;
}

/** Rows that are made of events, and kept with how far they have come. */
export interface ReadModel<State> extends Projection {
  /** A row; `undefined` if it is not there. Rejects with what the store rejects with. */
  get(key?: string, options?: ReadModelReadOptions): Promise<State | undefined>;
  /** The rows whose keys begin like this, by key. Rejects with what the store rejects with. */
  list(prefix?: string, options?: ReadModelListOptions): Promise<readonly ReadModelRow<State>[]>;
  /**
   * A row as it is, then each time it has changed; a slow reader gets the newest. `undefined` while it is not there.
   * The loop ends when the signal aborts, and throws `TRANSPORT` where the store's watch breaks off.
   */
  watch(key?: string, options?: ReadModelReadOptions): AsyncGenerator<State | undefined, void, undefined>;
}

/**
 * Makes rows of events and keeps them in the store, each event applied to a row exactly once: the row's entry holds
 * the position of the last event it knows of, and is written by compare-and-set. A row has at most 262,144 characters
 * of JSON, its key and the name together at most 496. Where nothing of the store survives, they are made anew of all
 * events.
 *
 * @param name 1 to 100 of letters, digits and `_ . : -`: the same in all processes that may run it
 *
 * @example
 * ```ts
 * import { type } from "@catga/catga";
 * import { startReadModel } from "@catga/catga/durable";
 * import { memoryStorage } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const { store, events } = memoryStorage(runtime.clock);
 * const { position } = await events!.append("cart/1", [{ id: "1", type: "cart.added", data: '{"sku":"tea"}' }]);
 * await using sold = startReadModel("sold", {
 *   from: { cart: { "cart.added": type<{ sku: string }>() } },
 *   events: events!,
 *   store: store!,
 *   runtime,
 *   owner: "node-1",
 *   key: ({ data }) => data.sku,
 *   initial: 0,
 *   evolve: (count) => count + 1,
 * });
 * await sold.reached(position);
 * console.log(await sold.get("tea"));
 * ```
 */
export function startReadModel<const S extends Sources, State>(
  name: string,
  options: ReadModelOptions<S, State>,
): ReadModel<State> {
  const { store, runtime, patience = 5000, initial, evolve, key = () => "" } = options;
  const ask: AskStore = (ask) => askStore({ clock: runtime.clock, limit: patience, signal: undefined }, ask);
  const target = new StateTarget<State, EventsOf<S>>({ name, store, ask, initial, evolve, key });
  const runner = new ProjectionRunner(name, options, new SourceReader(options.from), target);
  return {
    name,
    status: () => runner.status(),
    lag: () => runner.lag(),
    reached: (position, options) => runner.reached(position, options),
    rebuild: () => runner.rebuild(),
    stop: () => runner.stop(),
    [Symbol.asyncDispose]: () => runner.stop(),
    get: async (key = "", { signal } = {}) => {
      const entry = await store.get(rowKey(name, key), { signal });
      return entry && rowOf(entry).s as State | undefined;
    },
    list: async (prefix = "", { after, limit = 1000, signal } = {}) => {
      const start = rowKey(name, "").length;
      const from = after === undefined ? undefined : rowKey(name, after);
      const rows: ReadModelRow<State>[] = [];
      const list = (page: ListOptions): Promise<readonly Entry[]> =>
        store.list(rowKey(name, prefix), { ...page, signal });
      for await (const entries of pages(list, from, Math.min(limit, PAGE))) {
        for (const entry of entries) {
          const { s, p: position } = rowOf(entry);
          if (s === undefined) continue;
          if (rows.push({ key: entry.key.slice(start), state: s as State, position }) >= limit) return rows;
        }
      }
      return rows;
    },
    watch: (key = "", { signal } = {}) => watchRow(store, rowKey(name, key), signal),
  };
}

async function* watchRow<State>(
  store: Store,
  key: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<State | undefined, void, undefined> {
  let isThere = false;
  for await (const change of store.watch(key, { signal })) {
    // Keys that only begin like this one are others.
    if (change.type === "ready") {
      if (!isThere) yield undefined;
    } else if (change.type === "delete") {
      if (change.key === key) yield undefined;
    } else if (change.entry.key === key) {
      isThere = true;
      yield rowOf(change.entry).s as State | undefined;
    }
  }
}
