/** What a consumer does when its queue hangs, its process stands still, and what it needs is away at the worst moment. */

import { describe, expect, test } from "bun:test";
import { CatgaError, failure, type Fault, ok, type Result, systemFault } from "@catga/catga";
import type { Delivery, Queue, Store } from "@catga/catga/ports";
import { memoryQueue, memoryStore } from "@catga/catga/memory";
import { Consumer, type ConsumerHost } from "../../src/durable/consumer.ts";
import { Quarantine } from "../../src/durable/quarantine.ts";
import { push } from "../../src/durable/push.ts";
import { type FakeRuntime, fakeRuntime } from "../behaviors/fake_runtime.ts";

const LEASE = 3000;
const broken = failure(systemFault("INTERNAL", "it broke"));
const fine = ok(undefined);
const away = (): Promise<never> => Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "away")));
const never = (): Promise<never> => new Promise(() => {});

describe("a queue that never answers", () => {
  test.each(["subscribe", "pull"] as const)("to %s is asked again", async (name) => {
    const bench = new Bench();
    let asked = 0;
    const log: string[] = [];
    await bench.queue.subscribe("t", "g");
    const it = bench.consumer(logging(log), {
      queue: bench.changed({
        subscribe: (...args) =>
          name === "subscribe" && asked++ === 0 ? never() : bench.queue.subscribe(...args),
        pull: (...args) => name === "pull" && asked++ === 0 ? never() : bench.queue.pull(...args),
      }),
    });
    void it.start();
    await bench.push("a1");
    await bench.runtime.advance(60_000);
    expect([log, await bench.left()]).toEqual([["a1 1"], 0]);
    await it.stop(0);
  });

  test("to an acknowledgement is asked again, and does not hold up what is behind it", async () => {
    const bench = new Bench();
    const log: string[] = [];
    let asked = 0;
    const it = await bench.start(logging(log), {
      queue: bench.taking((delivery) => ({ ack: () => asked++ === 0 ? never() : delivery.ack() })),
    });
    await bench.push("a1", "a2");
    await bench.runtime.advance(60_000);
    expect([log, await bench.left(), it.stats.inFlight]).toEqual([["a1 1", "a2 1"], 0, 0]);
    await it.stop(0);
  });

  test("to a retry is asked again", async () => {
    const bench = new Bench();
    const log: string[] = [];
    let asked = 0;
    const it = await bench.start(logging(log, [broken, broken]), {
      queue: bench.taking((delivery) => ({
        retry: (delay: number) => asked++ === 0 ? never() : delivery.retry(delay),
      })),
    });
    await bench.push("a1");
    await bench.runtime.advance(60_000);
    expect([log, await bench.left(), it.stats.inFlight]).toEqual([["a1 1", "a1 1", "a1 2"], 0, 0]);
    await it.stop(0);
  });

  test("to an extension has taken the delivery away once the lease is over", async () => {
    const bench = new Bench();
    const aborted: number[] = [];
    const began = bench.runtime.clock.mono();
    const it = await bench.start(
      (_delivery, signal) =>
        new Promise((resolve) =>
          signal.addEventListener("abort", () => {
            aborted.push(bench.runtime.clock.mono() - began);
            resolve(broken);
          })
        ),
      { queue: bench.taking(() => ({ extend: never })) },
    );
    await bench.push("a1");
    await bench.runtime.advance(LEASE + 10);
    expect(aborted).toHaveLength(1);
    expect(aborted[0]).toBeLessThanOrEqual(LEASE);
    await bench.stop(it);
  });

  test("does not hold up a consumer that stops and has nothing to finish", async () => {
    const bench = new Bench();
    const it = await bench.start(logging([]), { queue: bench.changed({ pull: never }) });
    let stopped = false;
    void it.stop(8000).then(() => stopped = true);
    await bench.runtime.advance(200);
    expect([stopped, bench.runtime.pending()]).toEqual([true, 0]);
  });

  test("until the consumer has stopped gets back what it then hands out", async () => {
    const bench = new Bench();
    const log: string[] = [];
    const it = await bench.start(logging(log), {
      queue: bench.changed({
        pull: (topic, group, { signal: _, ...options }) => bench.queue.pull(topic, group, options),
      }),
    });
    await bench.stop(it);
    await bench.push("a1");
    await bench.runtime.advance(100);
    expect(log).toEqual([]);
    const [again] = await bench.queue.pull("t", "g", { max: 1, lease: LEASE });
    expect(again?.id).toBe("a1");
  });
});

