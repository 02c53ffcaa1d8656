import type { Subscription } from "@nats-io/nats-core";
import type {
  Delivery,
  PullOptions,
  Queue,
  QueueBacklog,
  QueueItem,
  QueueOptions,
  SubscribeOptions,
} from "../../src/ports/queue.ts";
import {
  checkGroup,
  checkIdle,
  checkPull,
  checkPush,
  queueCancelled,
  queueFull,
} from "../../src/ports/queue_faults.ts";
import type { Frame } from "../../src/ports/transport.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import { Acks } from "./acks.ts";
import type { Link } from "./link.ts";
import { encodeBody } from "./queue_body.ts";
import { Desk } from "./queue_desk.ts";
import type { NatsQueueOptions } from "./queue_options.ts";
import { GroupRecords } from "./queue_owners.ts";
import { Pushes } from "./queue_push.ts";
import { Seat } from "./queue_seat.ts";
import type { QueueShared } from "./queue_shared.ts";
import { itemsStream, ownersStream } from "./queue_streams.ts";
import { TopicTokens } from "./queue_tokens.ts";
import { Trim } from "./queue_trim.ts";
import { randomToken } from "./random_token.ts";
import { readJson } from "./streams_api.ts";

/** How many groups a process may take part in. */
const SEATS = 10_000;

/** A queue on JetStream. Disposing it gives back what it has and leaves its groups to others. */
export async function natsQueue(
  link: Link,
  options: NatsQueueOptions = {},
): Promise<Queue & AsyncDisposable> {
  const queue = new NatsQueue(link, options);
  await queue.open();
  return queue;
}

