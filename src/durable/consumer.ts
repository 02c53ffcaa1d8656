import { type Fault, faultOf, systemFault } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import { within } from "../internal/within.ts";
import type { Delivery } from "../ports/queue.ts";
import { askStore } from "./ask_store.ts";
import type { ConsumerHost, ConsumerStats } from "./consumer_types.ts";
import { deliveryName } from "./dead_letters_name.ts";
import { Grip } from "./grip.ts";

export type { ConsumerHost, ConsumerStats, DoneMarks } from "./consumer_types.ts";

/** How long the queue is asked to wait for something to do, in ms, and how much longer an answer may take. */
const WAIT = 5000;
const PATIENCE = 10_000;
/** How long to wait between two tries of anything, in ms: twice as long each time, up to the second. */
const DELAY = 100;
const LONGEST = 5000;
/** How often burying is tried before it is put off where others need the place. */
const BURIALS = 5;
/** How often a delivery may end the process that has it, beyond its redeliveries, before it is buried unseen. */
const CRASHES = 10;
/** What trying again does not heal. */
const PERMANENT: ReadonlySet<string> = new Set(["VALIDATION", "SERIALIZATION", "NO_HANDLER"]);

/** Takes what a queue has for a group, one after the other for each key, until it is stopped. */
export class Consumer {
  readonly #host: ConsumerHost;
  readonly #closed: AbortController = new AbortController();
  readonly #working: Map<Promise<void>, Grip> = new Map();
  readonly #counts = { handled: 0, repeated: 0, putBack: 0, buried: 0 };
  #pulling: Promise<void> = Promise.resolve();
  #free: (() => void) | undefined;

  constructor(host: ConsumerHost) {
    this.#host = host;
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
    const wait = Math.min(WAIT, lease / 3);
    return this.#ask(wait + PATIENCE, async (signal) => {
      const deliveries = await queue.pull(topic, group, { max, lease, wait, signal });
      if (signal.aborted) await Promise.allSettled(deliveries.map((delivery) => delivery.retry(0)));
      return deliveries;
    });
  }

  #ask<T>(limit: number, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return askStore({ clock: this.#host.runtime.clock, limit, signal: this.#closed.signal }, ask);
  }

  #take(delivery: Delivery, since: number): void {
    const { runtime, lease } = this.#host;
    const grip = new Grip(delivery, lease, runtime, since);
    const work = this.#work(delivery, grip).catch((thrown: unknown) => {
      this.#warn("consumer.failed", `"${delivery.id}" stays where it is until its lease is over`, thrown);
    }).finally(() => {
      grip.close();
      this.#working.delete(work);
      this.#free?.();
    });
    this.#working.set(work, grip);
  }

  async #work(delivery: Delivery, grip: Grip): Promise<void> {
    const { marks, markOf, group, redeliver } = this.#host;
    const { attempt } = delivery;
    const id = (marks && markOf?.(delivery)) ?? delivery.id;
    const repeated = !deliveryName(delivery.id).isFor(group) ||
      marks !== undefined && await grip.persist(() => marks.seen(group, id));
    if (repeated) {
      await grip.persist(() => delivery.ack());
      this.#counts.repeated++;
      return;
    }
    const fault = attempt > redeliver.length + 1 + CRASHES
      ? spent(attempt)
      : await this.#attempts(delivery, grip);
    if (fault === undefined) {
      if (marks !== undefined) await grip.persist(() => marks.done(group, id));
      await grip.persist(() => delivery.ack());
      this.#counts.handled++;
      return;
    }
    if (grip.lost) throw grip.signal.reason;
    const delay = grip.lettingGo ? 0 : PERMANENT.has(fault.code) ? undefined : redeliver[attempt - 1];
    if (delay === undefined) return await this.#bury(delivery, grip, fault);
    await grip.persist(() => delivery.retry(delay));
    this.#counts.putBack++;
  }

  /** Tries a few times; what the last one failed with. */
  async #attempts(delivery: Delivery, grip: Grip): Promise<Fault | undefined> {
    const { attempts, handle, runtime } = this.#host;
    for (let failures = 1;; failures++) {
      if (!grip.held) await grip.hold();
      const result = await handle(delivery, grip.signal);
      if (result.ok) return undefined;
      if (failures >= attempts || PERMANENT.has(result.error.code) || grip.signal.aborted) {
        return result.error;
      }
      await sleep(runtime.clock, backoff(failures, DELAY, LONGEST, runtime.random.u32()), grip.signal);
      if (grip.signal.aborted) return result.error;
    }
  }

  async #bury(delivery: Delivery, grip: Grip, fault: Fault): Promise<void> {
    const { bury, topic, group, redeliver, concurrency } = this.#host;
    const enough = (failures: number): boolean => failures >= BURIALS && this.#working.size >= concurrency;
    try {
      await grip.persist(() => bury(delivery, fault), enough);
    } catch (thrown) {
      this.#warn("consumer.unburied", `"${delivery.id}" cannot become a dead letter just now`, thrown);
      await grip.persist(() => delivery.retry(Math.max(redeliver.at(-1) ?? 0, LONGEST)));
      this.#counts.putBack++;
      return;
    }
    await grip.persist(() => delivery.ack());
    this.#counts.buried++;
    this.#host.runtime.log({
      level: "error",
      event: "consumer.buried",
      message:
        `"${delivery.id}" of "${topic}" is a dead letter of "${group}": ${fault.code} ${fault.message}`,
      fields: { topic, group, id: delivery.id, attempt: delivery.attempt, code: fault.code },
    });
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

function spent(attempt: number): Fault {
  return systemFault("INTERNAL", `It was handed out ${attempt - 1} times, and nobody said what came of it`);
}