describe("a lease", () => {
  test.each([300, 3000])(
    "of %i ms lasts also where the consumer waited longer for its delivery",
    async (lease) => {
      const bench = new Bench();
      const lost: string[] = [];
      const it = await bench.start(({ id }, signal) => {
        signal.addEventListener("abort", () => lost.push(id));
        return new Promise((resolve) => void bench.runtime.clock.timer(4 * lease, () => resolve(fine)));
      }, { lease });
      await bench.runtime.advance(4900);
      await bench.push("a1");
      await bench.runtime.advance(5 * lease);
      expect([lost, it.stats.handled, await bench.left()]).toEqual([[], 1, 0]);
      await it.stop(0);
    },
  );

  test("that was over when its delivery came begins no handler", async () => {
    const bench = new Bench();
    const log: string[] = [];
    let late = true;
    const it = await bench.start(logging(log), {
      queue: bench.changed({
        pull: async (...args) => {
          const deliveries = await bench.queue.pull(...args);
          if (deliveries.length > 0 && late) {
            late = false;
            await new Promise<void>((resolve) => void bench.runtime.clock.timer(2 * LEASE, resolve));
          }
          return deliveries;
        },
      }),
    });
    await bench.push("a1");
    await bench.runtime.advance(LEASE + 10);
    const [other] = await bench.queue.pull("t", "g", { max: 1, lease: 10 * LEASE });
    expect(other?.attempt).toBe(2);
    await bench.runtime.advance(5 * LEASE);
    expect(log).toEqual([]);
    await other!.ack();
    await it.stop(0);
  });

  test("that ended while the process stood still begins no other try", async () => {
    const bench = new Bench();
    const log: string[] = [];
    const it = await bench.start(({ id, attempt }) => {
      log.push(`${id} ${attempt}`);
      if (attempt > 1) return Promise.resolve(fine);
      bench.standStill(2 * LEASE);
      return Promise.resolve(broken);
    }, { attempts: 3 });
    await bench.push("a1");
    await bench.runtime.advance(20_000);
    expect([log, await bench.left()]).toEqual([["a1 1", "a1 2"], 0]);
    await it.stop(0);
  });

  test("that is lost at the last attempt leaves no dead letter of what another handles", async () => {
    const bench = new Bench();
    const lost = new CatgaError(systemFault("CONFLICT", "another has it"));
    const it = await bench.start(
      (_delivery, signal) =>
        new Promise((resolve) => signal.addEventListener("abort", () => resolve(broken))),
      {
        redeliver: [],
        queue: bench.taking(() => ({ extend: () => Promise.reject(lost) })),
      },
    );
    await bench.push("a1");
    await bench.runtime.advance(LEASE / 2);
    expect([bench.buried, it.stats.buried, it.stats.inFlight]).toEqual([[], 0, 0]);
    await it.stop(0);
  });
});

