/** The event store within a process, as every event store is promised to be, and its own limits. */

import { describe, expect, test } from "bun:test";
import { memoryEventStore, memoryStorage } from "@catga/catga/memory";
import type { EventStore, StoredEvent } from "@catga/catga/ports";
import { eventStoreConformance, type EventStoreUnderTest } from "@catga/catga/testing";
import { type FakeRuntime, fakeRuntime } from "../behaviors/fake_runtime.ts";

type Change = (events: EventStore, runtime: FakeRuntime) => Partial<EventStore>;

function underTest(change: Change = () => ({})): EventStoreUnderTest {
  const runtime = fakeRuntime();
  const events = memoryEventStore({ clock: runtime.clock });
  const changed: EventStore = {
    append: (stream, given, options) => events.append(stream, given, options),
    read: (stream, options) => events.read(stream, options),
    find: (stream, id, options) => events.find(stream, id, options),
    readAll: (options) => events.readAll(options),
    head: (options) => events.head(options),
    changed: (after, options) => events.changed(after, options),
    ...change(events, runtime),
  };
  return { events: changed, pass: (ms) => runtime.advance(ms) };
}

describe("the memory event store is an event store", () => {
  for (const { name, run } of eventStoreConformance(() => Promise.resolve(underTest()))) test(name, run);
});

describe("the conformance suite notices", () => {
  const broken: Readonly<Record<string, Change>> = {
    "F22: an append that expects anything": (events) => ({
      append: (stream, given) => events.append(stream, given),
    }),
    "F22: no difference between `absent` and `any`": (events) => ({
      append: (stream, given, { expected } = {}) =>
        events.append(stream, given, { expected: expected === "absent" ? "any" : expected }),
    }),
    "F22: versions from 0": (events) => ({
      append: async (stream, given, options) => {
        const { version, position } = await events.append(stream, given, options);
        return { version: version - 1, position };
      },
    }),
    "an append that looks first and writes later": (events) => ({
      append: async (stream, given, { expected, ...options } = {}) => {
        await events.append(stream, [], { expected });
        await Promise.resolve();
        return events.append(stream, given, options);
      },
    }),
    "F24: events of one append written one by one": (events) => ({
      append: async (stream, given, options) => {
        let answer = await events.append(stream, [], given.length === 0 ? options : {});
        for (const [at, event] of given.entries()) {
          answer = await events.append(stream, [event], at === 0 ? options : {});
        }
        return answer;
      },
    }),
    "a repeated append that is a conflict": (events) => ({
      append: async (stream, given, options) => {
        if (given.length > 0 && await events.find(stream, given[0]!.id) !== undefined) {
          return events.append(stream, [], { expected: 999 });
        }
        return events.append(stream, given, options);
      },
    }),
    "a repeated append that is answered with the stream's version": (events) => ({
      append: async (stream, given, options) => {
        await events.append(stream, given, options);
        return events.append(stream, []);
      },
    }),
    "ids that are not looked at": (events) => {
      let count = 0;
      const ids = new Map<string, string>();
      const named = (event: StoredEvent): StoredEvent => ({ ...event, id: ids.get(event.id)! });
      return {
        append: (stream, given, options) =>
          events.append(
            stream,
            given.map((event) => {
              ids.set(`${count}`, event.id);
              return { ...event, id: `${count++}` };
            }),
            options,
          ),
        read: async (stream, options) => (await events.read(stream, options)).map(named),
        readAll: async (options) => (await events.readAll(options)).map(named),
      };
    },
    "a conflict that does not say what was found": (events) => ({
      append: (stream, given, options) =>
        events.append(stream, given, options).catch((error) =>
          Promise.reject(Object.assign(error, { data: {} }))
        ),
    }),
    "meta that is dropped": (events) => ({
      append: (stream, given, options) =>
        events.append(stream, given.map(({ id, type, data }) => ({ id, type, data })), options),
    }),
    "F23: pages that begin at the start": (events) => ({
      read: async (stream, { from = 1, limit = 1000, backward, ...options } = {}) => {
        const page = await events.read(stream, { limit, backward, ...options });
        return backward ? page : page.filter(({ version }) => version >= from);
      },
    }),
    "no reading backward": (events) => ({
      read: (stream, options) => events.read(stream, { ...options, backward: false }),
    }),
    "a limit that is not kept": (events) => ({
      readAll: ({ limit: _, ...options } = {}) => events.readAll(options),
    }),
    "F25: an order of each stream's own": (events) => ({
      readAll: async (options) =>
        (await events.readAll(options)).map((event) => ({ ...event, position: event.version })),
    }),
    "positions from 0": (events) => ({
      readAll: async ({ after, ...options } = {}) =>
        (await events.readAll({ ...options, after: after === undefined ? 0 : after + 1 }))
          .map((event) => ({ ...event, position: event.position - 1 })),
    }),
    "an event that is not found by its id": (events) => ({
      find: (stream, id, options) => events.find(stream, id === "29" ? "28" : id, options),
    }),
    "an id that is looked for in all streams": (events) => ({
      find: async (_, id, options) => {
        await events.find("s", id, options);
        return (await events.readAll()).find((event) => event.id === id);
      },
    }),
    "a head that stands still": () => ({ head: () => Promise.resolve(0) }),
    "a wait that never ends": (events) => ({
      changed: (after, { wait, signal }) => events.changed(after, { wait: wait * 1000, signal }),
    }),
    "a wait that hears of nothing": (events) => ({
      changed: (_, options) => events.changed(Number.MAX_SAFE_INTEGER, options),
    }),
    "a signal that is not heeded": (events) => ({
      append: (stream, given, { expected } = {}) => events.append(stream, given, { expected }),
    }),
    "times that go back": (events) => ({
      readAll: async (options) =>
        (await events.readAll(options)).map((event) => ({ ...event, at: -event.position })),
    }),
    "empty texts for what is not there": (events) => ({
      read: async (stream, options) =>
        (await events.read(stream, options)).map((event) => ({ ...event, meta: event.meta ?? "" })),
    }),
  };
  for (const [what, change] of Object.entries(broken)) {
    test(what, async () => {
      const checks = eventStoreConformance(() => Promise.resolve(underTest(change)));
      const failed: string[] = [];
      for (const { name, run } of checks) {
        let end: unknown = "hangs";
        void run().then(() => end = undefined, (thrown) => end = thrown);
        for (let turns = 0; turns < 20_000 && end === "hangs"; turns++) await Promise.resolve();
        if (end !== undefined) failed.push(name);
      }
      expect(failed.length).toBeGreaterThan(0);
    });
  }
});

