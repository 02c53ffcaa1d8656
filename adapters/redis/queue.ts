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
  noGroup,
  queueFull,
} from "../../src/ports/queue_faults.ts";
import type { Commander } from "./commander.ts";
import { QueueAcks } from "./queue_acks.ts";
import { type DeliveryGroup, pushedItem, readTaken } from "./queue_delivery.ts";
import { type Look, QueueDesk } from "./queue_desk.ts";
import { QueueDesks } from "./queue_desks.ts";
import { type QueueChanges, QueueNews } from "./queue_news.ts";
import type { PollOptions } from "./queue_pace.ts";
import { BACKLOG, CHANGES, PUSH, PUSH_ONE, SUBSCRIBE, UNSUBSCRIBE } from "./queue_scripts_groups.ts";
import { TAKE } from "./queue_scripts_take.ts";
import { checkedName, tagOf } from "./queue_tag.ts";
import type { Script } from "./scripts.ts";
import type { Reply } from "./wire.ts";

/** What {@linkcode redisQueue} takes. */
export interface RedisQueueOptions {
  /** What keys begin with: whoever gives the same name shares the queue. @default "catga" */
  readonly name?: string;
  /** How long the name of an item is remembered, in ms. @default 86400000 (a day) */
  readonly window?: number;
  /** How many names a topic remembers at most; beyond that the oldest are forgotten. @default 100000 */
  readonly names?: number;
  /** How many items a topic takes, counted once for each group that has them; more are `OVERLOADED`. @default 1000000 */
  readonly items?: number;
  /** How often it is asked for what others did while somebody waits, for all groups together. @default 20 a minute */
  readonly poll?: PollOptions;
}

/** A group as it is known here. */
interface Seat {
  readonly topic: string;
  readonly group: string;
  readonly keys: readonly [tag: string];
  /** Its present life, as far as is known. */
  life: DeliveryGroup | undefined;
}

/** How many groups a topic may have, and how many may wait at a time. */
const GROUPS = 1000;
const WAITS = 10_000;
/** How many items are taken at once. */
const TAKE_MOST = 1000;

/**
 * A queue in Redis. Each operation is one script and happens at one instant by Redis' clock; all topics are in one place
 * of a Redis Cluster. A push is one request, so it can't be larger than what the server takes at once.
 *
 * Whoever waits polls: what is pushed, given back or acknowledged through this object is heard at once. What others do is
 * heard `60000 / poll.perMinute` ms later at most, and two round trips, by one command for all groups: how many of them
 * wait here does not matter. So a wait may end with none though another has just pushed. What is due later is asked for
 * then.
 */
export function redisQueue(commander: Commander, options: RedisQueueOptions = {}): Queue {
  return new RedisQueue(commander, options);
}

class RedisQueue implements Queue {
  readonly ordered = true;
  readonly window: number;
  readonly #commander: Commander;
  readonly #tag: string;
  readonly #names: number;
  readonly #items: number;
  readonly #acks: QueueAcks = new QueueAcks();
  readonly #desks: QueueDesks = new QueueDesks((topic, group) => this.#desk(topic, group));
  readonly #news: QueueNews;
  #waiting = 0;

  constructor(commander: Commander, options: RedisQueueOptions) {
    const { name = "catga", window = 86_400_000, names = 100_000, items = 1_000_000, poll = {} } = options;
    for (const [what, value] of Object.entries({ window, names, items })) {
      if (value >= 1 && value < Infinity) continue;
      throw new RangeError(`Cannot make a queue: ${what} is ${value}, but must be 1 or more`);
    }
    this.#commander = commander;
    this.#tag = tagOf(checkedName(name), "q");
    this.window = window;
    this.#names = names;
    this.#items = items;
    this.#news = new QueueNews({
      clock: commander.runtime.clock,
      poll,
      busy: () => this.#waiting > 0,
      ask: (known) => this.#changes(known),
      changed: (topic) => {
        if (topic !== undefined) this.#desks.expect(topic, 0);
        else for (const desk of this.#desks.all()) desk.expect(0);
      },
      failed: (thrown) => {
        for (const desk of this.#desks.all()) desk.fail(thrown);
      },
    });
  }

