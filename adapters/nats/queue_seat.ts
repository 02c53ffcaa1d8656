import type { Delivery, PullOptions, QueueBacklog } from "../../src/ports/queue.ts";
import { queueCancelled } from "../../src/ports/queue_faults.ts";
import { createTurn } from "../../src/internal/turn.ts";
import { CatgaError } from "../../src/result.ts";
import { NatsDelivery } from "./queue_delivery.ts";
import { HeldItem } from "./queue_held.ts";
import { OwnerFinder } from "./queue_finder.ts";
import { type Answered, OwnerLine, settleAll } from "./queue_line.ts";
import { type GroupNames, Moved, type QueueShared } from "./queue_shared.ts";
import type { Reign } from "./queue_reign.ts";
import { over, type Settlement } from "./queue_stock.ts";
import type { Answer, HandedItem } from "./queue_wire.ts";

/** The longest that an owner is asked to wait at a time, in ms. */
const SLICE = 1000;

/** A settlement on its way to the owner. */
interface Pending {
  readonly settlement: Settlement;
  readonly born: string;
  readonly resolve: () => void;
  readonly reject: (thrown: unknown) => void;
}

/** One group as this process takes part in it: it is the owner, or asks who is. */
export class Seat {
  readonly finder: OwnerFinder;
  /** How many do something at it just now. */
  users: number = 0;
  readonly #shared: QueueShared;
  readonly #names: GroupNames;
  readonly #hands: Map<number, NatsDelivery> = new Map();
  readonly #line: OwnerLine;
  readonly #turn: () => void;
  #pending: Pending[] = [];
  #questions = 0;

  constructor(shared: QueueShared, names: GroupNames) {
    this.#shared = shared;
    this.#names = names;
    this.finder = new OwnerFinder(shared, names, () => this.#claim());
    this.#line = new OwnerLine(shared, this.finder, names.group);
    this.#turn = createTurn(() => this.#pending.length, () => this.#flush());
  }

  /** Whether there is a reason to remember this group. */
  get isUsed(): boolean {
    return this.users > 0 || this.#hands.size > 0 || this.#line.isUsed || this.finder.isUsed;
  }

  async subscribe(idle: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    this.finder.wanted = { idle };
    const local = (reign: Reign): Promise<void> => reign.subscribe(idle);
    await this.#line.run(signal, local, { verb: "subscribe", idle });
  }

  async unsubscribe(signal: AbortSignal | undefined): Promise<void> {
    this.finder.wanted = undefined;
    try {
      await this.#line.run(signal, (reign) => reign.end(), { verb: "unsubscribe" });
    } catch (thrown) {
      if (!isMissing(thrown)) throw thrown;
    }
  }

  async backlog(signal: AbortSignal | undefined): Promise<QueueBacklog> {
    const { backlog } = await this.#line.run(
      signal,
      async (reign): Promise<Answer> => ({ backlog: await reign.backlog() }),
      { verb: "backlog" },
    );
    return backlog!;
  }

