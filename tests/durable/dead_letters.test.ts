/** What could not be handled: kept once and whole, to be looked at, replayed and dropped. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CatgaError, systemFault } from "@catga/catga";
import {
  type DeadLetters,
  deadLetters,
  type DeadLettersOptions,
  deliveryName,
  type NewDeadLetter,
} from "@catga/catga/durable";
import { memoryQueue, memoryStore } from "@catga/catga/memory";
import type { Frame, Queue, Store } from "@catga/catga/ports";
import { CrashPoint } from "@catga/catga/testing";
import { toySigner } from "../../src/testing/toy_signer.ts";
import { encodeParcel } from "../../src/wire/parcel.ts";
import { json } from "../../src/wire/json.ts";
import { type FakeRuntime, fakeRuntime, settle } from "../behaviors/fake_runtime.ts";
import { methods } from "./idempotency_nodes.ts";

const DAY = 86_400_000;
const TOPIC = "orders.created";
const GROUP = "billing/charge";

interface Shop {
  readonly time: FakeRuntime;
  readonly store: Store;
  readonly queue: Queue;
  readonly letters: DeadLetters;
  open(options?: Partial<DeadLettersOptions>, change?: (store: Store) => Partial<Store>): DeadLetters;
}

function shop(): Shop {
  const time = fakeRuntime();
  let last = 0;
  const random = { u32: () => last += 7 };
  const runtime = { clock: time.clock, random, crypto: toySigner() };
  const store = memoryStore({ clock: time.clock });
  const queue = memoryQueue({ clock: time.clock });
  const open: Shop["open"] = (options, change) =>
    deadLetters({ ...methods(store), ...change?.(store) }, { runtime, ...options });
  return { time, store, queue, letters: open(), open };
}

function letter(change: Partial<NewDeadLetter> = {}): NewDeadLetter {
  return {
    topic: TOPIC,
    group: GROUP,
    id: "m1",
    payload: "apples",
    pushed: 5,
    attempts: 3,
    handedOut: 7,
    fault: systemFault("INTERNAL", "it broke"),
    ...change,
  };
}

const large = (unit: string): string => unit.repeat(Math.floor(262_144 / unit.length));

describe("a dead letter", () => {
  test("says what it is and why, and can be looked at as often as one likes (F30)", async () => {
    const { letters, time } = shop();
    const parcel = {
      type: TOPIC,
      id: "m1",
      body: { sku: "p1" },
      correlationId: "c",
      causationId: undefined,
      headers: { tenant: "x" },
    };
    await letters.put(letter({ key: "k", payload: encodeParcel(json, parcel) }));
    const shown = {
      name: "orders.created/billing%2Fcharge/m1",
      topic: TOPIC,
      group: GROUP,
      id: "m1",
      key: "k",
      pushed: 5,
      at: time.clock.wall(),
      attempts: 3,
      handedOut: 7,
      replays: 0,
      code: "INTERNAL",
      message: "it broke",
      size: encodeParcel(json, parcel).length,
    };
    for (let look = 0; look < 2; look++) {
      expect(await letters.list()).toEqual({ letters: [shown], next: undefined, total: 1 });
      expect(await letters.show(shown.name)).toEqual({
        ...shown,
        payload: encodeParcel(json, parcel),
        content: parcel,
      });
    }
    expect(await letters.show("nothing")).toBeUndefined();
  });

  test("is there once for each delivery and group, however often it is put, by whomever (F30)", async () => {
    const { letters, open } = shop();
    const other = open();
    await Promise.all([letters.put(letter()), other.put(letter()), letters.put(letter({ attempts: 9 }))]);
    await other.put(letter({ group: "mail" }));
    await other.put(letter({ id: "m2" }));
    await other.put(letter({ topic: "other" }));
    expect((await letters.list()).total).toBe(4);
  });

  test("stays as it was put first", async () => {
    const { letters } = shop();
    await letters.put(letter());
    await letters.put(letter({ attempts: 9, payload: "pears" }));
    expect((await letters.list()).letters).toMatchObject([{ attempts: 3, size: 6 }]);
  });

  test("of a name that is a hash of another is another", async () => {
    const { letters } = shop();
    const group = "x".repeat(256);
    await letters.put(letter({ group }));
    await letters.put(letter({ group: `~${await toySigner().hash(JSON.stringify(group))}` }));
    expect((await letters.list()).total).toBe(2);
  });

  test.each<readonly [string, Frame]>([
    ["no characters", ""],
    ["no message", "{"],
    ["an unknown format", '[99,"parcel",[]]'],
    ["JSON nested 100,000 levels deep (F17)", "[".repeat(100_000) + "]".repeat(100_000)],
    ["odd text", 'a"\\\n\u0000\u2028é😀\ud800'],
    ["as many characters as a queue takes", large("x")],
    ["as many of three bytes", large("€")],
    ["as many of four bytes", large("😀")],
    ["as many that are none", large("\ud83d")],
    ["as many quotes", large('"')],
    ["bytes", new Uint8Array([0, 255, 128])],
    ["no bytes", new Uint8Array(0)],
    ["as many bytes as a queue takes", Uint8Array.from({ length: 262_144 }, (_, at) => at * 7)],
  ])("keeps %s as it came", async (_name, payload) => {
    const { letters, store, queue } = shop();
    await letters.put(letter({ payload }));
    const { name, size } = (await letters.list()).letters[0]!;
    const shown = await letters.show(name);
    expect([size, shown!.content]).toEqual([payload.length, undefined]);
    expect(typeof shown!.payload === typeof payload && same(shown!.payload, payload)).toBe(true);
    // What no queue takes never came from one.
    if (typeof payload === "string" && !payload.isWellFormed()) return;
    await queue.subscribe(TOPIC, GROUP);
    expect(await letters.replay([name], { queue })).toBe(1);
    const [delivery] = await queue.pull(TOPIC, GROUP, { max: 1, lease: 1000 });
    expect(same(delivery!.payload, payload)).toBe(true);
    expect(await store.list("")).toEqual([]);
  });

  test("keeps any payload and names of any kind as they came", async () => {
    const { letters } = shop();
    const name = fc.oneof(
      fc.string({ unit: "binary", minLength: 1, maxLength: 128 }),
      fc.string({ minLength: 100, maxLength: 128 }),
      fc.constantFrom("~", "a/b", "%7E", "\ud800", "a~replay.0.x"),
    );
    const payload = fc.oneof(
      fc.string({ unit: "binary", maxLength: 5000 }),
      fc.uint8Array({ maxLength: 5000 }),
    );
    await fc.assert(
      fc.asyncProperty(name, name, name, payload, async (topic, group, id, payload) => {
        await letters.put(letter({ topic, group, id, payload }));
        const { letters: found, total } = await letters.list({ topic, group });
        expect([total, found[0]!.topic, found[0]!.group]).toEqual([1, topic, group]);
        if (id.length <= 96) expect(found[0]!.id).toBe(id);
        expect(same((await letters.show(found[0]!.name))!.payload, payload)).toBe(true);
        expect(await letters.drop({ topic, group })).toBe(1);
      }),
      { numRuns: 200 },
    );
    expect((await letters.list()).total).toBe(0);
  });

  test("with a long message keeps the beginning of it", async () => {
    const { letters } = shop();
    await letters.put(letter({ fault: systemFault("TIMEOUT", "😀".repeat(5000)) }));
    expect((await letters.list()).letters[0]!.message.length).toBe(2000);
  });
});

describe("the list", () => {
  test("comes in pages, by topic, by group, and by both", async () => {
    const { letters } = shop();
    for (let at = 0; at < 25; at++) {
      const id = String(at).padStart(2, "0");
      await letters.put(letter({ id, topic: at % 5 === 0 ? "b" : "a", group: at % 2 === 0 ? "g" : "h" }));
    }
    const seen: string[] = [];
    for (let after: string | undefined = "";;) {
      const page: Awaited<ReturnType<typeof letters.list>> = await letters.list({
        topic: "a",
        after,
        limit: 7,
      });
      expect(page.total).toBe(20);
      seen.push(...page.letters.map(({ id }) => id));
      if (page.next === undefined) break;
      after = page.next;
    }
    expect([...seen].sort()).toEqual(
      [...Array(25).keys()].filter((at) => at % 5 !== 0).map((at) => String(at).padStart(2, "0")),
    );
    expect((await letters.list({ group: "g" })).total).toBe(13);
    expect((await letters.list({ topic: "b", group: "h" })).total).toBe(2);
    await expect(letters.list({ limit: 0 })).rejects.toThrow(RangeError);
  });

  test("leaves out what is no letter", async () => {
    const { letters, store } = shop();
    await store.put("dead-letters/x", "{");
    await store.put("dead-letters/y", "{}");
    expect((await letters.list()).total).toBe(0);
  });

  test("has room for so many: more stay where they are, and there is room again", async () => {
    const { open, time } = shop();
    const letters = open({ limit: 2 });
    await letters.put(letter({ id: "1" }));
    await open({ limit: 2 }).put(letter({ id: "2" }));
    await time.advance(1000);
    const full = await code(letters.put(letter({ id: "3" })));
    expect([full, (await letters.list()).total]).toEqual(["OVERLOADED", 2]);
    // What is there already may be put again.
    await letters.put(letter({ id: "2" }));
    await letters.drop((await letters.list()).letters.slice(0, 1).map(({ name }) => name));
    await time.advance(1000);
    await letters.put(letter({ id: "3" }));
    expect((await letters.list()).total).toBe(2);
    expect(() => open({ limit: 0 })).toThrow(RangeError);
  });

  test("is not read through for each letter", async () => {
    const { open } = shop();
    let lists = 0;
    const letters = open(
      {},
      (store) => ({ list: (prefix, options) => (lists++, store.list(prefix, options)) }),
    );
    for (let at = 0; at < 300; at++) await letters.put(letter({ id: `${at}` }));
    expect(lists).toBeLessThan(5);
  });
});

describe("a replay", () => {
  test("goes to the group whose letter it is, under a name that leads back to the first", async () => {
    const { letters, queue } = shop();
    for (const group of [GROUP, "mail"]) await queue.subscribe(TOPIC, group);
    await queue.push(TOPIC, [{ id: "m1", payload: "apples" }]);
    const [first] = await queue.pull(TOPIC, GROUP, { max: 1, lease: 1000 });
    await letters.put({ ...letter(), key: "k" });
    await first!.ack();
    expect(await letters.replay({}, { queue })).toBe(1);
    expect((await letters.list()).total).toBe(0);
    const [again] = await queue.pull(TOPIC, GROUP, { max: 1, lease: 1000 });
    const { id, replays, isFor } = deliveryName(again!.id);
    expect([id, replays, again!.key, again!.payload]).toEqual(["m1", 1, "k", "apples"]);
    expect([isFor(GROUP), isFor("mail")]).toEqual([true, false]);
    // Failing again it is the same letter, replayed once more.
    await letters.put(letter({ id: again!.id, attempts: 1 }));
    await again!.ack();
    expect((await letters.list()).letters).toMatchObject([{ id: "m1", replays: 1, attempts: 1 }]);
    await letters.replay({ topic: TOPIC }, { queue });
    const [third] = await queue.pull(TOPIC, GROUP, { max: 1, lease: 1000 });
    expect(deliveryName(third!.id)).toMatchObject({ id: "m1", replays: 2 });
  });

  test("that failed before it was off the list stays on it", async () => {
    const { open, queue } = shop();
    const letters = open({}, (store) => ({
      delete: async (key, options) => {
        const [delivery] = await queue.pull(TOPIC, GROUP, { max: 1, lease: 1000 });
        if (delivery !== undefined) await open().put(letter({ id: delivery.id, payload: large("y") }));
        await store.delete(key, options);
      },
    }));
    await queue.subscribe(TOPIC, GROUP);
    for (const payload of ["small", large("x")]) {
      await letters.put(letter({ payload }));
      await letters.replay({}, { queue });
      const { letters: [found] } = await open().list();
      expect(found).toMatchObject({ id: "m1", replays: 1 });
      expect((await open().show(found!.name))!.payload).toBe(large("y"));
      expect(await open().drop([found!.name])).toBe(1);
    }
  });

  test("of what came again from its first delivery is not taken for the one before", async () => {
    const { letters, queue } = shop();
    await queue.subscribe(TOPIC, GROUP);
    for (let times = 1; times <= 2; times++) {
      // The first delivery was not acknowledged, and fails anew.
      await letters.put(letter());
      await letters.replay({}, { queue });
      expect((await queue.backlog(TOPIC, GROUP)).items).toBe(times);
    }
  });

  test("goes at a limited rate, and can be given up", async () => {
    const { letters, queue, time } = shop();
    await queue.subscribe(TOPIC, GROUP);
    for (let at = 0; at < 10; at++) await letters.put(letter({ id: `${at}` }));
    const controller = new AbortController();
    const ended = code(letters.replay({}, { queue, rate: 10, signal: controller.signal }));
    await time.advance(350);
    expect((await queue.backlog(TOPIC, GROUP)).items).toBe(4);
    controller.abort();
    expect(await ended).toBe("CANCELLED");
    expect((await letters.list()).total).toBe(6);
    expect(await code(letters.replay({}, { queue, rate: 0 }))).toBe("RangeError");
  });

  test("for a group that is gone is refused, and the letter stays", async () => {
    const { letters, queue } = shop();
    await queue.subscribe(TOPIC, "mail");
    await letters.put(letter());
    expect(await code(letters.replay({}, { queue }))).toBe("NO_HANDLER");
    expect((await letters.list()).total).toBe(1);
  });

  test("of nothing is nothing", async () => {
    const { letters, queue } = shop();
    expect([await letters.replay(["no"], { queue }), await letters.drop(["no"])]).toEqual([0, 0]);
  });

  test("names are told from others", () => {
    for (
      const id of ["m", "m~replay", "m~replay.0.a.a", "m~replay.1.a.A", "m~replay.1.a.", "~replay.1.a.a"]
    ) {
      expect(deliveryName(id)).toMatchObject({ id, replays: 0 });
      expect(deliveryName(id).isFor("anybody")).toBe(true);
    }
    expect(deliveryName("a\nb~replay.12.zz.abc")).toMatchObject({ id: "a\nb", replays: 12, letter: 1295 });
  });
});

describe("a crash at any await", () => {
  const payloads: readonly (readonly [string, string])[] = [["a small letter", "x"], [
    "a large one",
    large("€"),
  ]];

  test.each(payloads)(
    "leaves %s that was put there, whole and once, when it is put again",
    async (_name, payload) => {
      const counted = new CrashPoint({ at: Infinity, when: "before", crash: () => {} });
      await shop().open({}, (store) => methods(counted.wrap(store))).put(letter({ payload }));
      expect(counted.passed).toBeGreaterThanOrEqual(payload.length > 1 ? 8 : 3);
      for (let at = 1; at <= counted.passed; at++) {
        for (const when of ["before", "after"] as const) {
          for (const again of [true, false]) {
            const { open, letters, store, time } = shop();
            const point = new CrashPoint({ at, when, crash: () => {} });
            let settled = false;
            void open({}, (store) => methods(point.wrap(store))).put(letter({ payload })).then(
              () => settled = true,
              () => {},
            );
            await settle();
            expect([point.crashed, settled]).toEqual([true, false]);
            if (again) await letters.put(letter({ payload }));
            await time.advance(DAY + 1);
            const { letters: found, total } = await letters.list();
            // What was never acknowledged either stands there whole, or nothing of it stays.
            if (again) expect(total).toBe(1);
            if (total === 1) expect((await letters.show(found[0]!.name))!.payload).toBe(payload);
            await letters.drop({});
            const left = await store.list("");
            expect(again || total === 1 ? left : left.filter(({ key }) => key.startsWith("dead-letters/")))
              .toEqual([]);
            await time.advance(DAY + 1);
          }
        }
      }
    },
  );

  test.each(payloads)("of a replay of %s loses nothing", async (_name, payload) => {
    const begin = async () => {
      const world = shop();
      await world.queue.subscribe(TOPIC, GROUP);
      await world.letters.put(letter({ payload }));
      return world;
    };
    const replay = ({ open, queue }: Shop, point: CrashPoint): Promise<number> => {
      const letters = open({}, (store) => methods(point.wrap(store)));
      return letters.replay({}, { queue: point.wrap(queue) });
    };
    const counted = new CrashPoint({ at: Infinity, when: "before", crash: () => {} });
    await replay(await begin(), counted);
    for (let at = 1; at <= counted.passed; at++) {
      for (const when of ["before", "after"] as const) {
        const world = await begin();
        const point = new CrashPoint({ at, when, crash: () => {} });
        void replay(world, point).catch(() => {});
        await settle();
        expect(point.crashed).toBe(true);
        await world.letters.replay({}, { queue: world.queue });
        const pulled = await world.queue.pull(TOPIC, GROUP, { max: 10, lease: 1000 });
        expect(pulled.map(({ id, payload }) => [deliveryName(id).id, payload])).toEqual([["m1", payload]]);
        expect((await world.letters.list()).total).toBe(0);
      }
    }
  });
});

describe("a store that does things and does not say so", () => {
  test("ends up with one whole letter", async () => {
    const { open, letters } = shop();
    let asked = 0;
    const deaf = open({}, (store) => ({
      put: async (key, value, options) => {
        const revision = await store.put(key, value, options);
        if (asked++ % 7 === 0) throw new CatgaError(systemFault("TRANSPORT", "no answer"));
        return revision;
      },
    }));
    const payload = large("€");
    let tries = 0;
    while (await code(deaf.put(letter({ payload }))) !== "ok") {
      if (++tries > 30) throw new Error("it never ends");
    }
    const { letters: found, total } = await letters.list();
    expect([total, (await letters.show(found[0]!.name))!.payload === payload]).toEqual([1, true]);
  });

  test("that is down: the letter is not kept, and whoever put it is told", async () => {
    const down = () => Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "down")));
    const { open } = shop();
    expect(await code(open({}, () => ({ put: down })).put(letter()))).toBe("UNAVAILABLE");
    expect(await code(open({}, () => ({ get: down })).put(letter()))).toBe("UNAVAILABLE");
  });
});

function same(one: Frame, other: Frame): boolean {
  if (typeof one === "string" || typeof other === "string") return one === other;
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

function code(work: Promise<unknown>): Promise<string> {
  return work.then(() => "ok", (error: CatgaError) => error.code ?? error.name);
}
