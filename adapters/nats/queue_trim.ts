import { fromBase64 } from "../../src/internal/base64.ts";
import type { Link } from "./link.ts";
import type { GroupRecord } from "./queue_owners.ts";
import type { MadeStream } from "./streams.ts";
import { askApi, readJson, StreamCode } from "./streams_api.ts";

/** How long after something was pushed or taken what is done with is taken away, in ms, and up to twice that. */
const PAUSE = 2000;
/** How much longer than its `idle` the record of a group stays that the server has ended, in ms. */
const GRACE = 120_000;

interface Consumer {
  readonly name: string;
  readonly config: { readonly filter_subject?: string };
  readonly delivered: { readonly stream_seq: number };
  readonly ack_floor: { readonly stream_seq: number };
  readonly num_ack_pending: number;
}

interface StreamState {
  readonly first_seq: number;
  readonly last_seq: number;
  readonly subjects?: Readonly<Record<string, number>>;
}

/**
 * Takes away what all groups are done with. The server does so itself by interest, but not well: just after a crash
 * an acknowledgement may reach it before it knows all of its consumers again, and then it drops what others have not had.
 */
export class Trim {
  readonly #link: Link;
  readonly #items: MadeStream;
  readonly #records: MadeStream;
  #running: Promise<void> | undefined;
  #stop: (() => void) | undefined;
  #closed = false;

  constructor(link: Link, items: MadeStream, records: MadeStream) {
    this.#link = link;
    this.#items = items;
    this.#records = records;
  }

  /** Something was pushed or done with. */
  later(): void {
    if (this.#stop !== undefined || this.#closed) return;
    const { clock, random } = this.#link.runtime;
    this.#stop = clock.timer(PAUSE * (1 + random.u32() / 2 ** 32), () => {
      this.#stop = undefined;
      // Tried again when something is pushed or taken next.
      if (this.#link.up) this.run(false).catch(() => {});
    });
  }

  /** @param all also what lies behind what others still need */
  async run(all: boolean): Promise<void> {
    if (all) await this.#running?.catch(() => {});
    return await (this.#running ??= this.#run(all).finally(() => this.#running = undefined));
  }

  close(): void {
    this.#closed = true;
    this.#stop?.();
  }

  async #run(all: boolean): Promise<void> {
    const [name, records] = await Promise.all([this.#items.open(), this.#records.open()]);
    // In this order: a group that begins later begins behind this state.
    const state = await this.#state(name, ">");
    const groups = Object.keys((await this.#state(records, ">")).subjects ?? {});
    const floors: Map<string, number> = new Map();
    const there: Set<string> = new Set();
    for (const consumer of await this.#consumers(name)) {
      there.add(consumer.name);
      const { config: { filter_subject = "" }, delivered, ack_floor, num_ack_pending } = consumer;
      const { stream_seq } = num_ack_pending === 0 ? delivered : ack_floor;
      floors.set(filter_subject, Math.min(floors.get(filter_subject) ?? Infinity, stream_seq));
    }
    for (const subject of groups) {
      const digest = subject.slice(subject.lastIndexOf(".") + 1);
      // It is about to begin, or the server has just begun anew and does not know it yet.
      if (!there.has(digest) && !await this.#isStale(records, subject)) return;
    }
    const floor = Math.min(state.last_seq, ...floors.values());
    if (floor >= state.first_seq) await this.#purge(name, { seq: floor + 1 });
    if (!all) return;
    for (const subject of Object.keys(state.subjects ?? {})) {
      const own = Math.min(state.last_seq, floors.get(subject) ?? Infinity);
      if (own > floor) await this.#purge(name, { filter: subject, seq: own + 1 });
    }
  }

  async #purge(name: string, what: object): Promise<void> {
    await askApi(this.#link, `STREAM.PURGE.${name}`, what);
  }

  async #state(name: string, subjects: string): Promise<StreamState> {
    const { state } = await askApi<{ state: StreamState }>(this.#link, `STREAM.INFO.${name}`, {
      subjects_filter: subjects,
    });
    return state;
  }

  async #consumers(name: string): Promise<readonly Consumer[]> {
    const all: Consumer[] = [];
    for (;;) {
      const { consumers, total } = await askApi<{ consumers: readonly Consumer[] | null; total: number }>(
        this.#link,
        `CONSUMER.LIST.${name}`,
        { offset: all.length },
      );
      all.push(...consumers ?? []);
      if (all.length >= total || (consumers ?? []).length === 0) return all;
    }
  }

  /** Whether a record is of a group that the server has ended because nobody asked; then it is taken away. */
  async #isStale(records: string, subject: string): Promise<boolean> {
    const { message } = await askApi<{ message?: { seq: number; data?: string; time: string } }>(
      this.#link,
      `STREAM.MSG.GET.${records}`,
      { last_by_subj: subject },
      [StreamCode.noMessage],
    );
    if (message === undefined) return true;
    const { idle } = readJson(fromBase64(message.data ?? "")) as GroupRecord;
    const now = this.#link.runtime.clock.wall();
    if (idle === undefined || now - Date.parse(message.time) < 2 * idle + GRACE) return false;
    await askApi(this.#link, `STREAM.MSG.DELETE.${records}`, { seq: message.seq, no_erase: true }, [
      StreamCode.noMessage,
    ]);
    return true;
  }
}
