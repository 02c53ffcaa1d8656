import { Fifo } from "./fifo.ts";
import { type KeptItem, type QueueEntry, QueueGroup } from "./queue_group.ts";

/** What is pushed. */
interface NewItem {
  readonly id: string;
  readonly key?: string | undefined;
  readonly payload: string | Uint8Array;
  readonly delay?: number | undefined;
}

/** How much a table takes. */
export interface QueueLimits {
  /** How many items, counted once for each group that has them. */
  readonly items: number;
  /** Two for each character of an item. */
  readonly bytes: number;
  readonly groups: number;
  /** How many names are remembered. */
  readonly names: number;
  /** How long a name is remembered, in ms. */
  readonly window: number;
}

interface Topic {
  readonly name: string;
  readonly groups: Map<string, QueueGroup>;
  readonly names: Set<string>;
}

interface Named {
  readonly topic: Topic;
  readonly id: string;
  readonly until: number;
}

/** Topics, their groups and what is kept for them. Times are ms of its owner's clock, which never goes back. */
export class QueueTable {
  readonly #limits: QueueLimits;
  readonly #topics: Map<string, Topic> = new Map();
  /** The names that are remembered, oldest first. */
  readonly #names: Fifo<Named> = new Fifo();
  #items = 0;
  #bytes = 0;
  #groups = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** Keeps items for all groups of a topic; answers the groups, or that there is no room. */
  push(
    now: number,
    wall: number,
    topicName: string,
    items: readonly NewItem[],
  ): Iterable<QueueGroup> | "full" {
    const topic = this.#topics.get(topicName);
    if (topic === undefined) return [];
    this.#forget(now);
    for (const [name, group] of topic.groups) if (group.isIdle(now)) this.end(topic.name, name);
    const { groups, names } = topic;
    if (groups.size === 0) return [];
    const kept: KeptItem[] = [];
    let bytes = 0;
    for (const item of items) {
      if (names.has(item.id)) continue;
      names.add(item.id);
      const fresh = keptItem(item, now, wall, groups.size);
      kept.push(fresh);
      bytes += fresh.size;
    }
    const entries = kept.length * groups.size;
    if (!this.#fits(entries, bytes)) {
      this.#endIdle(now);
      if (!this.#fits(entries, bytes)) {
        for (const { id } of kept) names.delete(id);
        return "full";
      }
    }
    this.#items += entries;
    this.#bytes += bytes;
    const until = now + this.#limits.window;
    for (const item of kept) {
      this.#names.push({ topic, id: item.id, until });
      for (const group of groups.values()) group.add(item, now);
    }
    while (this.#names.size > this.#limits.names) this.#forgetOldest();
    return groups.values();
  }

  /** Whether the group is there now. */
  subscribe(now: number, topicName: string, name: string, idle: number | undefined): boolean {
    let group = this.group(now, topicName, name);
    if (group === undefined) {
      if (this.#groups >= this.#limits.groups) this.#endIdle(now);
      if (this.#groups >= this.#limits.groups) return false;
      const topic = this.#topics.get(topicName) ??
        { name: topicName, groups: new Map(), names: new Set() };
      this.#topics.set(topicName, topic);
      topic.groups.set(name, group = new QueueGroup());
      this.#groups++;
    }
    group.subscribed(now, idle);
    return true;
  }

  /** A group, if it is there. */
  group(now: number, topic: string, name: string): QueueGroup | undefined {
    const group = this.#topics.get(topic)?.groups.get(name);
    if (group === undefined || !group.isIdle(now)) return group;
    this.end(topic, name);
    return undefined;
  }

  /** Ends a group, if it is there. */
  end(topicName: string, name: string): QueueGroup | undefined {
    const topic = this.#topics.get(topicName);
    const group = topic?.groups.get(name);
    if (topic === undefined || group === undefined) return undefined;
    topic.groups.delete(name);
    this.#groups--;
    this.#clean(topic);
    for (const entry of group.entries()) {
      entry.state = "done";
      this.#drop(entry.item);
    }
    return group;
  }

  /** An entry is done with, for its group; it must be held. */
  finish(group: QueueGroup, entry: QueueEntry, now: number): void {
    group.finish(entry, now);
    this.#drop(entry.item);
  }

  /** All that is kept, for people to look at. */
  *entries(): Iterable<readonly [topic: string, group: string, entry: QueueEntry]> {
    for (const { name, groups } of this.#topics.values()) {
      for (const [group, kept] of groups) for (const entry of kept.entries()) yield [name, group, entry];
    }
  }

  #fits(items: number, bytes: number): boolean {
    return this.#items + items <= this.#limits.items && this.#bytes + bytes <= this.#limits.bytes;
  }

  #endIdle(now: number): void {
    for (const { name, groups } of [...this.#topics.values()]) {
      for (const [group, kept] of groups) if (kept.isIdle(now)) this.end(name, group);
    }
  }

  #drop(item: KeptItem): void {
    this.#items--;
    if (--item.holders > 0) return;
    this.#bytes -= item.size;
    item.payload = "";
  }

  #forget(now: number): void {
    for (
      let named = this.#names.peek();
      named !== undefined && named.until <= now;
      named = this.#names.peek()
    ) {
      this.#forgetOldest();
    }
  }

  #forgetOldest(): void {
    const { topic, id } = this.#names.shift()!;
    topic.names.delete(id);
    this.#clean(topic);
  }

  #clean({ name, groups, names }: Topic): void {
    if (groups.size === 0 && names.size === 0) this.#topics.delete(name);
  }
}

function keptItem(
  { id, key, payload, delay = 0 }: NewItem,
  now: number,
  wall: number,
  holders: number,
): KeptItem {
  const size = 2 * (id.length + (key?.length ?? 0)) +
    (typeof payload === "string" ? 2 * payload.length : payload.length);
  const own = typeof payload === "string" ? payload : new Uint8Array(payload);
  return { id, key, payload: own, pushed: wall, since: now, due: now + delay, size, holders };
}
