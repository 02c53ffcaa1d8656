/** What a consumer does with what it is handed: by the outcome, the time and the end of the process. */

import { describe, expect, test } from "bun:test";
import { CatgaError, failure, type Fault, ok, type Result, systemFault } from "@catga/catga";
import type { Delivery, Queue, Store } from "@catga/catga/ports";
import { memoryQueue, memoryStore } from "@catga/catga/memory";
import { Consumer, type ConsumerHost } from "../../src/durable/consumer.ts";
import { Quarantine } from "../../src/durable/quarantine.ts";
import { type FakeRuntime, fakeRuntime } from "../behaviors/fake_runtime.ts";

const LEASE = 3000;
const broken = failure(systemFault("INTERNAL", "it broke"));

interface Bench {
  readonly runtime: FakeRuntime;
  readonly queue: Queue;
  readonly store: Store;
  readonly buried: string[];
  consumer(handle: ConsumerHost["handle"], options?: Partial<ConsumerHost>): Promise<Consumer>;
  push(...ids: readonly string[]): Promise<void>;
  left(): Promise<number>;
}

function bench(): Bench {
  const runtime = fakeRuntime();
  const queue = memoryQueue({ clock: runtime.clock });
  const store = memoryStore({ clock: runtime.clock });
  const buried: string[] = [];
  return {
    runtime,
    queue,
    store,
    buried,
    consumer: async (handle, options = {}) => {
      const consumer = new Consumer({
        queue,
        store,
        runtime,
        quarantine: new Quarantine(runtime.clock),
        topic: "t",
        group: "g",
        concurrency: 4,
        lease: LEASE,
        attempts: 2,
        redeliver: [1000],
        handle,
        bury: (delivery, fault, { attempts, handedOut }) => {
          buried.push(`${delivery.id} ${fault.code} ${attempts} of ${handedOut}`);
          return Promise.resolve();
        },
        ...options,
      });
      await consumer.start();
      await runtime.advance(0);
      return consumer;
    },
    push: (...ids) => queue.push("t", ids.map((id) => ({ id, key: id.slice(0, 1), payload: id }))),
    left: async () => (await queue.backlog("t", "g")).items,
  };
}

/** A handler that is told what to answer, one after the other, and then says yes. */
function answering(log: string[], answers: readonly Result<void, Fault>[]): ConsumerHost["handle"] {
  const rest = [...answers];
  return ({ id, attempt }: Delivery) => {
    log.push(`${id} ${attempt}`);
    return Promise.resolve(rest.shift() ?? ok(undefined));
  };
}

describe("a delivery", () => {
  test("that goes well is acknowledged, once", async () => {
    const { runtime, consumer, push, left } = bench();
    const log: string[] = [];
    const it = await consumer(answering(log, []));
    await push("a1", "a2", "b1");
    await runtime.advance(10_000);
    expect(log.toSorted()).toEqual(["a1 1", "a2 1", "b1 1"]);
    expect([await left(), it.stats]).toEqual([0, {
      topic: "t",
      group: "g",
      inFlight: 0,
      handled: 3,
      repeated: 0,
      putBack: 0,
      buried: 0,
      alone: 0,
    }]);
    await it.stop(0);
  });

  test("that fails is tried again, then put back, then buried, and holds up only its key", async () => {
    const { runtime, consumer, push, left, buried } = bench();
    const log: string[] = [];
    const it = await consumer(({ id, attempt }) => {
      log.push(`${id} ${attempt}`);
      return Promise.resolve(id === "a1" ? broken : ok(undefined));
    });
    await push("a1", "a2", "b1");
    await runtime.advance(500);
    expect(log.toSorted()).toEqual(["a1 1", "a1 1", "b1 1"]);
    expect([await left(), buried]).toEqual([2, []]);
    await runtime.advance(10_000);
    expect(log.slice(3)).toEqual(["a1 2", "a1 2", "a2 1"]);
    expect([await left(), buried]).toEqual([0, ["a1 INTERNAL 2 of 2"]]);
    await it.stop(0);
  });

  test("that nothing can heal is buried after one try", async () => {
    const { runtime, consumer, push, buried, left } = bench();
    const log: string[] = [];
    const it = await consumer(answering(log, [failure(systemFault("VALIDATION", "it does not fit"))]));
    await push("a1");
    await runtime.advance(100);
    expect([log, buried, await left()]).toEqual([["a1 1"], ["a1 VALIDATION 1 of 1"], 0]);
    await it.stop(0);
  });

  test("stays in the queue while it cannot be buried", async () => {
    const { runtime, consumer, push, left } = bench();
    let full = true;
    const kept: string[] = [];
    const it = await consumer(answering([], [failure(systemFault("VALIDATION", "odd"))]), {
      bury: ({ id }) => {
        if (full) return Promise.reject(new CatgaError(systemFault("OVERLOADED", "no room")));
        kept.push(id);
        return Promise.resolve();
      },
    });
    await push("a1");
    await runtime.advance(20_000);
    expect([await left(), kept]).toEqual([1, []]);
    full = false;
    await runtime.advance(LEASE * 3);
    expect(await left()).toBe(0);
    await it.stop(0);
  });

  test("that was done before is only acknowledged", async () => {
    const { runtime, consumer, push, left } = bench();
    const log: string[] = [];
    const done = new Set(["g/a1"]);
    const it = await consumer(answering(log, []), {
      marks: {
        seen: (group, id) => Promise.resolve(done.has(`${group}/${id}`)),
        done: (group, id) => Promise.resolve(void done.add(`${group}/${id}`)),
      },
    });
    await push("a1", "a2");
    await runtime.advance(1000);
    expect([log, [...done], await left(), it.stats.repeated]).toEqual([["a2 1"], ["g/a1", "g/a2"], 0, 1]);
    await it.stop(0);
  });

  test("is not acknowledged while it cannot be remembered", async () => {
    const { runtime, consumer, push, left } = bench();
    let away = true;
    const log: string[] = [];
    const it = await consumer(answering(log, []), {
      marks: {
        seen: () => Promise.resolve(false),
        done: () =>
          away ? Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "away"))) : Promise.resolve(),
      },
    });
    await push("a1");
    await runtime.advance(LEASE - 100);
    expect([log, await left()]).toEqual([["a1 1"], 1]);
    away = false;
    await runtime.advance(LEASE);
    expect([log, await left()]).toEqual([["a1 1"], 0]);
    await it.stop(0);
  });

  test("that takes longer than its lease stays with whoever works on it", async () => {
    const { runtime, queue, consumer, push } = bench();
    const log: string[] = [];
    const it = await consumer(({ id }, signal) => {
      log.push(id);
      return new Promise((resolve) => {
        runtime.clock.timer(LEASE * 5, () => resolve(ok(undefined)));
        signal.addEventListener("abort", () => log.push(`${id} lost`));
      });
    });
    await push("a1");
    await runtime.advance(LEASE * 4);
    expect(await queue.pull("t", "g", { max: 1, lease: LEASE })).toEqual([]);
    await runtime.advance(LEASE * 2);
    expect([log, it.stats.handled]).toEqual([["a1"], 1]);
    await it.stop(0);
  });

  test("that is lost tells its handler", async () => {
    const { runtime, queue, consumer, push } = bench();
    const reasons: unknown[] = [];
    const lost = new CatgaError(systemFault("CONFLICT", "another has it"));
    const pull: Queue["pull"] = async (...args) =>
      (await queue.pull(...args)).map((delivery) =>
        Object.assign(delivery, { extend: () => Promise.reject(lost) })
      );
    const it = await consumer((_delivery, signal) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => {
          reasons.push((signal.reason as CatgaError).code);
          resolve(broken);
        });
      }), { queue: { ...queueOf(queue), pull } });
    await push("a1");
    await runtime.advance(LEASE / 2);
    expect(reasons).toEqual(["CONFLICT"]);
    const stopped = it.stop(0);
    await runtime.advance(200);
    await stopped;
  });
});

