import { CatgaError, faultOf, systemFault } from "../../result.ts";
import { parseJson } from "../../internal/safe_json.ts";
import type { Entry, ListOptions, Store } from "../../ports/store.ts";
import { checkKey } from "../../ports/store_faults.ts";
import { pages } from "../pages.ts";
import type { AskStore } from "./checkpoint.ts";
import type { Recorded } from "./event_types.ts";
import { EventFailure, type ProjectionTarget, type TargetRun } from "./projection_target.ts";

/** How long it is remembered that a row was taken away, in ms: longer than a process that stood still can be late. */
const REMEMBERED = 86_400_000;
/** How many rows are read or written at once. */
const AT_ONCE = 16;

/** What {@linkcode StateTarget} stands on. */
export interface StateTargetHost<State, E> {
  readonly name: string;
  readonly store: Store;
  readonly ask: AskStore;
  readonly initial: State;
  evolve(state: State, event: E): State | undefined;
  key(event: E): string | readonly string[] | undefined;
}

/** A row as it is kept: the generation that made it, the last position it knows of, its state if it is there. */
export interface RowRecord {
  readonly g: number;
  readonly p: number;
  readonly s?: unknown;
}

interface Row {
  readonly revision: number | undefined;
  generation: number;
  position: number;
  state: unknown;
  changed: boolean;
}

interface Keyed<E> {
  readonly wanted: readonly { readonly event: E; readonly keys: readonly string[] }[];
  readonly failure: EventFailure | undefined;
}

/** Where a row is kept. */
export function rowKey(name: string, key: string): string {
  return `projections/${name}/of/${key}`;
}

/** A row of an entry. */
export function rowOf({ value }: Entry): RowRecord {
  return parseJson(value) as RowRecord;
}

/** Applies events to rows, each once, whoever else does so at the same time. */
export class StateTarget<State, E extends Recorded> implements ProjectionTarget<E> {
  readonly sweeps = true;
  readonly #host: StateTargetHost<State, E>;
  readonly #initial: string;

  constructor(host: StateTargetHost<State, E>) {
    this.#host = host;
    this.#initial = JSON.stringify(host.initial);
  }

  async take(events: readonly E[], run: TargetRun): Promise<void> {
    const { wanted, failure: keyless } = this.#keyed(events);
    const rows = await this.#read([...new Set(wanted.flatMap(({ keys }) => keys))]);
    if ([...rows.values()].some((row) => row.generation > run.generation)) throw begunAnew(this.#host.name);
    let failure = keyless;
    let last = 0;
    for (const { event, keys } of wanted) {
      const before = keys.map((key) => ({ ...rows.get(key)! }));
      try {
        for (const key of keys) this.#apply(rows.get(key)!, event, run.generation);
        last = event.position;
      } catch (thrown) {
        // All rows of an event or none: what fails in the second one must not stay done in the first.
        keys.forEach((key, at) => rows.set(key, before[at]!));
        failure = new EventFailure(event.position, thrown);
        break;
      }
    }
    if (run.stopping) return;
    await this.#write(rows);
    if (failure === undefined) return;
    if (last > 0) await run.done(last);
    throw failure;
  }

  async sweep(generation: number): Promise<void> {
    const { name, store, ask } = this.#host;
    const list = (page: ListOptions): Promise<readonly Entry[]> =>
      ask((signal) => store.list(rowKey(name, ""), { ...page, signal }));
    for await (const entries of pages(list)) {
      const old = entries.filter((entry) => rowOf(entry).g < generation);
      await inTurn(old, (entry) => {
        const gone = JSON.stringify({ g: generation, p: rowOf(entry).p });
        const { key, revision: expected } = entry;
        return ask((signal) => store.put(key, gone, { expected, ttl: REMEMBERED, signal }));
      });
    }
  }

  /** The rows that events are about, up to the first event of which nobody can say. */
  #keyed(events: readonly E[]): Keyed<E> {
    const wanted: { event: E; keys: readonly string[] }[] = [];
    for (const event of events) {
      try {
        const named = this.#host.key(event) ?? [];
        const keys = typeof named === "string" ? [named] : [...new Set(named)];
        for (const key of keys) checkKey(rowKey(this.#host.name, key));
        wanted.push({ event, keys });
      } catch (thrown) {
        return { wanted, failure: new EventFailure(event.position, thrown) };
      }
    }
    return { wanted, failure: undefined };
  }

  #apply(row: Row, event: E, generation: number): void {
    if (row.generation === generation && row.position >= event.position) return;
    const isOld = row.generation < generation || row.state === undefined;
    const state = this.#host.evolve((isOld ? JSON.parse(this.#initial) : row.state) as State, event);
    row.generation = generation;
    row.position = event.position;
    row.state = state;
    row.changed = true;
  }

  async #read(keys: readonly string[]): Promise<Map<string, Row>> {
    const { name, store, ask } = this.#host;
    const rows = new Map<string, Row>();
    await inTurn(keys, async (key) => {
      const entry = await ask((signal) => store.get(rowKey(name, key), { signal }));
      const { g, p, s } = entry === undefined ? { g: -1, p: 0, s: undefined } : rowOf(entry);
      rows.set(key, { revision: entry?.revision, generation: g, position: p, state: s, changed: false });
    });
    return rows;
  }

  async #write(rows: ReadonlyMap<string, Row>): Promise<void> {
    const { name, store, ask } = this.#host;
    const changed = [...rows].filter(([, row]) => row.changed);
    await inTurn(changed, ([key, { revision, generation: g, position: p, state: s }]) => {
      const record: RowRecord = s === undefined ? { g, p } : { g, p, s };
      const expected = revision ?? "absent";
      const ttl = s === undefined ? REMEMBERED : undefined;
      return ask((signal) => store.put(rowKey(name, key), JSON.stringify(record), { expected, ttl, signal }))
        .catch((thrown) => {
          // No trying again makes a row fit that is too large.
          throw faultOf(thrown).code === "VALIDATION" ? new EventFailure(p, thrown) : thrown;
        });
    });
  }
}

/** Does something for each, some at a time. Rejects with the first failure. */
async function inTurn<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < items.length; at += AT_ONCE) {
    await Promise.all(items.slice(at, at + AT_ONCE).map(work));
  }
}

function begunAnew(name: string): CatgaError {
  return new CatgaError(systemFault("CONFLICT", `"${name}" was begun anew meanwhile`));
}
