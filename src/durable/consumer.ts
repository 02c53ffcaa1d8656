import { faultOf } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import { within } from "../internal/within.ts";
import type { Delivery } from "../ports/queue.ts";
import { askStore } from "./ask_store.ts";
import { Round, type RoundHost } from "./consumer_round.ts";
import type { ConsumerHost, ConsumerStats } from "./consumer_types.ts";
import { DeliveryHistory } from "./delivery_history.ts";
import { Grip } from "./grip.ts";

export type { ConsumerHost, ConsumerStats, DoneMarks, Tries } from "./consumer_types.ts";

/** How long the queue is asked to wait for something to do, in ms, and how much longer an answer may take. */
const WAIT = 5000;
const PATIENCE = 10_000;
/** How long to wait between two tries of anything, in ms: twice as long each time, up to the second. */
const DELAY = 100;
const LONGEST = 5000;

/** Takes what a queue has for a group, one after the other for each key, until it is stopped. */
export class Consumer {
  readonly #host: ConsumerHost;
  readonly #closed: AbortController = new AbortController();
  readonly #working: Map<Promise<void>, Grip> = new Map();
  readonly #counts = { handled: 0, repeated: 0, putBack: 0, buried: 0, alone: 0 };
  readonly #roundHost: RoundHost;
  #pulling: Promise<void> = Promise.resolve();
  #free: (() => void) | undefined;

  constructor(host: ConsumerHost) {
    this.#host = host;
    this.#roundHost = {
      ...host,
      isFull: () => this.#working.size >= host.concurrency,
      begunAlone: () => void this.#counts.alone++,
      warn: (event, what, thrown) => this.#warn(event, what, thrown),
    };
  }

  get stats(): ConsumerStats {
    const { topic, group } = this.#host;
    return { topic, group, inFlight: this.#working.size, ...this.#counts };
  }

  /** Begins; settles when the group is there, or the queue could not be asked. */
  async start(): Promise<void> {
    const subscribed = await this.#subscribe();
    this.#pulling = this.#pull(subscribed);
  }

  /** Pulls no more and finishes what it has, for so many ms; the rest is given back, or comes when its lease is over. */
  async stop(drain: number): Promise<void> {
    const { clock } = this.#host.runtime;
    this.#closed.abort();
    const all = async (): Promise<void> => {
      await this.#pulling;
      await Promise.all(this.#working.keys());
    };
    await within(clock, all(), drain);
    for (const grip of this.#working.values()) grip.letGo();
    await within(clock, all(), DELAY);
    for (const grip of this.#working.values()) grip.close();
  }

  async #subscribe(): Promise<boolean> {
    const { queue, topic, group, idle } = this.#host;
    try {
      await this.#ask(PATIENCE, (signal) => queue.subscribe(topic, group, { idle, signal }));
      return true;
    } catch (thrown) {
      this.#warn("consumer.unreachable", "the queue cannot be asked just now", thrown);
      return false;
    }
  }

  async #pull(subscribed: boolean): Promise<void> {
    const { runtime, concurrency } = this.#host;
    const { signal } = this.#closed;
    let failures = subscribed ? 0 : 1;
    while (!signal.aborted) {
      if (failures > 0) {
        await sleep(runtime.clock, backoff(failures, DELAY, LONGEST, runtime.random.u32()), signal);
        if (signal.aborted) return;
        if (!await this.#subscribe()) {
          failures++;
          continue;
        }
      }
      if (this.#working.size >= concurrency) {
        await new Promise<void>((resolve) => this.#free = resolve);
        continue;
      }
      try {
        const began = runtime.clock.mono();
        for (const delivery of await this.#due(concurrency - this.#working.size)) {
          this.#take(delivery, began);
        }
        failures = 0;
      } catch (thrown) {
        if (signal.aborted) return;
        if (failures++ === 0) {
          this.#warn("consumer.unreachable", "the queue cannot be asked just now", thrown);
        }
      }
    }
  }

  /** Waits for deliveries, for a small part of their lease; those that come when nobody waits are given back. */
  #due(max: number): Promise<readonly Delivery[]> {
    const { queue, topic, group, lease } = this.#host;
    const giveBack = (delivery: Delivery): Promise<unknown> =>
      Promise.allSettled([delivery.retry(0), new DeliveryHistory(this.#host, delivery).givenBack()]);
    const wait = Math.min(WAIT, lease / 3);
    return this.#ask(wait + PATIENCE, async (signal) => {
      const deliveries = await queue.pull(topic, group, { max, lease, wait, signal });
      if (signal.aborted) await Promise.all(deliveries.map(giveBack));
      return deliveries;
    });
  }

  #ask<T>(limit: number, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return askStore({ clock: this.#host.runtime.clock, limit, signal: this.#closed.signal }, ask);
  }

  #take(delivery: Delivery, since: number): void {
    const { runtime, lease } = this.#host;
    const grip = new Grip(delivery, lease, runtime, since);
    const round = new Round(this.#roundHost, delivery, grip);
    const work = round.run().then((end) => void this.#counts[end]++, (thrown: unknown) => {
      this.#warn("consumer.failed", `"${delivery.id}" stays where it is until its lease is over`, thrown);
    }).finally(() => {
      round.leave();
      grip.close();
      this.#working.delete(work);
      this.#free?.();
    });
    this.#working.set(work, grip);
  }

  #warn(event: string, what: string, thrown: unknown): void {
    if (this.#closed.signal.aborted) return;
    const { topic, group, runtime } = this.#host;
    const { code, message } = faultOf(thrown);
    runtime.log({
      level: "warn",
      event,
      message: `"${group}" hears "${topic}" no further: ${what}: ${message}`,
      fields: { topic, group, code },
    });
  }
}
