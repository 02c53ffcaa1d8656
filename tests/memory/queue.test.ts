/** The queue within a process, as every queue is promised to be, and its own limits. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { memory, memoryQueue, type MemoryQueueOptions } from "@catga/catga/memory";
import type { Delivery, PullOptions, Queue, QueueItem } from "@catga/catga/ports";
import { queueConformance, type QueueUnderTest, seededRandom } from "@catga/catga/testing";
import { ModelRun } from "../../src/testing/queue_model_checks.ts";
import { QueueTrial } from "../../src/testing/queue_trial.ts";
import { type FakeRuntime, fakeRuntime, settle } from "../behaviors/fake_runtime.ts";

type Change = (queue: Queue, runtime: FakeRuntime) => Partial<Queue>;

function underTest(change: Change = () => ({}), options: Partial<MemoryQueueOptions> = {}): QueueUnderTest {
  const runtime = fakeRuntime();
  const queue = memoryQueue({ clock: runtime.clock, ...options });
  const changed: Queue = {
    window: queue.window,
    ordered: queue.ordered,
    push: (topic, items, options) => queue.push(topic, items, options),
    subscribe: (topic, group, options) => queue.subscribe(topic, group, options),
    unsubscribe: (topic, group, options) => queue.unsubscribe(topic, group, options),
    pull: (topic, group, options) => queue.pull(topic, group, options),
    backlog: (topic, group, options) => queue.backlog(topic, group, options),
    ...change(queue, runtime),
  };
  return { queue: changed, pass: (ms) => runtime.advance(ms) };
}

function checksOf(change?: Change): ReturnType<typeof queueConformance> {
  const small = (): Promise<QueueUnderTest> => Promise.resolve(underTest(change, { items: 100 }));
  return queueConformance(() => Promise.resolve(underTest(change)), { virtual: true, small });
}

describe("the memory queue is a queue", () => {
  for (const { name, run } of checksOf()) test(name, run);
});

test("whatever is done, the memory queue does as a plain list would, seeds 1 to 200", async () => {
  for (let seed = 1; seed <= 200; seed++) {
    await new ModelRun(new QueueTrial(underTest(), "", 1000), "t", seededRandom(seed)).run();
  }
});

describe("the conformance suite notices", () => {
  const broken: Readonly<Record<string, Change>> = {
    "groups that share what they get": (queue) => ({
      pull: (topic, _, options) => queue.pull(topic, "a", options),
    }),
    "a push that keeps one item after the other": (queue) => ({
      push: async (topic, items, options) => {
        await queue.push(topic, [], options);
        for (const item of items) await queue.push(topic, [item], options);
      },
    }),
    "a queue that does not know names again": (queue) => {
      let again = 0;
      return {
        push: (topic, items, options) =>
          queue.push(topic, items.map((item) => ({ ...item, id: named(item.id, again++) })), options),
        pull: async (topic, group, options) => {
          const taken = await queue.pull(topic, group, options);
          return taken.map((delivery) => changed(delivery, { id: delivery.id.split("\u0001")[0]! }));
        },
      };
    },
    "names that are one for all topics": (queue) => {
      const known = new Map<string, string>();
      return {
        push: (topic, items, options) =>
          queue.push(topic, items.filter(({ id }) => remembered(known, id, topic) === topic), options),
      };
    },
    "names that are forgotten when an item is done with": (queue) => {
      let again = 0;
      const done = new Map<string, number>();
      return {
        push: (topic, items, options) =>
          queue.push(
            topic,
            items.map((item) => ({ ...item, id: named(item.id, done.get(item.id)) })),
            options,
          ),
        pull: async (topic, group, options) => {
          const taken = await queue.pull(topic, group, options);
          return taken.map((delivery) => {
            const id = delivery.id.split("\u0001")[0]!;
            return changed(delivery, { id, ack: () => (done.set(id, again++), delivery.ack()) });
          });
        },
      };
    },
    "delays that are not kept": (queue) => ({
      push: (topic, items, options) =>
        queue.push(topic, items.map((item) => valid(item.delay) ? { ...item, delay: 0 } : item), options),
    }),
    "delays that a timer can count": (queue) => ({
      push: (topic, items, options) =>
        queue.push(
          topic,
          items.map((item) =>
            valid(item.delay) ? { ...item, delay: Math.min(item.delay!, 2 ** 31 - 1) } : item
          ),
          options,
        ),
    }),
    "leases that never end": (queue) => ({
      pull: (topic, group, options) =>
        queue.pull(
          topic,
          group,
          options.lease > 0 && options.lease < Infinity ? { ...options, lease: 1e15 } : options,
        ),
    }),
    "attempts that are not counted": eachDelivery((delivery) => ({ ...bound(delivery), attempt: 1 })),
    "a lease that is not looked at": eachDelivery((delivery) => ({
      ...bound(delivery),
      ack: () => delivery.ack().catch(() => {}),
    })),
    "an acknowledgement that cannot be repeated": eachDelivery((delivery) => {
      let acked = false;
      return {
        ...bound(delivery),
        ack: async () => {
          if (acked) await delivery.retry(0);
          await delivery.ack();
          acked = true;
        },
      };
    }),
    "an acknowledgement that gives back": eachDelivery((delivery) => ({
      ...bound(delivery),
      ack: () => delivery.retry(0),
    })),
    "an item that is given back at once": eachDelivery((delivery) => ({
      ...bound(delivery),
      retry: (delay) => delivery.retry(valid(delay) ? 0 : delay),
    })),
    "a lease that cannot be made longer": eachDelivery((delivery) => ({
      ...bound(delivery),
      extend: (lease) => lease > 0 && lease < Infinity ? Promise.resolve() : delivery.extend(lease),
    })),
    "a queue that does not know of keys": (queue) => ({
      push: (topic, items, options) =>
        queue.push(
          topic,
          items.map((item) => (item.key?.length ?? 0) < 500 ? { ...item, key: undefined } : item),
          options,
        ),
    }),
    "items that all have one key": (queue) => ({
      push: (topic, items, options) =>
        queue.push(topic, items.map((item) => ({ key: "one", ...item })), options),
    }),
    "an empty key that is none": (queue) => ({
      push: (topic, items, options) =>
        queue.push(topic, items.map((item) => item.key === "" ? { ...item, key: undefined } : item), options),
    }),
    "a pull that does not wait": (queue) => ({
      pull: (topic, group, { wait, ...options }) =>
        queue.pull(topic, group, valid(wait) ? options : { ...options, wait }),
    }),
    "a wait that cannot be given up": (queue) => ({
      pull: (topic, group, { signal, ...options }) =>
        queue.pull(topic, group, signal?.aborted ? { ...options, signal } : options),
    }),
    "signals that are not looked at": (queue) => ({ push: (topic, items) => queue.push(topic, items) }),
    "a pull without its limit": (queue) => ({
      pull: (topic, group, options) =>
        queue.pull(
          topic,
          group,
          Number.isSafeInteger(options.max) && options.max > 0 ? { ...options, max: 999 } : options,
        ),
    }),
    "the newest first": (queue) => ({
      pull: async (topic, group, options) => (await queue.pull(topic, group, options)).toReversed(),
    }),
    "groups that never end": (queue) => ({
      subscribe: (topic, group, { idle, signal } = {}) =>
        queue.subscribe(topic, group, valid(idle) && idle! > 0 ? { signal } : { idle, signal }),
    }),
    "a group that ends while it is asked": (queue, { clock }) => {
      const ends = new Map<string, number>();
      return {
        subscribe: (topic, group, options = {}) => {
          ends.set(topic + group, clock.mono() + (options.idle ?? Infinity));
          return queue.subscribe(topic, group, options);
        },
        pull: async (topic, group, options) => {
          if (ends.get(topic + group)! <= clock.mono()) await queue.unsubscribe(topic, group);
          return queue.pull(topic, group, options);
        },
      };
    },
    "a group that keeps what it had": () => ({ unsubscribe: () => Promise.resolve() }),
    "bytes that become text": (queue) => ({
      push: (topic, items, options) =>
        queue.push(
          topic,
          items.map((item) => item.payload.length > 9e4 ? item : { ...item, payload: `${item.payload}` }),
          options,
        ),
    }),
    "a payload that is shared": (queue) => {
      const kept = new Map<string, QueueItem["payload"]>();
      return {
        push: (topic, items, options) => {
          for (const { id, payload } of items) if (!kept.has(topic + id)) kept.set(topic + id, payload);
          return queue.push(topic, items, options);
        },
        pull: async (topic, group, options) => {
          const taken = await queue.pull(topic, group, options);
          return taken.map((delivery) => changed(delivery, { payload: kept.get(topic + delivery.id)! }));
        },
      };
    },
    "a backlog without what is in hands": (queue) => ({
      backlog: async (topic, group, options) => {
        const backlog = await queue.backlog(topic, group, options);
        return { ...backlog, items: backlog.items - backlog.leased };
      },
    }),
    "a backlog that is always new": (queue) => ({
      backlog: async (topic, group, options) => ({ ...await queue.backlog(topic, group, options), age: 0 }),
    }),
    "a group that begins when it is pulled": (queue) => ({
      pull: async (topic, group, options) => {
        await queue.subscribe(topic, group);
        return await queue.pull(topic, group, options);
      },
    }),
  };
  for (const [name, change] of Object.entries(broken)) {
    test(name, async () => {
      const outcomes = await Promise.allSettled(checksOf(change).map(({ run }) => run()));
      expect(outcomes.filter(({ status }) => status === "rejected").length).toBeGreaterThan(0);
    });
  }
});

describe("the memory queue", () => {
  test("is one for all nodes of a backend", async () => {
    const backend = memory();
    const [a, b] = ["a", "b"].map((id) =>
      backend.open({ self: { id, endpoint: `memory:${id}` }, runtime: fakeRuntime() }).queue!
    );
    await a!.subscribe("t", "g");
    await b!.push("t", [{ id: "1", payload: "one" }]);
    expect(await idsOf(a!)).toEqual(["1"]);
    const other = memory().open({ self: { id: "c", endpoint: "c" }, runtime: fakeRuntime() }).queue!;
    expect(await codeOf(other.pull("t", "g", pull))).toBe("NO_HANDLER");
  });

  test("counts items for each group, and gets room when they are done with", async () => {
    const queue = memoryQueue({ clock: fakeRuntime().clock, items: 5 });
    await queue.subscribe("t", "g");
    await queue.subscribe("t", "h");
    await queue.push("t", items("1", "2"));
    expect(await codeOf(queue.push("t", items("3")))).toBe("OVERLOADED");
    expect(await codeOf(queue.push("t", items("1", "2")))).toBe("ok");
    for (const delivery of await queue.pull("t", "g", pull)) await delivery.ack();
    await queue.push("t", items("3"));
    expect(await codeOf(queue.push("t", items("4")))).toBe("OVERLOADED");
    await queue.unsubscribe("t", "h");
    await queue.push("t", items("4", "5", "6"));
    expect(await idsOf(queue)).toEqual(["3", "4", "5", "6"]);
  });

  test("counts bytes once for all groups, and forgets none of them", async () => {
    const queue = memoryQueue({ clock: fakeRuntime().clock, bytes: 1000 });
    await queue.subscribe("t", "g");
    await queue.subscribe("t", "h");
    for (let round = 0; round < 100; round++) {
      const large = {
        id: `${round}`,
        key: "k",
        payload: round % 2 === 0 ? "x".repeat(400) : new Uint8Array(800),
      };
      await queue.push("t", [large]);
      expect(await codeOf(queue.push("t", [{ ...large, id: "more" }]))).toBe("OVERLOADED");
      for (const group of ["g", "h"]) {
        for (const delivery of await queue.pull("t", group, pull)) await delivery.ack();
      }
    }
    await queue.push("t", [{ id: "left", payload: "x".repeat(400) }]);
    for (const group of ["g", "h"]) await queue.unsubscribe("t", group);
    await queue.subscribe("t", "g");
    expect(await codeOf(queue.push("t", [{ id: "after", payload: "x".repeat(400) }]))).toBe("ok");
  });

  test("gets room from groups that nobody asks", async () => {
    const { clock, advance } = fakeRuntime();
    const queue = memoryQueue({ clock, items: 2, groups: 2 });
    await queue.subscribe("u", "idle", { idle: 100 });
    await queue.push("u", items("1", "2"));
    await queue.subscribe("t", "g");
    expect(await codeOf(queue.push("t", items("1")))).toBe("OVERLOADED");
    expect(await codeOf(queue.subscribe("t", "h"))).toBe("OVERLOADED");
    await advance(100);
    await queue.push("t", items("1"));
    await queue.subscribe("t", "h");
    expect(await codeOf(queue.subscribe("t", "i"))).toBe("OVERLOADED");
    expect(await codeOf(queue.subscribe("t", "h"))).toBe("ok");
  });

  test("lets so many wait", async () => {
    const { clock, advance } = fakeRuntime();
    const queue = memoryQueue({ clock, waits: 2 });
    await queue.subscribe("t", "g");
    const waits = [1, 2].map(() => queue.pull("t", "g", { ...pull, wait: 100 }));
    expect(await codeOf(queue.pull("t", "g", { ...pull, wait: 100 }))).toBe("OVERLOADED");
    expect(await queue.pull("t", "g", pull)).toEqual([]);
    await advance(100);
    expect(await Promise.all(waits)).toEqual([[], []]);
    const again = queue.pull("t", "g", { ...pull, wait: 100 });
    await queue.push("t", items("1"));
    expect(await again).toHaveLength(1);
  });

  test("forgets the oldest names when there are too many", async () => {
    const queue = memoryQueue({ clock: fakeRuntime().clock, names: 3 });
    await queue.subscribe("t", "g");
    await queue.push("t", items("1", "2", "3"));
    await queue.push("t", items("1", "4"));
    await queue.push("t", items("2", "3", "1"));
    expect(await idsOf(queue)).toEqual(["1", "2", "3", "4", "1"]);
  });

  test("a wait that was given up takes nothing, and those who came first are served first", async () => {
    const queue = memoryQueue({ clock: fakeRuntime().clock });
    await queue.subscribe("t", "g");
    const controller = new AbortController();
    const wait = (signal?: AbortSignal): Promise<readonly Delivery[]> =>
      queue.pull("t", "g", { max: 1, lease: 1000, wait: 1000, signal });
    const given = codeOf(wait(controller.signal));
    const [first, second] = [wait(), wait()];
    controller.abort();
    await queue.push("t", items("1", "2"));
    expect(await given).toBe("CANCELLED");
    expect((await first).map(shown)).toEqual(["1 1"]);
    expect((await second).map(shown)).toEqual(["2 1"]);
  });

  test("has no timer while nobody waits, and few while somebody does", async () => {
    const runtime = fakeRuntime();
    const queue = memoryQueue({ clock: runtime.clock });
    await queue.subscribe("t", "g", { idle: 10_000 });
    await queue.push("t", [{ id: "1", payload: "", delay: 100 }, { id: "2", payload: "" }]);
    await queue.pull("t", "g", pull);
    expect(runtime.pending()).toBe(0);
    const waits = Array.from({ length: 10 }, () => queue.pull("t", "g", { ...pull, max: 1, wait: 500 }));
    expect(runtime.pending()).toBe(11);
    for (let more = 3; more < 8; more++) {
      await queue.push("t", [{ id: `${more}`, payload: "", delay: 50 * more }]);
    }
    expect(runtime.pending()).toBe(11);
    await queue.push("t", [{ id: "0", payload: "", delay: 60 }]);
    expect(runtime.pending()).toBe(11);
    await runtime.advance(100);
    expect((await waits[0])?.map(shown)).toEqual(["0 1"]);
    await runtime.advance(500);
    expect((await Promise.all(waits)).flat().map(shown)).toEqual([
      "0 1",
      "1 1",
      "3 1",
      "4 1",
      "5 1",
      "6 1",
      "7 1",
    ]);
    expect(runtime.pending()).toBe(0);
  });

  test("leaves nothing behind on a signal that outlives its waits", async () => {
    const queue = memoryQueue({ clock: fakeRuntime().clock });
    await queue.subscribe("t", "g");
    const { signal } = new AbortController();
    let listeners = 0;
    const count = (name: "addEventListener" | "removeEventListener", by: number): void => {
      const plain = signal[name].bind(signal);
      const counted = (type: string, listener: () => void): void => {
        listeners += by;
        plain(type, listener);
      };
      Object.defineProperty(signal, name, { value: counted });
    };
    count("addEventListener", 1);
    count("removeEventListener", -1);
    const waits = [1, 2].map(() => queue.pull("t", "g", { ...pull, max: 1, wait: 100, signal }));
    expect(listeners).toBe(2);
    await queue.push("t", items("1", "2"));
    await Promise.all(waits);
    expect(listeners).toBe(0);
  });

  test("tells the age of the oldest item, in whatever order they are done with", async () => {
    const order = fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 });
    await fc.assert(fc.asyncProperty(order, async (order) => {
      const { clock, advance } = fakeRuntime();
      const queue = memoryQueue({ clock });
      await queue.subscribe("t", "g");
      for (const id of order.toSorted()) {
        await queue.push("t", items(`${id}`));
        await advance(1);
      }
      const taken = await queue.pull("t", "g", pull);
      const left = new Set(order);
      for (const id of order) {
        expect((await queue.backlog("t", "g")).age).toBe(6 - Math.min(...left));
        await taken[id]!.ack();
        left.delete(id);
      }
      expect(await queue.backlog("t", "g")).toEqual({ items: 0, leased: 0, age: 0 });
    }));
  });

  test("hands out what is due at one time in the order in which it was pushed", async () => {
    const { clock, advance } = fakeRuntime();
    const queue = memoryQueue({ clock });
    await queue.subscribe("t", "g");
    const ids = Array.from({ length: 50 }, (_, at) => `${at}`);
    await queue.push("t", ids.map((id) => ({ id, payload: "", delay: 10 })));
    await advance(10);
    expect(await idsOf(queue)).toEqual(ids);
  });

  test("has no timer left when a wait is given up or its group ends", async () => {
    const runtime = fakeRuntime();
    const queue = memoryQueue({ clock: runtime.clock });
    await queue.subscribe("t", "g");
    await queue.push("t", [{ id: "1", payload: "", delay: 100 }]);
    const controller = new AbortController();
    const given = codeOf(queue.pull("t", "g", { ...pull, wait: 1000, signal: controller.signal }));
    const ended = codeOf(queue.pull("t", "g", { ...pull, wait: 1000 }));
    controller.abort();
    expect(runtime.pending()).toBe(2);
    await queue.unsubscribe("t", "g");
    expect([await given, await ended, runtime.pending()]).toEqual(["CANCELLED", "NO_HANDLER", 0]);
  });

  test("hands out first what has been due for longest", async () => {
    const { clock, advance } = fakeRuntime();
    const queue = memoryQueue({ clock });
    await queue.subscribe("t", "g");
    await queue.push("t", [{ id: "later", payload: "", delay: 50 }, { id: "soon", payload: "", delay: 20 }]);
    await queue.push("t", items("now"));
    await advance(30);
    await queue.push("t", items("after"));
    await advance(30);
    const taken = await queue.pull("t", "g", pull);
    expect(taken.map(({ id }) => id)).toEqual(["now", "soon", "after", "later"]);
    await queue.push("t", items("new"));
    for (const delivery of taken) await delivery.retry(0);
    expect((await queue.pull("t", "g", pull)).map(({ id }) => id)).toEqual([
      "new",
      "now",
      "soon",
      "after",
      "later",
    ]);
  });

  test.each(["items", "bytes", "groups", "waits", "window", "names"] as const)("refuses no %s", (name) => {
    const { clock } = fakeRuntime();
    for (const limit of [0, -1, NaN]) {
      expect(() => memoryQueue({ clock, [name]: limit })).toThrow(`${name} is ${limit}`);
    }
  });
});

describe("faults of the original", () => {
  test("C2, F14: what was in the hands of one that died comes to another, and each item to one", async () => {
    const { clock, advance } = fakeRuntime();
    const queue = memoryQueue({ clock });
    await queue.subscribe("t", "g");
    await queue.push("t", items("1", "2", "3"));
    const dead = await queue.pull("t", "g", { max: 2, lease: 1000 });
    const living = queue.pull("t", "g", { ...pull, wait: 5000 });
    expect((await living).map(shown)).toEqual(["3 1"]);
    await advance(1000);
    expect((await queue.pull("t", "g", pull)).map(shown)).toEqual(["1 2", "2 2"]);
    expect(await Promise.all(dead.map((delivery) => codeOf(delivery.ack())))).toEqual([
      "CONFLICT",
      "CONFLICT",
    ]);
  });

  test("C4: many that push at the same time do not get over the limit, and none is dropped unheard", async () => {
    const queue = memoryQueue({ clock: fakeRuntime().clock, items: 100 });
    await queue.subscribe("t", "g");
    const ends = await Promise.all(
      Array.from({ length: 300 }, (_, at) => codeOf(queue.push("t", items(`${at}`)))),
    );
    expect(ends.filter((end) => end === "ok")).toHaveLength(100);
    expect(ends.filter((end) => end === "OVERLOADED")).toHaveLength(200);
    expect((await queue.backlog("t", "g")).items).toBe(100);
  });

  test("F13: every wait is answered when what it waits for ends", async () => {
    const runtime = fakeRuntime();
    const queue = memoryQueue({ clock: runtime.clock });
    await queue.subscribe("t", "g", { idle: 100 });
    const waits = Array.from({ length: 50 }, () => codeOf(queue.pull("t", "g", { ...pull, wait: 1e9 })));
    await runtime.advance(10_000);
    await queue.unsubscribe("t", "g");
    expect(new Set(await Promise.all(waits))).toEqual(new Set(["NO_HANDLER"]));
  });

  test("F18: what one handler has to do again no other has", async () => {
    const queue = memoryQueue({ clock: fakeRuntime().clock });
    for (const handler of ["g", "h"]) await queue.subscribe("t", handler);
    await queue.push("t", items("1"));
    const [[g], [h]] = [await queue.pull("t", "g", pull), await queue.pull("t", "h", pull)];
    await g!.ack();
    await h!.retry(0);
    expect([await idsOf(queue, "g"), await idsOf(queue, "h")]).toEqual([[], ["1"]]);
  });

  test("F19: a batch of n arrives n times, whatever its items have in common", async () => {
    const queue = memoryQueue({ clock: fakeRuntime().clock });
    await queue.subscribe("t", "g");
    await queue.push("t", Array.from({ length: 500 }, (_, at) => ({ id: `${at}`, payload: "the same" })));
    expect(await idsOf(queue)).toHaveLength(500);
  });

  test("F17: an item comes again, however often who took it goes away", async () => {
    const runtime = fakeRuntime();
    const queue = memoryQueue({ clock: runtime.clock });
    await queue.subscribe("t", "g");
    await queue.push("t", items("1"));
    for (let times = 1; times <= 20; times++) {
      const controller = new AbortController();
      const wait = queue.pull("t", "g", { max: 1, lease: 10, wait: 100, signal: controller.signal });
      await settle();
      controller.abort();
      expect((await wait).map(shown)).toEqual([`1 ${times}`]);
      await runtime.advance(10);
    }
  });
});

const pull: PullOptions = { max: 1000, lease: 30_000 };

function items(...ids: string[]): QueueItem[] {
  return ids.map((id) => ({ id, payload: id }));
}

async function idsOf(queue: Queue, group = "g"): Promise<string[]> {
  return (await queue.pull("t", group, pull)).map(({ id }) => id);
}

function shown({ id, attempt }: Delivery): string {
  return `${id} ${attempt}`;
}

function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(() => "ok", (error: { code: string }) => error.code);
}

function valid(ms: number | undefined): boolean {
  return ms !== undefined && ms >= 0 && ms < Infinity;
}

function named(id: string, again: number | undefined): string {
  return again === undefined || id.length === 0 || id.length > 100 || !id.isWellFormed()
    ? id
    : `${id}\u0001${again}`;
}

function remembered(known: Map<string, string>, id: string, topic: string): string {
  const found = known.get(id) ?? topic;
  known.set(id, found);
  return found;
}

function eachDelivery(change: (delivery: Delivery) => Delivery): Change {
  return (queue) => ({
    pull: async (topic, group, options) => (await queue.pull(topic, group, options)).map(change),
  });
}

function changed(delivery: Delivery, changes: Partial<Delivery>): Delivery {
  return { ...bound(delivery), ...changes };
}

/** A delivery as a plain object. */
function bound(delivery: Delivery): Delivery {
  const { id, key, payload, attempt, pushed } = delivery;
  return {
    id,
    key,
    payload,
    attempt,
    pushed,
    ack: () => delivery.ack(),
    retry: (delay) => delivery.retry(delay),
    extend: (lease) => delivery.extend(lease),
  };
}