  async pull(options: PullOptions): Promise<readonly Delivery[]> {
    const { clock } = this.#shared.link.runtime;
    const { max, lease, wait = 0, signal } = options;
    const until = clock.mono() + wait;
    for (;;) {
      const left = Math.max(0, until - clock.mono());
      const id = `${this.#shared.self}.${this.#questions++}`;
      const slice = Math.min(left, SLICE);
      const { items = [], since = clock.mono() } = await this.#line.run(
        signal,
        async (reign): Promise<Answered> => ({ items: await this.#own(reign, { ...options, wait: left }) }),
        { verb: "pull", max, lease, wait: slice, id },
        slice,
      );
      // An answer may be old, where this process stood still; then they are with others.
      if (items.length > 0 && clock.mono() < since + lease) {
        return this.#deliveries(items, since + lease, signal);
      }
      if (clock.mono() >= until) return [];
    }
  }

  /** Settles something at the owner: with all others of the turn, if it is another process. */
  settle(delivery: NatsDelivery, settlement: Settlement): Promise<void> {
    if (settlement.verb === "ack") {
      return this.#settle(delivery, settlement).then(() => {
        this.#hands.delete(settlement.sequence);
        delivery.done = true;
      });
    }
    const { clock } = this.#shared.link.runtime;
    const asked = clock.mono();
    if (delivery.until <= asked) return Promise.reject(over(settlement));
    return this.#settle(delivery, settlement).then(() => {
      if (settlement.verb === "retry") this.#hands.delete(settlement.sequence);
      // An answer may be old, where this process stood still.
      else if (clock.mono() >= (delivery.until = asked + settlement.ms)) throw over(settlement);
    });
  }

  #settle(delivery: NatsDelivery, settlement: Settlement): Promise<void> {
    const { reign } = this.finder;
    if (reign !== undefined && !reign.isOver && reign.record.born === delivery.born) {
      try {
        return reign.settle(settlement);
      } catch (thrown) {
        if (!(thrown instanceof Moved)) return Promise.reject(thrown);
      }
    }
    return this.#settleThere(delivery, settlement);
  }

  /** Says what this process has in hands to who looks after the group now. */
  async #claim(): Promise<void> {
    const now = this.#shared.link.runtime.clock.mono();
    const { born } = this.finder;
    const all = [...this.#hands.values()].filter((each) => each.until > now && each.born === born)
      .map(({ sequence, subject: ack, key, attempt, until }) => ({
        sequence,
        ack,
        key,
        attempt,
        left: until - now,
      }));
    if (all.length === 0) return;
    const { reign } = this.finder;
    if (reign !== undefined && !reign.isOver) { for (const claim of all) reign.stock.claim(claim); }
    else {await this.#line.run(undefined, () => Promise.resolve(), { verb: "claim", all }, 0, born).catch(
        () => {},
      );}
  }

  async #settleThere(delivery: NatsDelivery, settlement: Settlement): Promise<void> {
    try {
      await this.finder.find();
    } catch (thrown) {
      return this.#settleMissing(thrown, settlement);
    }
    const { born } = delivery;
    if (this.finder.born === born) return await this.#settleAnywhere(settlement, born);
    if (settlement.verb !== "ack") throw over(settlement);
  }

  #settleAnywhere(settlement: Settlement, born: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ settlement, born, resolve, reject });
      this.#turn();
    });
  }

  #settleMissing(thrown: unknown, settlement: Settlement): void {
    if (!isMissing(thrown)) throw thrown;
    if (settlement.verb !== "ack") throw over(settlement);
  }

  #flush(): void {
    const all = this.#pending.splice(0);
    for (const born of new Set(all.map((each) => each.born))) {
      void this.#send(all.filter((each) => each.born === born), born);
    }
  }

  async #send(all: readonly Pending[], born: string): Promise<void> {
    const settle = async (reign: Reign): Promise<Answer> => ({
      settled: await settleAll(reign, settlements),
    });
    const settlements = all.map(({ settlement }) => settlement);
    try {
      const question = { verb: "settle", all: settlements } as const;
      const { settled } = await this.#line.run(undefined, settle, question, 0, born);
      all.forEach(({ resolve, reject }, at) => {
        const fault = settled?.[at];
        if (fault) reject(new CatgaError(fault));
        else resolve();
      });
    } catch (thrown) {
      for (const { settlement, resolve, reject } of all) {
        try {
          this.#settleMissing(thrown, settlement);
          resolve();
        } catch (other) {
          reject(other);
        }
      }
    }
  }

  async #own(reign: Reign, options: PullOptions): Promise<readonly HandedItem[]> {
    return await reign.pull(options, Infinity);
  }

  async #deliveries(
    items: readonly HandedItem[],
    until: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly Delivery[]> {
    const { born } = this.finder;
    this.#forgetOld(this.#shared.link.runtime.clock.mono());
    const deliveries = items.map((item) =>
      new NatsDelivery(this, born, item, until, item instanceof HeldItem ? item : undefined)
    );
    for (const each of deliveries) this.#hands.set(each.sequence, each);
    if (!signal?.aborted) return deliveries;
    await Promise.allSettled(deliveries.map((each) => each.retry(0)));
    throw queueCancelled(`pull "${this.#names.group}" of "${this.#names.topic}"`);
  }

  #forgetOld(now: number): void {
    if (this.#hands.size < 1024) return;
    for (const [sequence, { until }] of this.#hands) {
      if (until > now) return;
      this.#hands.delete(sequence);
    }
  }
}

function isMissing(thrown: unknown): boolean {
  return CatgaError.is(thrown) && thrown.code === "NO_HANDLER";
}
