import type { Delivery, PullOptions, Queue, QueueItem, SubscribeOptions } from "../ports/queue.ts";
import type { QueueUnderTest } from "./queue_conformance.ts";

/** How often a check looks for what comes later, and how much of a lease it waits each time. */
const LOOKS = 100;
const PAUSE = 0.02;
/** A lease that no check outlasts, in leases. */
const LONG = 50;

/** A pull on its way. */
export interface Asked {
  /** What came; `undefined` until something has. */
  taken: readonly Delivery[] | undefined;
  /** The code of its failure. */
  code: string | undefined;
  /** Gives up waiting. */
  cancel(): void;
}

/** What one check works with. Times are parts of a lease, where nothing else is said. */
export class QueueTrial {
  readonly queue: Queue;
  readonly other: Queue;
  /** In ms. */
  readonly lease: number;
  readonly #subject: QueueUnderTest;
  readonly #prefix: string;
  readonly #groups: Map<string, readonly [topic: string, group: string]> = new Map();
  readonly #asked: Asked[] = [];

  constructor(subject: QueueUnderTest, prefix: string, lease: number) {
    this.queue = subject.queue;
    this.other = subject.other ?? subject.queue;
    this.lease = lease;
    this.#subject = subject;
    this.#prefix = prefix;
  }

  topic(name: string): string {
    return this.#prefix + name;
  }

  /** Lets a part of a lease pass. */
  pass(part: number): Promise<void> {
    return this.#subject.pass(part * this.lease);
  }

  passMs(ms: number): Promise<void> {
    return this.#subject.pass(ms);
  }

  async subscribe(topic: string, group: string, options: SubscribeOptions = {}): Promise<void> {
    this.#groups.set(`${topic} ${group}`, [this.topic(topic), group]);
    await this.queue.subscribe(this.topic(topic), group, options);
  }

  /** Pushes items that carry their own ids. */
  push(topic: string, ids: readonly string[], item: Partial<QueueItem> = {}): Promise<void> {
    return this.queue.push(this.topic(topic), ids.map((id) => ({ id, payload: id, ...item })));
  }

  /** Takes what there is, in one pull. */
  pull(
    topic: string,
    group: string,
    options: Partial<PullOptions> = {},
    queue: Queue = this.queue,
  ): Promise<readonly Delivery[]> {
    const { max = 100, lease = LONG } = options;
    return queue.pull(this.topic(topic), group, { ...options, max, lease: lease * this.lease });
  }

  /** Takes all there is, in as many pulls as it needs. */
  async takeAll(topic: string, group: string, options: Partial<PullOptions> = {}): Promise<Delivery[]> {
    const all: Delivery[] = [];
    for (let side = 0;; side++) {
      const taken = await this.pull(topic, group, options, side % 2 === 0 ? this.other : this.queue);
      if (taken.length === 0) return all;
      all.push(...taken);
    }
  }

  /** The ids of all there is to take. */
  async idsOf(topic: string, group: string): Promise<string[]> {
    return (await this.takeAll(topic, group)).map(({ id }) => id);
  }

  /** The one item that there is to take. */
  async takeOne(topic: string, group: string, options: Partial<PullOptions> = {}): Promise<Delivery> {
    const [delivery, ...more] = await this.takeAll(topic, group, options);
    if (delivery !== undefined && more.length === 0) return delivery;
    throw new Error(`Wanted one item, found ${delivery === undefined ? "none" : more.length + 1}`);
  }

  /** Asks and waits for so many leases, while the check goes on. */
  ask(topic: string, group: string, wait: number, options: Partial<PullOptions> = {}): Asked {
    const controller = new AbortController();
    const asked: Asked = { taken: undefined, code: undefined, cancel: () => controller.abort() };
    const { signal } = controller;
    this.#asked.push(asked);
    this.pull(topic, group, { wait: wait * this.lease, signal, ...options }, this.other).then(
      (taken) => asked.taken = taken,
      (error: { readonly code?: string }) => asked.code = error?.code ?? String(error),
    );
    return asked;
  }

  /** Waits until something is so. */
  async eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    for (let looks = 0; looks < LOOKS; looks++) {
      if (await holds()) return;
      await this.pass(PAUSE);
    }
    throw new Error(`Expected, but did not happen: ${what}`);
  }

  /** Leaves nothing behind. */
  async close(): Promise<void> {
    for (const asked of this.#asked) asked.cancel();
    const ending = [...this.#groups.values()].map(([topic, group]) => this.queue.unsubscribe(topic, group));
    await Promise.allSettled(ending);
  }
}