describe("the memory event store", () => {
  const event = (id: string, data = "") => ({ id, type: "t", data });

  test("takes so many events and so many bytes, and nothing of an append that is too much", async () => {
    const { clock } = fakeRuntime();
    const few = memoryEventStore({ clock, events: 3 });
    await few.append("a", [event("1"), event("2")]);
    expect(await codeOf(few.append("b", [event("1"), event("2")]))).toBe("OVERLOADED");
    expect([await few.head(), await few.read("b")]).toEqual([2, []]);
    await few.append("b", [event("1")]);
    expect(await codeOf(few.append("b", [event("1")]))).toBe("ok");
    const small = memoryEventStore({ clock, bytes: 100 });
    expect(await codeOf(small.append("a", [event("1", "d".repeat(48))]))).toBe("OVERLOADED");
    expect(await codeOf(small.append("a", [event("1", "d".repeat(47))]))).toBe("ok");
    expect(await codeOf(small.append("a", [event("2")]))).toBe("OVERLOADED");
  });

  test("takes so many waits, and keeps no timer of those that are over", async () => {
    const runtime = fakeRuntime();
    const events = memoryEventStore({ clock: runtime.clock, waits: 2 });
    const controller = new AbortController();
    const waits = [
      events.changed(0, { wait: 1000 }),
      codeOf(events.changed(0, { wait: 1000, signal: controller.signal })),
    ];
    expect(await codeOf(events.changed(0, { wait: 1000 }))).toBe("OVERLOADED");
    controller.abort();
    expect(await waits[1]).toBe("CANCELLED");
    expect(runtime.pending()).toBe(1);
    await events.append("a", [event("1")]);
    await waits[0];
    expect(runtime.pending()).toBe(0);
    const late = events.changed(1, { wait: 1000 });
    await runtime.advance(1000);
    await late;
    expect(runtime.pending()).toBe(0);
  });

  test("F24: events never go of themselves, in no time", async () => {
    const runtime = fakeRuntime();
    const events = memoryEventStore({ clock: runtime.clock });
    await events.append("a.b", [event("1")]);
    await runtime.advance(1000 * 86_400_000);
    expect(await events.read("a.b")).toHaveLength(1);
  });

  test("F27: what it was given and what it gave can be changed without changing what it keeps", async () => {
    const events = memoryEventStore({ clock: fakeRuntime().clock });
    const given = { id: "1", type: "t", data: "before" };
    await events.append("a", [given]);
    given.data = "after";
    const [read] = await events.read("a") as unknown as [{ data: string }];
    expect(() => read.data = "after").toThrow();
    (await events.read("a") as StoredEvent[]).pop();
    (await events.readAll() as StoredEvent[]).pop();
    expect((await events.read("a")).map(({ data }) => data)).toEqual(["before"]);
    expect(await events.readAll()).toHaveLength(1);
  });

  test("dates no event before the one that precedes it, though its clock is set back", async () => {
    let now = 5000;
    const { clock } = fakeRuntime();
    const events = memoryEventStore({ clock: { wall: () => now, timer: clock.timer } });
    await events.append("a", [event("1")]);
    now = 1000;
    await events.append("a", [event("2")]);
    now = 6000;
    await events.append("b", [event("3")]);
    expect((await events.readAll()).map(({ at }) => at)).toEqual([5000, 5000, 6000]);
  });

  test("refuses limits that are none", () => {
    const { clock } = fakeRuntime();
    for (const limit of [{ events: 0 }, { bytes: NaN }, { waits: -1 }]) {
      expect(() => memoryEventStore({ clock, ...limit })).toThrow(RangeError);
    }
  });

  test("is part of the memory storage", async () => {
    const { events } = memoryStorage(fakeRuntime().clock);
    await events!.append("a", [event("1")]);
    expect(await events!.head()).toBe(1);
  });
});

function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(() => "ok", (error: { code: string }) => error.code);
}
