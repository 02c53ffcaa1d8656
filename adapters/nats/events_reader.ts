import { faultOf } from "../../src/result.ts";
import { hash32 } from "../../src/internal/hash.ts";
import type {
  ChangedOptions,
  EventStore,
  EventStoreOptions,
  ReadAllOptions,
  ReadOptions,
  StoredEvent,
} from "../../src/ports/event_store.ts";
import { checkChanged, checkFind, checkRead, checkReadAll } from "../../src/ports/event_store_faults.ts";
import { storeCancelled } from "../../src/ports/store_faults.ts";
import { decodeEvents } from "./events_format.ts";
import { EventHead } from "./events_head.ts";
import { StreamIndexes } from "./events_indexes.ts";
import type { EventLog } from "./events_log.ts";
import { EventNews } from "./events_news.ts";
import { readAfter, readStream } from "./events_pages.ts";

/** Reads the events of a log, and sees to it that its stream is there. */
export class EventReader implements Omit<EventStore, "append">, Disposable {
  readonly indexes: StreamIndexes;
  readonly #log: EventLog;
  readonly #head: EventHead;
  readonly #news: EventNews;
  readonly #stop: readonly (() => void)[];

  constructor(log: EventLog) {
    const { link, stream, place } = log;
    this.#log = log;
    this.indexes = new StreamIndexes(log);
    this.#head = new EventHead(log);
    this.#news = new EventNews(link, place.news);
    this.#stop = [
      stream.onLoss(() => {
        this.indexes.clear();
        this.#head.clear();
      }),
      link.onReconnect(() => {
        stream.doubt();
        link.runtime.background(this.begin());
      }),
      () => this.#news.close(),
    ];
  }

  /** Sees that the stream is there. What cannot be done now is done when something is asked for. */
  async begin(): Promise<void> {
    const { link, stream } = this.#log;
    try {
      await stream.ready();
    } catch (thrown) {
      const { code, message } = faultOf(thrown);
      const why = `Events cannot be kept just now: ${message}`;
      const fields = { stream: stream.name, code };
      link.runtime.log({ level: "warn", event: "nats.events_unreachable", message: why, fields });
    }
  }

  async read(stream: string, options: ReadOptions = {}): Promise<readonly StoredEvent[]> {
    const { limit = 1000, backward = false, signal } = options;
    refuseAborted(signal);
    checkRead(stream, options.from, limit);
    const subject = await this.#log.subjectOf(stream);
    const index = await this.indexes.fresh(subject, signal);
    const from = options.from ?? (backward ? index.version : 1);
    return await readStream(this.#log, subject, index, { from, limit, backward, signal });
  }

  async find(
    stream: string,
    id: string,
    { signal }: EventStoreOptions = {},
  ): Promise<StoredEvent | undefined> {
    refuseAborted(signal);
    checkFind(stream, id);
    const index = await this.indexes.fresh(await this.#log.subjectOf(stream), signal);
    for (const version of index.candidates(hash32(id))) {
      const message = await this.#log.at(index.seqOf(index.messageOf(version)), signal);
      const found = message?.head && decodeEvents(message).find((event) => event.id === id);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async readAll({ after = 0, limit = 1000, signal }: ReadAllOptions = {}): Promise<readonly StoredEvent[]> {
    refuseAborted(signal);
    checkReadAll(after, limit);
    return await readAfter(this.#log, after, limit, signal);
  }

  async head({ signal }: EventStoreOptions = {}): Promise<number> {
    refuseAborted(signal);
    return await this.#head.position(signal);
  }

  async changed(after: number, { wait, signal }: ChangedOptions): Promise<void> {
    refuseAborted(signal);
    checkChanged(after, wait);
    await this.#news.wait(after, wait, signal, (signal) => this.#head.position(signal));
  }

  [Symbol.dispose](): void {
    for (const stop of this.#stop) stop();
  }
}

/** Throws `CANCELLED` where nobody waits any longer. */
export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw storeCancelled("ask the event store");
}
