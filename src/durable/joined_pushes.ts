import { failure, systemFault } from "../result.ts";
import { createTurn } from "../internal/turn.ts";
import type { QueueItem } from "../ports/queue.ts";
import type { PushLimits } from "./push.ts";
import { PushBatch, type PushHost } from "./push_batch.ts";
import { type PushCount, type Pushed, waitFor, type Waiting } from "./push_waiting.ts";

/** What bounds putting one of many items into a queue. */
export interface JoinedLimits extends PushLimits {
  /** How long it may take, in ms. */
  readonly timeout: number;
}

/** How many items, and how many characters or bytes of them, are put in by one push, if it is not one item alone. */
const ITEMS = 256;
const SIZE = 262_144;
/** How many may wait at a time. */
const WAITING = 65_536;

/** Items of one topic that came in one turn of the event loop. */
interface Gathered {
  waiting: Waiting[];
  size: number;
}

/** `push` for many: the items that come for one topic in one turn are put in together, in the order in which they came. */
export class JoinedPushes {
  readonly #host: PushHost;
  #topics: Map<string, Gathered> = new Map();
  readonly #schedule: () => void;
  readonly #count: PushCount = { waiting: 0 };
  #came = 0;
  /** When the turn began. */
  #now = 0;

  constructor(host: PushHost) {
    this.#host = host;
    this.#schedule = createTurn(() => this.#came, () => this.#startAll());
  }

  /** As `push`; `OVERLOADED` where too many wait already. */
  push(topic: string, item: QueueItem, { timeout, deadline, signals }: JoinedLimits): Promise<Pushed> {
    if (this.#count.waiting >= WAITING) {
      const why = `${WAITING} wait already to be stored, as many as may`;
      return Promise.resolve(failure(systemFault("OVERLOADED", `Cannot store "${item.id}": ${why}`)));
    }
    if (this.#came++ === 0) this.#now = this.#host.runtime.clock.mono();
    const until = Math.min(deadline, this.#now + timeout);
    this.#schedule();
    return new Promise((resolve) => {
      this.#add(topic, waitFor(topic, item, until, signals, resolve, this.#count));
    });
  }

  #add(topic: string, waiting: Waiting): void {
    let gathered = this.#topics.get(topic);
    if (gathered === undefined) this.#topics.set(topic, gathered = { waiting: [], size: 0 });
    const { length } = waiting.item.payload;
    if (gathered.waiting.length >= ITEMS || gathered.size + length > SIZE) {
      this.#start(topic, gathered.waiting);
      gathered.waiting = [];
      gathered.size = 0;
    }
    gathered.waiting.push(waiting);
    gathered.size += length;
  }

  #startAll(): void {
    this.#came = 0;
    const topics = this.#topics;
    // Not cleared but left: V8 keeps what a map had until it was cleared for as long as old garbage leads there.
    this.#topics = new Map();
    for (const [topic, { waiting }] of topics) this.#start(topic, waiting);
  }

  #start(topic: string, gathered: readonly Waiting[]): void {
    const waiting = gathered.some(isOver) ? gathered.filter((each) => !isOver(each)) : gathered;
    if (waiting.length > 0) new PushBatch(this.#host, topic, waiting).start();
  }
}

function isOver(waiting: Waiting): boolean {
  return waiting.isOver;
}
