import { CatgaError, faultOf, systemFault } from "../../src/result.ts";
import { backoff } from "../../src/internal/backoff.ts";
import { hash32 } from "../../src/internal/hash.ts";
import { sleep } from "../../src/internal/sleep.ts";
import type { Appended, ExpectedVersion, NewEvent } from "../../src/ports/event_store.ts";
import { isExpected, versionConflict } from "../../src/ports/event_store_faults.ts";
import { decodeEvents, encodeEvents, headOf, lastPosition } from "./events_format.ts";
import { StreamIndex } from "./events_index.ts";
import type { StreamIndexes } from "./events_indexes.ts";
import type { EventLog } from "./events_log.ts";

/** How often others may have been first before an append is given up, and how long it is tried, in ms. */
const LOST = 100;
const PATIENCE = 4000;
/** How long to wait at most before the next time, in ms: twice as long each time, up to the second. */
const DELAY = 5;
const LONGEST = 500;
/** What a message needs beside its events, in bytes: for each of them, and at all. */
const HASH = 8;
const AROUND = 256;

/** What is appended where. */
export interface AppendRequest {
  readonly stream: string;
  readonly subject: string;
  readonly events: readonly NewEvent[];
  readonly expected: ExpectedVersion;
  readonly signal: AbortSignal | undefined;
}

/** Appends by compare-and-set on the last message of the subject; repeating it with the same ids does no harm. */
export class Appender {
  readonly #log: EventLog;
  readonly #indexes: StreamIndexes;

  constructor(log: EventLog, indexes: StreamIndexes) {
    this.#log = log;
    this.#indexes = indexes;
  }

  async append(request: AppendRequest): Promise<Appended> {
    const { stream, events, signal } = request;
    const { clock, random } = this.#log.link.runtime;
    const content = encodeEvents(stream, events);
    this.#checkSize(request, content);
    const began = clock.mono();
    let unknown: unknown;
    for (let tries = 1;; tries++) {
      try {
        const done = await this.#try(request, content, tries === 1);
        if (done !== undefined) return done;
        if (tries >= LOST || clock.mono() - began >= PATIENCE) throw crowded(stream, tries);
      } catch (thrown) {
        const { code, retryable } = faultOf(thrown);
        if (code === "TRANSPORT") unknown = thrown;
        const over = !retryable || signal?.aborted || clock.mono() - began >= PATIENCE;
        // As long as one try may have happened, none that was refused says that it did not.
        if (unknown === undefined || over) throw settled(thrown, unknown);
      }
      if (tries > 2) await sleep(clock, backoff(tries - 2, DELAY, LONGEST, random.u32()), signal);
    }
  }

  /** `undefined` when another one was first. */
  async #try(
    { stream, subject, events, expected, signal }: AppendRequest,
    content: Uint8Array,
    hopeful: boolean,
  ): Promise<Appended | undefined> {
    await this.#log.stream.ready(signal);
    let index = hopeful ? this.#hope(subject, expected) : undefined;
    let before = index?.last ?? 0, version = index?.version ?? 0;
    // What is known may be old: only what is there now decides that nothing is appended.
    if (index === undefined || await this.#settle(index, events, expected, signal) !== "append") {
      index = await this.#indexes.fresh(subject, signal);
      before = index.last;
      version = index.version;
      const settled = await this.#settle(index, events, expected, signal);
      if (settled === "conflict") throw versionConflict(`append to "${stream}"`, expected, version);
      if (settled !== "append") return settled;
    }
    const head = headOf(events, version + 1, before);
    const seq = await this.#log.publish(subject, head, content, signal);
    if (seq === undefined) return undefined;
    if (index.last === before) {
      index.add(seq, head);
      this.#indexes.keep(subject, index);
    }
    return { version: version + events.length, position: lastPosition(seq, head) };
  }

  /** What the stream probably is, where that saves a look. */
  #hope(subject: string, expected: ExpectedVersion): StreamIndex | undefined {
    const known = this.#indexes.known(subject);
    return known === undefined && (expected === 0 || expected === "absent") ? new StreamIndex() : known;
  }

  async #settle(
    index: StreamIndex,
    events: readonly NewEvent[],
    expected: ExpectedVersion,
    signal: AbortSignal | undefined,
  ): Promise<Appended | "append" | "conflict"> {
    const { version } = index;
    const there = await this.#there(index, events, signal);
    if (there.size > 0) {
      const first = there.get(events[0]!.id);
      const again = first !== undefined && events.every(({ id }, at) => there.get(id) === first + at);
      if (!again) return "conflict";
      const last = first + events.length - 1;
      return { version: last, position: index.positionOf(last) };
    }
    if (!isExpected(expected, version)) return "conflict";
    return events.length > 0 ? "append" : { version, position: index.positionOf(version) };
  }

  /** The versions of those events whose ids are in the stream. */
  async #there(
    index: StreamIndex,
    events: readonly NewEvent[],
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<string, number>> {
    const there = new Map<string, number>();
    const seqs = new Set<number>();
    for (const { id } of events) {
      for (const version of index.candidates(hash32(id))) seqs.add(index.seqOf(index.messageOf(version)));
    }
    if (seqs.size === 0) return there;
    const ids = new Set(events.map(({ id }) => id));
    for (const seq of seqs) {
      const message = await this.#log.at(seq, signal);
      if (message?.head === undefined) continue;
      for (const { id, version } of decodeEvents(message)) if (ids.has(id)) there.set(id, version);
    }
    return there;
  }

  #checkSize({ stream, subject, events }: AppendRequest, content: Uint8Array): void {
    const { max_payload: most = 2 ** 20 } = this.#log.link.connection.info ?? {};
    const size = content.length + HASH * events.length + subject.length + AROUND;
    if (size <= most) return;
    const message =
      `Cannot append to "${stream}": its events have ${size} bytes, but the server takes ${most} ` +
      `in a message; append fewer at a time, or set max_payload of the server to 16MB`;
    throw new CatgaError(systemFault("VALIDATION", message, { size, most }));
  }
}

function crowded(stream: string, tries: number): CatgaError {
  const message = `Cannot append to "${stream}": others were first ${tries} times; try again later`;
  return new CatgaError(systemFault("OVERLOADED", message));
}

function settled(thrown: unknown, unknown: unknown): unknown {
  const { code, message } = faultOf(thrown);
  // Whoever finds another version, or something else under these ids, knows that it did not happen.
  if (unknown === undefined || thrown === unknown || code === "CONFLICT") return thrown;
  const last = code === "CANCELLED" ? "CANCELLED" : "TRANSPORT";
  return new CatgaError(systemFault(last, `It may have happened: ${message}`, undefined, unknown));
}