  async push(topic: string, items: readonly QueueItem[], { signal }: QueueOptions = {}): Promise<void> {
    checkPush(topic, items);
    if (items.length === 0) return;
    const args = [this.window, this.#names, this.#items, ...items.flatMap(pushedItem)];
    if (await this.#run(items.length === 1 ? PUSH_ONE : PUSH, topic, args, signal) === "full") {
      throw queueFull(`push to "${topic}"`, `it has ${this.#items} items, as many as it takes`);
    }
    this.#desks.expect(topic, 0);
  }

  async subscribe(topic: string, group: string, { idle, signal }: SubscribeOptions = {}): Promise<void> {
    checkGroup(topic, group);
    checkIdle(group, idle);
    if (await this.#run(SUBSCRIBE, topic, [group, idle ?? "", GROUPS], signal) === "full") {
      throw queueFull(`subscribe "${group}" to "${topic}"`, `it has ${GROUPS} groups, as many as it takes`);
    }
    this.#desks.expect(topic, 0, group);
  }

  async unsubscribe(topic: string, group: string, { signal }: QueueOptions = {}): Promise<void> {
    checkGroup(topic, group);
    while (await this.#run(UNSUBSCRIBE, topic, [group], signal) === 1);
    this.#desks.expect(topic, 0, group);
  }

  async pull(topic: string, group: string, options: PullOptions): Promise<readonly Delivery[]> {
    checkPull(topic, group, options);
    const desk = this.#desks.get(topic, group);
    if ((options.wait ?? 0) === 0) return await desk.now(options);
    if (this.#waiting >= WAITS) {
      throw queueFull(`wait for "${group}" of "${topic}"`, `${WAITS} wait already, as many as may`);
    }
    return await desk.wait(options);
  }

  async backlog(topic: string, group: string, { signal }: QueueOptions = {}): Promise<QueueBacklog> {
    checkGroup(topic, group);
    const found = await this.#run(BACKLOG, topic, [group], signal);
    if (found === null) throw noGroup(topic, group);
    const [items, leased, age] = (found as readonly Reply[]).map(Number) as [number, number, number];
    return { items, leased, age: Math.ceil(age / 1000) };
  }

  async #take(seat: Seat, max: number, lease: number, wait: number): Promise<Look> {
    const args = [seat.group, Math.min(max, TAKE_MOST), lease, Math.max(wait, 0)];
    if (seat.life !== undefined) args.push(seat.life.number);
    const found = await this.#commander.run(TAKE, seat.keys, args);
    if (found === null) throw noGroup(seat.topic, seat.group);
    if ((found as readonly Reply[])[0] !== "") {
      const taken = readTaken(found as readonly string[], (number) => this.#lifeOf(seat, number));
      return { taken, next: undefined, more: false, idle: undefined };
    }
    const [, next, more, idle, number] = found as readonly Reply[];
    this.#lifeOf(seat, String(number));
    return { taken: [], next: timeOf(next), more: more === 1, idle: timeOf(idle) };
  }

  async #changes(known: string): Promise<QueueChanges> {
    const [last, tags] = await this.#commander.run(CHANGES, [this.#tag], [known]) as [
      string,
      readonly string[],
    ];
    const topics = tags.map((tag) => decodeURIComponent(tag.slice(this.#tag.length + 1)));
    return { last, topics: topics.includes("") ? undefined : topics };
  }

  #lifeOf(seat: Seat, number: string): DeliveryGroup {
    if (seat.life?.number === number) return seat.life;
    return seat.life = {
      number,
      acks: this.#acks,
      run: (script, args) => this.#commander.run(script, seat.keys, args),
      expect: (ms) => this.#desks.expect(seat.topic, ms, seat.group),
    };
  }

  #desk(topic: string, group: string): QueueDesk {
    const seat: Seat = { topic, group, keys: [this.#topic(topic)], life: undefined };
    return new QueueDesk({
      clock: this.#commander.runtime.clock,
      what: `pull "${group}" of "${topic}"`,
      take: (max, lease, wait) => this.#take(seat, max, lease, wait),
      waits: (more) => {
        this.#waiting += more;
        if (this.#waiting === 0) this.#news.plan();
      },
      rests: () => this.#news.plan(),
      found: () => this.#news.hurry(),
    });
  }

  #run(
    script: Script,
    topic: string,
    args: readonly (string | number)[],
    signal?: AbortSignal,
  ): Promise<Reply> {
    return this.#commander.run(script, [this.#topic(topic)], args, { signal });
  }

  #topic(topic: string): string {
    return `${this.#tag}:${encodeURIComponent(topic)}`;
  }
}

function timeOf(ms: Reply | undefined): number | undefined {
  const time = Number(ms);
  return time < 0 ? undefined : time;
}
