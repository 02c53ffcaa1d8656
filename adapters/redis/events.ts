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
  versionConflict,
} from "../../src/ports/event_store_faults.ts";
import type { Commander } from "./commander.ts";
import { EventNews } from "./events_news.ts";
import { APPEND, FIND, HEAD, READ, READ_ALL } from "./events_scripts.ts";
import type { PollOptions } from "./queue_pace.ts";
import { checkedName, tagOf } from "./queue_tag.ts";
import type { Reply } from "./wire.ts";

/** What {@linkcode redisEvents} takes. */
export interface RedisEventsOptions {
  /** What keys begin with: whoever gives the same name shares the events. @default "catga" */
  readonly name?: string;
  /** How often it is asked for news of others while somebody waits, 6 times a minute when idle if left out. */
  readonly poll?: PollOptions;
}

/**
 * An event store in Redis. Each operation is one script and happens at one instant. All events of a name are in one
 * place of a Redis Cluster. What others appended is heard by polling, so `changed` may hear of it late: when nothing
 * happens for long, by as much as the poll's budget allows. Nothing bounds their number but Redis' memory, with
 * `OVERLOADED` when that is full. An append is one request, so it can't be larger than what the server takes at once.
 */
export function redisEvents(commander: Commander, options: RedisEventsOptions = {}): EventStore {
  return new RedisEventStore(commander, options);
}

class RedisEventStore implements EventStore {
  readonly #commander: Commander;
  readonly #tag: string;
  readonly #news: EventNews;

  constructor(commander: Commander, { name = "catga", poll = {} }: RedisEventsOptions) {
    this.#commander = commander;
    this.#tag = tagOf(checkedName(name), "e");
    this.#news = new EventNews(
      commander.runtime.clock,
      { ...poll, perMinute: poll.perMinute ?? 6 },
      () => this.#head(),
    );
  }

  async append(
    stream: string,
    events: readonly NewEvent[],
    { expected = "any", signal }: AppendOptions = {},
  ): Promise<Appended> {
    checkAppend(stream, events, expected);
    const given = events.flatMap(({ id, type, data, meta }) => [
      id,
      type,
      data,
      meta === undefined ? "" : `m${meta}`,
    ]);
    const args = [stream, expected, events.length, ...given];
    const [came, version, position] = await this.#run(APPEND, args, signal) as readonly Reply[];
    if (came === "conflict") throw versionConflict(`append to "${stream}"`, expected, Number(version));
    this.#news.seen(Number(position));
    return { version: Number(version), position: Number(position) };
  }

  async read(stream: string, options: ReadOptions = {}): Promise<readonly StoredEvent[]> {
    const { from, limit = 1000, backward = false, signal } = options;
    checkRead(stream, from, limit);
    const first = from ?? (backward ? Number.MAX_SAFE_INTEGER : 1);
    const found = await this.#run(READ, [stream, first, limit, backward ? 1 : 0], signal);
    return (found as readonly Row[]).map(eventOf);
  }

  async find(
    stream: string,
    id: string,
    { signal }: EventStoreOptions = {},
  ): Promise<StoredEvent | undefined> {
    checkFind(stream, id);
    const found = await this.#run(FIND, [stream, id], signal);
    return found === null ? undefined : eventOf(found as Row);
  }

  async readAll({ after = 0, limit = 1000, signal }: ReadAllOptions = {}): Promise<readonly StoredEvent[]> {
    checkReadAll(after, limit);
    const events = (await this.#run(READ_ALL, [after, limit], signal) as readonly Row[]).map(eventOf);
    const last = events.at(-1);
    if (last !== undefined) this.#news.seen(last.position);
    return events;
  }

  head({ signal }: EventStoreOptions = {}): Promise<number> {
    return this.#head(signal);
  }

  async changed(after: number, { wait, signal }: ChangedOptions): Promise<void> {
    checkChanged(after, wait);
    await this.#news.wait(after, wait, signal);
  }

  async #head(signal?: AbortSignal): Promise<number> {
    const head = Number(await this.#run(HEAD, [], signal));
    this.#news.seen(head);
    return head;
  }

  #run(
    script: typeof APPEND,
    args: readonly (string | number)[],
    signal: AbortSignal | undefined,
  ): Promise<Reply> {
    return this.#commander.run(script, [this.#tag], args, { signal });
  }
}

/** An event as a script answers it. */
type Row = readonly [
  position: string,
  stream: string,
  version: string,
  id: string,
  type: string,
  data: string,
  meta: string,
  at: string,
];

function eventOf([position, stream, version, id, type, data, meta, at]: Row): StoredEvent {
  const event = { stream, version: Number(version), position: Number(position), id, type, at: Number(at) };
  return meta === "" ? { ...event, data } : { ...event, data, meta: meta.slice(1) };
}
