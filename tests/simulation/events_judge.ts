/** What must be so of halls, of what was answered about them, and of what is made of their events. */

import type { Result, SystemFault } from "@catga/catga";
import type { Executed, HistoryOptions, Loaded, LoadOptions } from "@catga/catga/durable";
import type { StoredEvent } from "@catga/catga/ports";
import type { SimulatedEventStore, SimulatedStore } from "@catga/catga/testing";
import {
  type Hall,
  type HallCommand,
  type HallEvent,
  hallOf,
  type HallRow,
  NO_ROW,
  type Refusal,
  rowAfter,
  rowsOf,
  wrongAbout,
} from "./events_hall.ts";

/** A message that wants something of a hall, and what came of it each time. */
export interface HallMessage {
  readonly n: number;
  readonly hall: string;
  readonly command: HallCommand;
  readonly caused: boolean;
  readonly answers: string[];
}

/** How many events a hall had when somebody began to ask, and when the answer came. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

type Kept = StoredEvent & { readonly entity: string; readonly event: HallEvent; readonly tag: string };

/** After these, nothing has happened. */
const NOTHING_DONE = ["UNAVAILABLE", "OVERLOADED", "FULL", "ALREADY", "CONFLICT"];
const UNKNOWN = ["unknown", "TRANSPORT", "CANCELLED"];
const RELEASES = [1, 2].map((release) => hallOf(release));

/** Knows all that is kept, whoever can reach it. */
export class HallJudge {
  /** The first thing that was wrong. */
  broken: string | undefined;
  readonly #events: SimulatedEventStore;
  readonly #store: SimulatedStore;
  readonly #all: Kept[] = [];
  readonly #halls: Map<string, { readonly events: Kept[]; readonly states: Hall[] }> = new Map();
  /** The positions of effects that are done, by generation. */
  readonly #effects: Map<number, Set<number>> = new Map();

  constructor(events: SimulatedEventStore, store: SimulatedStore) {
    this.#events = events;
    this.#store = store;
  }

