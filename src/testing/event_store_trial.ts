import type { Appended, EventStore, ExpectedVersion, NewEvent, StoredEvent } from "../ports/event_store.ts";
import type { EventStoreUnderTest } from "./event_store_conformance.ts";
import { must } from "./store_trial.ts";

/** What one check works with. */
export class EventStoreTrial {
  readonly events: EventStore;
  readonly other: EventStore;
  readonly wait: number;
  readonly #subject: EventStoreUnderTest;
  readonly #prefix: string;

  constructor(subject: EventStoreUnderTest, prefix: string, wait: number) {
    this.events = subject.events;
    this.other = subject.other ?? subject.events;
    this.wait = wait;
    this.#subject = subject;
    this.#prefix = prefix;
  }

  stream(name: string): string {
    return this.#prefix + name;
  }

  pass(ms: number): Promise<void> {
    return this.#subject.pass(ms);
  }

  /** Appends events with these ids to a stream of this trial. */
  append(
    name: string,
    ids: readonly string[],
    expected?: ExpectedVersion,
    events: EventStore = this.events,
  ): Promise<Appended> {
    return events.append(this.stream(name), ids.map(eventOf), { expected });
  }

  /** The ids of a stream of this trial, in order, read to its end. */
  async ids(name: string, events: EventStore = this.other): Promise<string[]> {
    const all = await this.all(name, events);
    const gapless = all.every(({ version }, at) => version === at + 1);
    must(`"${name}" has the versions 1, 2, 3: ${all.map(({ version }) => version)}`, gapless);
    return all.map(({ id }) => id);
  }

  /** A stream of this trial, read to its end. */
  async all(name: string, events: EventStore = this.other, limit?: number): Promise<StoredEvent[]> {
    const all: StoredEvent[] = [];
    for (;;) {
      const from = all.length + 1;
      const page = await events.read(this.stream(name), limit === undefined ? { from } : { from, limit });
      if (page.length === 0) return all;
      must("a page is not longer than it may be", page.length <= (limit ?? 1000));
      all.push(...page);
    }
  }

  /** What this trial appended to all of its streams after a position, read to the end. */
  async everything(
    after: number = 0,
    events: EventStore = this.other,
    limit?: number,
  ): Promise<StoredEvent[]> {
    const all: StoredEvent[] = [];
    for (let last = after;;) {
      const page = await events.readAll(limit === undefined ? { after: last } : { after: last, limit });
      if (page.length === 0) return all.filter(({ stream }) => stream.startsWith(this.#prefix));
      must("a page is not longer than it may be", page.length <= (limit ?? 1000));
      for (const { position } of page) {
        must(`positions are whole numbers that grow: ${last}, ${position}`, position > last);
        must(`positions are whole numbers that grow: ${position}`, Number.isSafeInteger(position));
        last = position;
      }
      all.push(...page);
    }
  }
}

/** An event with an id, and data in which that stands. */
export function eventOf(id: string): NewEvent {
  return { id, type: "happened", data: JSON.stringify({ id }) };
}

/** So many ids that begin like this. */
export function idsOf(count: number, start: string): string[] {
  return Array.from({ length: count }, (_, at) => `${start}${at}`);
}