describe("a consumer", () => {
  test("goes on with the others while there is no room for dead letters", async () => {
    const bench = new Bench();
    const log: string[] = [];
    const it = await bench.start(({ id }) => {
      if (id.startsWith("x")) return Promise.resolve(failure(systemFault("VALIDATION", "odd")));
      log.push(id);
      return Promise.resolve(fine);
    }, { concurrency: 2, bury: () => Promise.reject(new CatgaError(systemFault("OVERLOADED", "full"))) });
    await bench.push("x", "xx", "a1");
    await bench.queue.push("t", [{ id: "xy", key: "y", payload: "" }, { id: "b1", key: "b", payload: "" }]);
    await bench.runtime.advance(20_000);
    expect([log.toSorted(), await bench.left()]).toEqual([["a1", "b1"], 3]);
    await bench.stop(it);
  });

  test.each<[string, (bench: Bench) => Promise<Consumer>]>([
    ["a handler never ends", (bench) => bench.start(never)],
    ["nothing can be acknowledged", (bench) => {
      return bench.start(logging([]), { queue: bench.taking(() => ({ ack: away })) });
    }],
    ["no acknowledgement is answered", (bench) => {
      return bench.start(logging([]), { queue: bench.taking(() => ({ ack: never })) });
    }],
  ])("that stops while %s leaves no timer behind, and what it had to the others", async (_what, start) => {
    const bench = new Bench();
    const it = await start(bench);
    await bench.push("a1");
    await bench.runtime.advance(500);
    await bench.stop(it);
    expect(bench.runtime.pending()).toBe(0);
    await bench.runtime.advance(LEASE);
    expect(await bench.queue.pull("t", "g", { max: 1, lease: LEASE })).toMatchObject([{
      id: "a1",
      attempt: 2,
    }]);
  });

  test("that has handled many deliveries and stops leaves no timer and no listener behind", async () => {
    const bench = new Bench();
    const open = new Map<AbortSignal, number>();
    const it = await bench.start(({ id }) => {
      return new Promise((resolve) => {
        void bench.runtime.clock.timer(id.length, () => resolve(id.endsWith("3") ? broken : fine));
      });
    }, {
      queue: bench.changed({
        pull: (topic, group, options) => {
          count(options.signal!, open);
          return bench.queue.pull(topic, group, options);
        },
      }),
    });
    for (let n = 0; n < 1000; n++) await bench.push(`${n}`);
    await bench.runtime.advance(60_000);
    expect([it.stats.handled + it.stats.buried, await bench.left()]).toEqual([1000, 0]);
    expect(bench.runtime.pending()).toBeLessThan(4);
    await bench.stop(it);
    expect(bench.runtime.pending()).toBe(0);
    expect(Math.max(...open.values())).toBeLessThan(4);
  });
});

describe("a push", () => {
  test("whose answer never comes is tried again, and stored once", async () => {
    const runtime = fakeRuntime();
    const queue = memoryQueue({ clock: runtime.clock });
    await queue.subscribe("t", "g");
    let tries = 0;
    const pushing: Pick<Queue, "push"> = {
      push: async (...args) => {
        await queue.push(...args);
        if (++tries === 1) await never();
      },
    };
    const result = push({ queue: pushing, runtime }, "t", { id: "1", payload: "" }, {
      deadline: runtime.clock.mono() + 30_000,
      signals: [],
    });
    await runtime.advance(29_000);
    expect(await Promise.race([result, "nothing"])).toMatchObject({ ok: true });
    expect([tries, (await queue.backlog("t", "g")).items, runtime.pending()]).toEqual([2, 1, 0]);
  });

  test("whose time is over before it begins stores nothing", async () => {
    const runtime = fakeRuntime();
    let tries = 0;
    const queue = { push: () => Promise.resolve(void tries++) };
    const result = push({ queue, runtime }, "t", { id: "1", payload: "" }, {
      deadline: runtime.clock.mono(),
      signals: [],
    });
    expect([await result, tries, runtime.pending()]).toMatchObject([{ error: { code: "TIMEOUT" } }, 0, 0]);
  });

  test("that was given up is not tried once more", async () => {
    const runtime = fakeRuntime();
    let tries = 0;
    const given = new AbortController();
    const queue = {
      push: () => {
        tries++;
        return away();
      },
    };
    const result = push({ queue, runtime }, "t", { id: "1", payload: "" }, {
      deadline: runtime.clock.mono() + 1000,
      signals: [given.signal],
    });
    await runtime.advance(1);
    expect(tries).toBe(1);
    given.abort();
    expect(await result).toMatchObject({ error: { code: "CANCELLED" } });
    await runtime.advance(5000);
    expect([tries, runtime.pending()]).toEqual([1, 0]);
  });
});