  /** All events of halls. */
  get log(): readonly Kept[] {
    const stored = this.#events.events();
    for (const each of stored.slice(this.#seen)) {
      this.#seen++;
      if (each.stream.startsWith("hall/")) this.#take(each);
    }
    return this.#all;
  }
  #seen = 0;

  get head(): number {
    return this.#events.events().length;
  }

  version(hall: string): number {
    return this.#hall(hall).events.length;
  }

  /** Says that something is wrong, unless something was before. */
  fail(what: string): void {
    this.broken ??= what;
  }

  /** Judges the answer to a command. */
  executed(
    message: HallMessage,
    command: HallCommand,
    release: number,
    { from, to }: Span,
    result: Result<Executed<Hall, HallEvent>, Refusal | SystemFault>,
  ): void {
    const { n, hall, caused } = message;
    const what = `${n} ${JSON.stringify(command)} on "${hall}" at ${from} to ${to}`;
    const before = this.#hall(hall).events.slice(0, from);
    if (caused && before.some((event) => event.tag.startsWith(`${n} `))) {
      const answer = result.ok ? result.value.events.length > 0 ? "done" : "nothing" : result.error.code;
      if (["nothing", "FULL", "ALREADY"].includes(answer)) {
        this.fail(`${what} had happened, and was answered ${answer}`);
      }
    }
    if (!result.ok) return this.#refused(what, message, command, release, { from, to }, result.error);
    const { state, events, version, position, repeated } = result.value;
    const { events: log } = this.#hall(hall);
    this.#expect(state, hall, version, release, what);
    if (position !== (log[version - 1]?.position ?? 0)) this.fail(`${what} is at position ${position}`);
    if (events.length === 0) {
      if (version < from || version > to) this.fail(`${what} was decided at ${version}`);
      const decided = this.#decided(hall, version, release, command);
      return decided === "[]" ? undefined : this.fail(`${what} let nothing happen instead of ${decided}`);
    }
    const begin = version - events.length;
    const happened = log.slice(begin, version);
    if (shown(happened.map(({ event }) => event)) !== shown(events)) {
      this.fail(`${what} was answered ${shown(events)}, and ${shown(happened)} happened`);
    }
    const tag = tagOf(message, command);
    const around = [log[begin - 1], log[version]];
    if (happened.some((each) => each.tag !== tag) || around.some((each) => each?.tag === tag)) {
      this.fail(`${what} was answered with other events than its own: ${shown(happened)}`);
    }
    if (repeated ? !caused || version > to : begin < from) {
      this.fail(`${what} was answered with version ${version}${repeated ? ", as before" : ""}`);
    }
  }

  /** Judges a state that was loaded. */
  loaded(
    hall: string,
    release: number,
    { from, to }: Span,
    { version: wanted = Infinity, at = Infinity }: LoadOptions,
    loaded: Loaded<Hall>,
  ): void {
    const { events } = this.#hall(hall);
    const what = `"${hall}" as it was at version ${wanted} and time ${at}, read at ${from} to ${to},`;
    const until = (count: number): number => {
      const late = events.slice(0, count).findIndex((event) => event.at > at);
      return Math.min(wanted, late < 0 ? count : late);
    };
    const { version, position, state } = loaded;
    if (version < until(from) || version > until(to)) this.fail(`${what} has version ${version}`);
    this.#expect(state, hall, version, release, what);
    const last = events[version - 1];
    if (position !== (last?.position ?? 0) || loaded.at !== (last?.at ?? 0)) {
      this.fail(`${what} is at position ${position}, time ${loaded.at}`);
    }
  }

  /** Judges what was told of a hall. */
  told(
    hall: string,
    { from, to }: Span,
    { from: first = 1 }: HistoryOptions,
    versions: readonly number[],
  ): void {
    const end = first + versions.length - 1;
    if (versions.some((version, at) => version !== first + at)) {
      this.fail(`"${hall}" was told as ${versions}`);
    }
    if ((end < from && first <= from) || end > Math.max(to, first - 1)) {
      this.fail(`"${hall}" was told to ${end} at ${from} to ${to}`);
    }
  }

  /** The position of the event of a hall that follows another. */
  after(position: number): number | undefined {
    return this.log.find((event) => event.position > position)?.position;
  }

  /** An effect begins: all before it are done. */
  begins(generation: number, position: number): void {
    const before = this.log.findLast((event) => event.position < position)?.position;
    if (before === undefined || this.#done(generation).has(before)) return;
    this.fail(`the effect of ${position} began before that of ${before}, in generation ${generation}`);
  }

  ends(generation: number, position: number): void {
    this.#done(generation).add(position);
  }

  /** How far a projection has come, as it is kept. */
  progress(name: string): { readonly g: number; readonly p: number; readonly sweep?: boolean } {
    const entry = this.#store.entries().find(({ key }) => key === `projections/${name}/at`);
    return entry === undefined ? { g: 0, p: 0 } : JSON.parse(entry.value);
  }

  /** A checkpoint was kept: it must not be ahead of what was done. */
  checkpoint(key: string, value: string): void {
    const { g, p } = JSON.parse(value) as { g: number; p: number };
    const behind = this.log.filter(({ position }) => position <= p);
    if (key === "projections/audit/at") {
      const missing = behind.find(({ position }) => !this.#done(g).has(position));
      if (missing !== undefined) this.fail(`the checkpoint ${value} is ahead of effect ${missing.position}`);
    } else if (key === "projections/rows/at") {
      const kept = new Map(this.#rows().map((row) => [row.key, row]));
      const last = new Map(
        behind.flatMap((event) => rowsOf(flat(event)).map((key) => [key, event.position])),
      );
      for (const [key, position] of last) {
        const row = kept.get(key);
        if (row === undefined || row.g < g || (row.g === g && row.p < position)) {
          this.fail(`the checkpoint ${value} is ahead of row "${key}": ${shown(row)}`);
        }
      }
    }
  }

  /** A row as events up to a position make it. */
  row(key: string, position: number): HallRow | undefined {
    let row: HallRow | undefined;
    for (const event of this.log) {
      if (event.position > position) break;
      if (rowsOf(flat(event)).includes(key)) row = rowAfter(row ?? NO_ROW, event.event);
    }
    return row;
  }

  /** A row that was read is what events up to its position make. */
  rowRead(key: string, position: number, state: HallRow): void {
    if (shown(state) === shown(this.row(key, position))) return;
    this.fail(`row "${key}" is ${shown(state)} at ${position} instead of ${shown(this.row(key, position))}`);
  }

  /** Whether all projections are done with all there is. */
  isCaughtUp(): boolean {
    return ["audit", "rows"].map((name) => this.progress(name))
      .every(({ p, sweep }) => p === this.head && sweep === undefined);
  }

  /** What must be so in the end. */
  audit(messages: Iterable<HallMessage>, rebuilds: Readonly<Record<string, number>>): void {
    for (const { events } of this.#halls.values()) {
      if (events.some(({ version }, at) => version !== at + 1)) this.fail(`versions have a gap`);
    }
    for (const message of messages) this.#once(message);
    for (const [name, count] of Object.entries(rebuilds)) {
      const { g } = this.progress(name);
      if (g < count) this.fail(`"${name}" was begun anew ${count} times, and is of generation ${g}`);
    }
    const { g } = this.progress("audit");
    const left = this.log.find(({ position }) => !this.#done(g).has(position));
    if (left !== undefined) this.fail(`the effect of ${left.position} is missing in generation ${g}`);
    const rows = this.#rows().filter(({ s }) => s !== undefined);
    const wanted = [...new Set(this.log.flatMap((event) => rowsOf(flat(event))))].sort()
      .map((key) => [key, this.row(key, Infinity)]).filter(([, row]) => row !== undefined);
    const found = rows.map(({ key, s }) => [key, s]);
    if (shown(found) !== shown(wanted)) this.fail(`the rows are ${shown(found)} instead of ${shown(wanted)}`);
    this.#snapshots();
  }

  #take(stored: StoredEvent): void {
    const entity = stored.stream.slice("hall/".length);
    const event = { type: stored.type, data: JSON.parse(stored.data) } as HallEvent;
    const { tag } = JSON.parse(stored.meta!).meta;
    const hall = this.#halls.get(entity) ?? { events: [], states: [RELEASES[1]!.initial] };
    this.#halls.set(entity, hall);
    const kept = { ...stored, entity, event, tag };
    const state = hall.states.at(-1)!;
    const wrong = wrongAbout(state, event);
    if (wrong !== undefined) this.fail(`event ${stored.version} of "${entity}": ${wrong}`);
    hall.events.push(kept);
    hall.states.push(RELEASES[1]!.evolve(state, event));
    this.#all.push(kept);
  }

  #hall(name: string): { readonly events: readonly Kept[]; readonly states: readonly Hall[] } {
    void this.log;
    return this.#halls.get(name) ?? { events: [], states: [RELEASES[1]!.initial] };
  }

  #expect(state: Hall, hall: string, version: number, release: number, what: string): void {
    const wanted = { ...this.#hall(hall).states[version], release };
    if (shown(state) !== shown(wanted)) {
      this.fail(`${what} is ${shown(state)} at ${version}, and ${shown(wanted)}`);
    }
  }

  #refused(
    what: string,
    { n, hall }: HallMessage,
    command: HallCommand,
    release: number,
    { from, to }: Span,
    error: { readonly code: string; readonly data?: unknown; readonly retryable?: boolean },
  ): void {
    const { code, data } = error;
    const { events } = this.#hall(hall);
    if (code === "FULL" || code === "ALREADY") {
      const versions = Array.from({ length: to - from + 1 }, (_, at) => from + at);
      const why = versions.map((version) => this.#decided(hall, version, release, command));
      if (!why.includes(`${code} ${shown(data)}`)) {
        this.fail(`${what} was refused with ${code} ${shown(data)}`);
      }
    } else if (code === "SERIALIZATION") {
      const unread = events.slice(0, to).some(({ type }) => type === "hall.cleaned");
      if (release !== 1 || !unread) this.fail(`${what} could not be read`);
    } else if (code === "CONFLICT" && error.retryable !== true) {
      if (!events.some(({ tag }) => tag.startsWith(`${n} `) && tag !== tagOf({ n }, command))) {
        this.fail(`${what} is in conflict with nothing`);
      }
    } else if (!NOTHING_DONE.includes(code) && !UNKNOWN.includes(code)) {
      this.fail(`${what} failed with ${code}`);
    }
  }

  #decided(hall: string, version: number, release: number, command: HallCommand): string {
    const state = this.#hall(hall).states[version]!;
    const decided = RELEASES[release - 1]!.decide(command, state, { entity: hall, version, now: 0 });
    if (!("error" in decided)) return shown(decided);
    return `${decided.error.code} ${shown(decided.error.data)}`;
  }

  /** The events of a message are together, of one command, and there if they were said to be. */
  #once({ n, hall, answers }: HallMessage): void {
    const { events } = this.#hall(hall);
    const own = events.filter(({ tag }) => tag.startsWith(`${n} `));
    const [one] = own;
    if (own.some(({ tag, version }, at) => tag !== one!.tag || version !== one!.version + at)) {
      this.fail(`${n} happened more than once: ${shown(own)}`);
    }
    if (own.length > 0 && answers.every((answer) => NOTHING_DONE.includes(answer))) {
      this.fail(`${n} was answered ${answers}, and happened`);
    }
    if (own.length === 0 && answers.includes("done")) this.fail(`${n} was said to be done, and was not`);
  }

  #snapshots(): void {
    for (const { key, value } of this.#store.entries()) {
      if (!key.startsWith("snapshots/hall/")) continue;
      const { v, last, state } = JSON.parse(value);
      const hall = key.slice("snapshots/hall/".length);
      this.#expect(state, hall, last.version, v, `the state of "${hall}" that is kept`);
      const event = this.#hall(hall).events[last.version - 1];
      if (event?.id !== last.id || event?.at !== last.at || event?.position !== last.position) {
        this.fail(`the state of "${hall}" that is kept is of ${shown(last)}`);
      }
    }
  }

  #rows(): { readonly key: string; readonly g: number; readonly p: number; readonly s?: HallRow }[] {
    const start = "projections/rows/of/";
    return this.#store.entries().filter(({ key }) => key.startsWith(start))
      .map(({ key, value }) => ({ ...JSON.parse(value), key: key.slice(start.length) }));
  }

  #done(generation: number): Set<number> {
    const done = this.#effects.get(generation) ?? new Set();
    this.#effects.set(generation, done);
    return done;
  }
}

/** Tells the events of a command from those of others. */
export function tagOf({ n }: Pick<HallMessage, "n">, command: HallCommand): string {
  return `${n} ${command.type}${"count" in command ? ` ${command.count}` : ""}`;
}

function flat({ entity, event }: Kept): HallEvent & { readonly entity: string } {
  return { ...event, entity };
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? "";
}
