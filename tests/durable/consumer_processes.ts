/** Processes that take from one queue and can be killed at any instant, in time that stands still until it is told to go on. */

import { failure, type Fault, ok, type Result, systemFault } from "@catga/catga";
import { memoryQueue, memoryStore } from "@catga/catga/memory";
import type { Queue, Runtime, Store } from "@catga/catga/ports";
import { Consumer, type ConsumerHost } from "../../src/durable/consumer.ts";
import { Quarantine } from "../../src/durable/quarantine.ts";
import { type FakeRuntime, fakeRuntime } from "../behaviors/fake_runtime.ts";

export const LEASE = 3000;
export const broken: Result<void, Fault> = failure(systemFault("INTERNAL", "it broke"));
export const fine: Result<void, Fault> = ok(undefined);

/** One that runs until it is killed. */
export interface Life {
  dead: boolean;
  /** What its handlers are working on. */
  readonly running: Set<string>;
  readonly runtime: Runtime;
  readonly consumers: Consumer[];
  /** Waits, and never goes on once it is dead. */
  rest(ms: number): Promise<void>;
}

/** What a handler does with a delivery. */
export type Work = (
  id: string,
  life: Life,
  attempt: number,
  signal: AbortSignal,
) => Promise<Result<void, Fault>>;

export class Processes {
  readonly runtime: FakeRuntime;
  readonly queue: Queue;
  readonly store: Store;
  /** `topic/id code attempts of handedOut` */
  readonly buried: string[] = [];
  readonly #topics: readonly string[];

  constructor(topics: readonly string[] = ["t"], random?: () => number) {
    this.runtime = fakeRuntime(random);
    this.queue = memoryQueue({ clock: this.runtime.clock });
    this.store = memoryStore({ clock: this.runtime.clock });
    this.#topics = topics;
  }

  /** Starts a process with a consumer for each topic. */
  async start(work: Work, change: (life: Life) => Partial<ConsumerHost> = () => ({})): Promise<Life> {
    const { clock } = this.runtime;
    const timer: typeof clock.timer = (ms, run) => clock.timer(ms, () => life.dead || run());
    const runtime: Runtime = { ...this.runtime, clock: { ...clock, timer } };
    const consumers: Consumer[] = [];
    const rest = (ms: number): Promise<void> => new Promise((resolve) => void timer(ms, resolve));
    const life: Life = { dead: false, running: new Set(), runtime, consumers, rest };
    const [queue, store] = [mortal(this.queue, life), mortal(this.store, life)];
    const quarantine = new Quarantine(runtime.clock);
    for (const topic of this.#topics) {
      consumers.push(
        new Consumer({
          queue,
          store,
          runtime,
          quarantine,
          topic,
          group: "g",
          concurrency: 8,
          lease: LEASE,
          attempts: 1,
          redeliver: [1000],
          handle: async ({ id, attempt }, signal) => {
            if (life.dead) await new Promise(() => {});
            life.running.add(id);
            const result = await work(id, life, attempt, signal);
            if (life.dead) await new Promise(() => {});
            life.running.delete(id);
            return result;
          },
          bury: ({ id }, { code }, { attempts, handedOut }) => {
            if (!life.dead) this.buried.push(`${topic}/${id} ${code} ${attempts} of ${handedOut}`);
            return life.dead ? new Promise(() => {}) : Promise.resolve();
          },
          ...change(life),
        }),
      );
    }
    await Promise.race([Promise.all(consumers.map((each) => each.start())), this.runtime.advance(0)]);
    return life;
  }

  /** Hands out what there is to nobody, so often. */
  async lose(times: number, topic = "t"): Promise<void> {
    await this.queue.subscribe(topic, "g");
    for (let at = 0; at < times; at++) {
      await this.queue.pull(topic, "g", { max: 1000, lease: LEASE });
      await this.runtime.advance(LEASE + 1);
    }
  }

  async stop(life: Life, drain = 0): Promise<void> {
    const stopped = Promise.all(life.consumers.map((each) => each.stop(drain)));
    await this.runtime.advance(drain + 200);
    await stopped;
  }

  /** Pushes to all topics, each item under a key of its own unless it has a `:`, whose front part is the key. */
  async push(...ids: readonly string[]): Promise<void> {
    for (const topic of this.#topics) {
      await this.queue.subscribe(topic, "g");
      await this.queue.push(topic, ids.map((id) => ({ id, key: id.split(":")[0], payload: id })));
    }
  }

  async left(): Promise<number> {
    let sum = 0;
    for (const topic of this.#topics) sum += (await this.queue.backlog(topic, "g")).items;
    return sum;
  }

  /** What is kept of failures. */
  async kept(): Promise<unknown[]> {
    return (await this.store.list("failures/")).map(({ value }) => JSON.parse(value) as unknown);
  }
}

/** A port that does nothing and answers nothing once its process is dead. */
function mortal<T extends object>(port: T, life: { readonly dead: boolean }): T {
  const never = (): Promise<never> => new Promise(() => {});
  return new Proxy(port, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return async (...args: unknown[]) => {
        if (life.dead) return await never();
        try {
          const value = await (Reflect.apply(member, target, args) as Promise<unknown>);
          if (life.dead) return await never();
          return name === "pull" ? (value as object[]).map((each) => mortal(each, life)) : value;
        } catch (thrown) {
          if (life.dead) return await never();
          throw thrown;
        }
      };
    },
  });
}