/** A consumer of a queue in memory, in time that stands still until it is told to go on. */
class Bench {
  readonly #inner: FakeRuntime = fakeRuntime();
  #stood = 0;
  readonly runtime: FakeRuntime = {
    ...this.#inner,
    clock: { ...this.#inner.clock, mono: () => this.#inner.clock.mono() + this.#stood },
  };
  readonly queue: Queue = memoryQueue({ clock: this.runtime.clock });
  readonly store: Store = memoryStore({ clock: this.runtime.clock });
  readonly buried: string[] = [];

  consumer(handle: ConsumerHost["handle"], options: Partial<ConsumerHost> = {}): Consumer {
    return new Consumer({
      queue: this.queue,
      store: this.store,
      runtime: this.runtime,
      quarantine: new Quarantine(this.runtime.clock),
      topic: "t",
      group: "g",
      concurrency: 4,
      lease: LEASE,
      attempts: 2,
      redeliver: [1000],
      handle,
      bury: ({ id, attempt }, { code }) => Promise.resolve(void this.buried.push(`${id} ${code} ${attempt}`)),
      ...options,
    });
  }

  async start(handle: ConsumerHost["handle"], options?: Partial<ConsumerHost>): Promise<Consumer> {
    const consumer = this.consumer(handle, options);
    await consumer.start();
    await this.runtime.advance(0);
    return consumer;
  }

  async stop(consumer: Consumer): Promise<void> {
    const stopped = consumer.stop(0);
    await this.runtime.advance(200);
    await stopped;
  }

  push(...ids: readonly string[]): Promise<void> {
    return this.queue.push("t", ids.map((id) => ({ id, key: id.slice(0, 1), payload: id })));
  }

  async left(): Promise<number> {
    return (await this.queue.backlog("t", "g")).items;
  }

  /** The queue, some of whose methods do something else. */
  changed(changes: Partial<Queue>): Queue {
    const { queue } = this;
    return {
      window: queue.window,
      ordered: queue.ordered,
      push: queue.push.bind(queue),
      subscribe: queue.subscribe.bind(queue),
      unsubscribe: queue.unsubscribe.bind(queue),
      pull: queue.pull.bind(queue),
      backlog: queue.backlog.bind(queue),
      ...changes,
    };
  }

  /** The queue, some of whose deliveries' methods do something else. */
  taking(changes: (delivery: Delivery) => Partial<Delivery>): Queue {
    return this.changed({
      pull: async (...args) =>
        (await this.queue.pull(...args)).map((delivery) => {
          const { id, key, payload, attempt, pushed } = delivery;
          return {
            id,
            key,
            payload,
            attempt,
            pushed,
            ack: () => delivery.ack(),
            retry: (delay: number) => delivery.retry(delay),
            extend: (lease: number) => delivery.extend(lease),
            ...changes(delivery),
          };
        }),
    });
  }

  /** The process does nothing for so long: time passes, and its timers are late. */
  standStill(ms: number): void {
    this.#stood += ms;
  }
}

/** A handler that is told what to answer, one after the other, and then says yes. */
function logging(log: string[], answers: readonly Result<void, Fault>[] = []): ConsumerHost["handle"] {
  const rest = [...answers];
  return ({ id, attempt }) => {
    log.push(`${id} ${attempt}`);
    return Promise.resolve(rest.shift() ?? fine);
  };
}

/** Counts who listens to a signal. */
function count(signal: AbortSignal, open: Map<AbortSignal, number>): void {
  if (open.has(signal)) return;
  open.set(signal, 0);
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  const change = (by: number): void => void open.set(signal, open.get(signal)! + by);
  signal.addEventListener = (...args: Parameters<typeof add>) => (change(1), add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (change(-1), remove(...args));
}