class NatsQueue implements Queue, AsyncDisposable {
  readonly ordered = true;
  readonly window: number;
  readonly #link: Link;
  readonly #shared: QueueShared;
  readonly #pushes: Pushes;
  readonly #trim: Trim;
  /** By the digests that all know, and by the names of topics and groups. */
  readonly #seats: Map<string, Seat> = new Map();
  readonly #names: Map<string, Seat> = new Map();
  readonly #tokens: TopicTokens;
  readonly #subscriptions: Subscription[] = [];
  readonly #stopReconnect: () => void;
  #again: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(link: Link, options: NatsQueueOptions) {
    const { items = 1_000_000, bytes = 2 ** 30, window = 120_000 } = options;
    const { ackWait = 5000, heldItems = 10_000, heldBytes = 64 * 2 ** 20 } = options;
    for (const [name, limit] of Object.entries({ items, bytes, window, ackWait, heldItems, heldBytes })) {
      if (!(limit >= 1 && limit < Infinity)) {
        throw new RangeError(`Cannot make a queue: ${name} is ${limit}, but must be 1 or more`);
      }
    }
    this.window = window;
    this.#link = link;
    this.#tokens = new TopicTokens(link.runtime.crypto);
    const log: QueueShared["log"] = (level, event, message, fields) =>
      link.runtime.log({
        level,
        event: `nats.${event}`,
        message,
        ...(fields === undefined ? {} : { fields }),
      });
    const lost = (name: string): void => {
      log("error", "queue_lost", `The stream "${name}" of the queue is gone with all it kept`, {
        stream: name,
      });
      this.#subscribeAgain();
    };
    const stream = itemsStream(link, { items, bytes, window }, lost);
    const owners = ownersStream(link, () => this.#subscribeAgain());
    this.#shared = {
      link,
      acks: new Acks(link),
      records: new GroupRecords(link, owners),
      items: stream,
      self: randomToken(link.runtime.random),
      ackWait,
      heldItems,
      heldBytes,
      log,
    };
    this.#trim = new Trim(link, stream, owners);
    this.#pushes = new Pushes(link, stream, items, this.#trim);
    this.#stopReconnect = link.onReconnect(() => {
      for (const { finder } of this.#seats.values()) finder.reign?.resume();
    });
  }

  async open(): Promise<void> {
    if (this.#link.jetstream === undefined) {
      throw new CatgaError(
        systemFault("VALIDATION", "Cannot make a queue: the NATS server has no JetStream"),
      );
    }
    const { self, items, records } = this.#shared;
    const desk = new Desk(this.#shared, (digest) => this.#seats.get(digest));
    const listen = (subject: string, take: (data: Parameters<Desk["take"]>[0]) => void): void => {
      this.#subscriptions.push(
        this.#link.connection.subscribe(`catga.${this.#link.name}.${subject}`, {
          callback: (error, message) => {
            if (error === null) take(message);
          },
        }),
      );
    };
    listen(`qm.${self}`, (message) => void desk.take(message));
    listen("qn", ({ data }) => {
      const notice = readJson(data) as { group?: unknown; owner?: unknown } | null | undefined;
      this.#seats.get(String(notice?.group))?.finder.noticed(String(notice?.owner));
    });
    await Promise.all([items.open(), records.epoch()]);
  }

  push(topic: string, items: readonly QueueItem[], { signal }: QueueOptions = {}): Promise<void> {
    try {
      checkPush(topic, items);
      if (signal?.aborted) throw queueCancelled(`push to "${topic}"`);
      if (items.length === 0) return Promise.resolve();
      if (this.#closing !== undefined) throw closed();
      const [stream, token] = [this.#shared.items.name, this.#tokens.known(topic)];
      const bodies = items.map(encodeBody);
      if (stream === undefined || token === undefined || this.#again !== undefined) {
        return this.#pushLater(topic, items, bodies, signal);
      }
      return this.#pushes.push(stream, { topic, token, items, bodies, signal });
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  async subscribe(topic: string, group: string, { idle, signal }: SubscribeOptions = {}): Promise<void> {
    checkGroup(topic, group);
    checkIdle(group, idle);
    await this.#at(topic, group, signal, (seat) => seat.subscribe(idle, signal));
  }

  async unsubscribe(topic: string, group: string, { signal }: QueueOptions = {}): Promise<void> {
    checkGroup(topic, group);
    await this.#at(topic, group, signal, (seat) => seat.unsubscribe(signal));
  }

  async pull(topic: string, group: string, options: PullOptions): Promise<readonly Delivery[]> {
    checkPull(topic, group, options);
    this.#trim.later();
    return await this.#at(topic, group, options.signal, (seat) => seat.pull(options));
  }

  async backlog(topic: string, group: string, { signal }: QueueOptions = {}): Promise<QueueBacklog> {
    checkGroup(topic, group);
    return await this.#at(topic, group, signal, (seat) => seat.backlog(signal));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#stopReconnect();
    this.#trim.close();
    const reigns = [...this.#seats.values()].map(({ finder }) => finder.reign?.release());
    await Promise.allSettled(reigns);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  /** Where another stream stands for one that was lost, the groups begin again before anything is for them. */
  async #pushLater(
    topic: string,
    items: readonly QueueItem[],
    bodies: readonly Frame[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const token = await this.#tokens.find(topic);
    await this.#shared.items.open();
    while (this.#again !== undefined) await this.#again;
    const stream = await this.#shared.items.open();
    if (signal?.aborted) throw queueCancelled(`push to "${topic}"`);
    await this.#pushes.push(stream, { topic, token, items, bodies, signal });
  }

  /** Does something at the seat of a group; forgets the seat once nobody needs it. */
  async #at<T>(
    topic: string,
    group: string,
    signal: AbortSignal | undefined,
    work: (seat: Seat) => Promise<T>,
  ): Promise<T> {
    if (signal?.aborted) throw queueCancelled(`ask for "${group}" of "${topic}"`);
    if (this.#closing !== undefined) throw closed();
    const name = `${topic.length} ${topic}${group}`;
    let seat = this.#names.get(name);
    if (seat === undefined) {
      const subject = `catga.${this.#link.name}.q.${await this.#tokens.find(topic)}`;
      const digest = await this.#link.runtime.crypto.hash(JSON.stringify([topic, group]));
      seat = this.#seats.get(digest) ?? new Seat(this.#shared, { topic, group, digest, subject });
      if (this.#seats.size >= SEATS) { for (const [other, each] of this.#names) this.#tidy(other, each); }
      if (this.#seats.size >= SEATS) {
        throw queueFull(`take part in "${group}"`, `${SEATS} groups are as many as may`);
      }
      this.#seats.set(digest, seat);
      this.#names.set(name, seat);
    }
    seat.users++;
    try {
      return await work(seat);
    } finally {
      seat.users--;
      if (!seat.finder.isFound) this.#tidy(name, seat);
    }
  }

  #tidy(name: string, seat: Seat): void {
    if (seat.isUsed) return;
    this.#seats.delete(seat.finder.digest);
    this.#names.delete(name);
  }

  /** Begins the groups of this process again that were lost; what is pushed meanwhile waits for them. */
  #subscribeAgain(): void {
    const again = [...this.#seats.values()].map(({ finder }) => finder.findAgain());
    const all = Promise.allSettled(again).then(() => {
      if (this.#again === all) this.#again = undefined;
    });
    this.#again = all;
  }
}

function closed(): CatgaError {
  return new CatgaError(systemFault("UNAVAILABLE", "The queue is closed"));
}