describe("a consumer", () => {
  test("works on no more at a time than it may", async () => {
    const { runtime, consumer, push } = bench();
    let working = 0;
    let most = 0;
    const it = await consumer(() => {
      most = Math.max(most, ++working);
      return new Promise((resolve) => {
        runtime.clock.timer(100, () => {
          working--;
          resolve(ok(undefined));
        });
      });
    });
    await push(..."abcdefghij");
    await runtime.advance(1000);
    expect([most, it.stats.handled]).toEqual([4, 10]);
    await it.stop(0);
  });

  test("finishes what it has when it stops, and takes no more", async () => {
    const { runtime, consumer, push, left } = bench();
    const it = await consumer(() =>
      new Promise((resolve) => void runtime.clock.timer(500, () => resolve(ok(undefined))))
    );
    await push("a1", "a2");
    await runtime.advance(10);
    const stopped = it.stop(1000);
    await runtime.advance(2000);
    await stopped;
    expect([it.stats.handled, await left()]).toEqual([1, 1]);
  });

  test("gives back at once what it cannot finish", async () => {
    const { runtime, queue, consumer, push } = bench();
    const it = await consumer((_delivery, signal) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve(broken)))
    );
    await push("a1");
    await runtime.advance(10);
    const stopped = it.stop(100);
    await runtime.advance(100);
    await stopped;
    const [again] = await queue.pull("t", "g", { max: 1, lease: LEASE });
    expect([again?.id, again?.attempt]).toEqual(["a1", 2]);
  });

  test("goes on by itself when the queue comes back, also without its group", async () => {
    const { runtime, queue, consumer, push } = bench();
    let away = true;
    const down = (): Promise<never> => Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "away")));
    const flaky: Queue = {
      ...queueOf(queue),
      subscribe: (...args) => away ? down() : queue.subscribe(...args),
      pull: (...args) => away ? down() : queue.pull(...args),
    };
    const log: string[] = [];
    const it = await consumer(answering(log, []), { queue: flaky });
    await runtime.advance(60_000);
    expect(runtime.entries.filter(({ event }) => event === "consumer.unreachable").length).toBeGreaterThan(0);
    away = false;
    await runtime.advance(10_000);
    await push("a1");
    await runtime.advance(1000);
    expect(log).toEqual(["a1 1"]);
    await queue.unsubscribe("t", "g");
    await runtime.advance(60_000);
    await push("a2");
    await runtime.advance(1000);
    expect(log).toEqual(["a1 1", "a2 1"]);
    await it.stop(0);
  });
});

function queueOf(queue: Queue): Queue {
  return {
    window: queue.window,
    ordered: queue.ordered,
    push: (...args) => queue.push(...args),
    subscribe: (...args) => queue.subscribe(...args),
    unsubscribe: (...args) => queue.unsubscribe(...args),
    pull: (...args) => queue.pull(...args),
    backlog: (...args) => queue.backlog(...args),
  };
}
