/** Commands that come again: one handling, one answer, whoever asks and whenever. */

import { describe, expect, test } from "bun:test";
import { CatgaError, fail, failure, ok, type SystemCode, systemFault } from "@catga/catga";
import { retry, timeout, validate } from "@catga/catga/behaviors";
import { idempotent } from "@catga/catga/durable";
import type { Store } from "@catga/catga/ports";
import { handedOn } from "../../src/durable/idempotency/handed_on.ts";
import { isOnce } from "../../src/mediator/behavior.ts";
import type { MessageContext } from "../../src/mediator/context.ts";
import { Book, DAY, nodes, Pay, Ring, settle, Ship, TTL } from "./idempotency_nodes.ts";

type Sent = Readonly<Record<string, string>> | undefined;

const body = { order: "7", amount: 10 };

describe("a command that comes again", () => {
  test("is handled once, and all get the first answer, at the same time and later (C6, F9)", async () => {
    const { started, node, time } = nodes();
    const a = node();
    const calls = Array.from({ length: 100 }, () => a.send(Pay, { amount: 10, order: "7" }));
    await settle();
    expect(started.length).toBe(1);
    started[0]!.answer({ id: 1, at: new Date(0) });
    await Promise.all(calls.map(({ done }) => done));
    calls.push(a.send(Pay, body), node("b").send(Pay, body));
    await settle();
    const texts = new Set(calls.map(({ result }) => JSON.stringify(result)));
    expect([...texts]).toEqual(['{"ok":true,"value":{"id":1,"at":"1970-01-01T00:00:00.000Z"}}']);
    expect(started.length).toBe(1);
    expect(time.pending()).toBe(0);
  });

  test("gets a copy of its own each time", async () => {
    const { started, node } = nodes();
    const a = node();
    const calls = [a.send(Pay, body), a.send(Pay, body)];
    await settle();
    started[0]!.answer({ list: [1] });
    await settle();
    const [one, other] = calls.map(({ result }) => (result as { value: { list: number[] } }).value);
    one!.list.push(2);
    expect(other).toEqual({ list: [1] });
  });

  test("costs the store one failed write and one read when it was answered before", async () => {
    const { started, node } = nodes();
    node("a").send(Pay, body);
    await settle();
    started[0]!.answer("done");
    await settle();
    const asked: string[] = [];
    const change = (store: Store): Partial<Store> => ({
      get: (key, options) => (asked.push("get"), store.get(key, options)),
      put: (key, value, options) => (asked.push("put"), store.put(key, value, options)),
      watch: (prefix, options) => (asked.push("watch"), store.watch(prefix, options)),
    });
    const call = node("b", { change }).send(Pay, body);
    await settle();
    expect([call.result, asked]).toEqual([ok("done"), ["put", "get"]]);
  });

  test("waits on another node for the answer", async () => {
    const { started, node, time } = nodes();
    const first = node("a").send(Pay, body);
    await settle();
    const second = node("b").send(Pay, body);
    await time.advance(2 * TTL);
    expect([started.length, first.code, second.code]).toEqual([1, "pending", "pending"]);
    started[0]!.answer("done");
    await settle();
    expect([first.result, second.result]).toEqual([ok("done"), ok("done")]);
    expect(time.pending()).toBe(0);
  });

  test("waits where the store tells of no change too", async () => {
    const { started, node, time } = nodes();
    node("a").send(Pay, body);
    await settle();
    const silent: Partial<Store> = {
      watch: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }),
    };
    const second = node("b", { change: () => silent }).send(Pay, body);
    await settle();
    started[0]!.answer("done");
    await settle();
    expect(second.code).toBe("pending");
    await time.advance(TTL);
    expect(second.result).toEqual(ok("done"));
  });

  test.each([["undefined", undefined], ["null", null], ["false", false], ["nothing at all", ""]])(
    "gets %s as an answer like any other (F9)",
    async (_name, value) => {
      const { started, node } = nodes();
      const a = node();
      const first = a.send(Pay, body);
      await settle();
      started[0]!.answer(value);
      await first.done;
      const second = node("b").send(Pay, body);
      await second.done;
      expect([first.result, second.result, started.length]).toEqual([ok(value), ok(value), 1]);
    },
  );

  test("gets a failure that the contract declares as an answer", async () => {
    const { started, node } = nodes();
    const first = node("a").send(Pay, body);
    await settle();
    started[0]!.answer(fail("DECLINED", { left: 3 }, "no money"));
    await first.done;
    const second = node("b").send(Pay, body);
    await second.done;
    expect(second.result).toEqual(fail("DECLINED", { left: 3 }, "no money"));
    expect([second.result, started.length]).toEqual([first.result!, 1]);
  });

  const healing: readonly SystemCode[] = [
    "TIMEOUT",
    "CANCELLED",
    "UNAVAILABLE",
    "OVERLOADED",
    "TRANSPORT",
    "CONFLICT",
    "INTERNAL",
    "NO_HANDLER",
    "SERIALIZATION",
  ];
  test.each([...healing, "OTHER"])("is handled anew after a %s (C7, F10)", async (code) => {
    const { started, node, store } = nodes();
    const a = node();
    const first = [a.send(Pay, body), a.send(Pay, body)];
    await settle();
    started[0]!.throw(new CatgaError({ code, message: "broken", data: undefined, retryable: false }));
    await settle();
    // Those who waited for it share its failure: they are not tried one after the other.
    expect([first[0]!.result?.ok, started.length]).toEqual([false, 1]);
    expect(first[1]!.result).toEqual(first[0]!.result!);
    expect(await store.list("")).toEqual([]);
    const second = a.send(Pay, body);
    await settle();
    started[1]!.answer("now");
    await settle();
    expect(second.result).toEqual(ok("now"));
  });

  test("is handled anew after a declared failure that may heal", async () => {
    const { started, node } = nodes();
    const a = node();
    const first = a.send(Pay, body);
    await settle();
    started[0]!.answer(failure({ code: "DECLINED", message: "later", data: { left: 0 }, retryable: true }));
    await settle();
    expect(first.code).toBe("DECLINED");
    a.send(Pay, body);
    await settle();
    expect(started.length).toBe(2);
  });

  test("is forgotten after its retention: the policy's, the options', a day (F28, F30)", async () => {
    const { started, node, time, store } = nodes();
    const a = node();
    const handled = async (contract: typeof Pay | typeof Ship, on = a): Promise<void> => {
      on.send(contract, body);
      await settle();
      started.at(-1)!.answer("done");
      await settle();
    };
    await handled(Pay);
    await handled(Ship);
    await time.advance(59_999);
    a.send(Ship, body);
    await settle();
    expect(started.length).toBe(2);
    await time.advance(2);
    a.send(Ship, body);
    await settle();
    expect(started.length).toBe(3);
    started.at(-1)!.answer("again");
    await time.advance(DAY - 60_002);
    a.send(Pay, body);
    await settle();
    expect(started.length).toBe(3);
    await time.advance(2);
    expect(await store.list("")).toEqual([]);
    const short = node("c", { retention: 500 });
    await handled(Pay, short);
    await time.advance(501);
    short.send(Pay, body);
    await settle();
    expect(started.length).toBe(5);
  });

  test("is each time handled where its contract does not say so", async () => {
    const { started, node, store } = nodes();
    const a = node();
    a.send(Ring, body);
    a.send(Ring, body);
    await settle();
    expect([started.length, await store.list("")]).toEqual([2, []]);
  });
});

describe("another body under the same key", () => {
  const mismatch = { code: "CONFLICT", data: { reason: "IDEMPOTENCY_MISMATCH" }, retryable: false };

  test("is refused while the first is handled, here and elsewhere, and after", async () => {
    const { started, node } = nodes();
    const [a, b] = [node("a"), node("b")];
    const first = a.send(Ship, body);
    await settle();
    const others = [a, b].map((on) => on.send(Ship, { order: "7", amount: 11 }));
    await settle();
    started[0]!.answer("done");
    await settle();
    others.push(...[a, b].map((on) => on.send(Ship, { order: "7", amount: 12 })));
    await settle();
    for (const { result } of others) expect(result).toMatchObject({ ok: false, error: mismatch });
    expect([first.code, started.length]).toEqual(["ok", 1]);
  });
});

describe("the header idempotency-key", () => {
  const keyed = (key: string) => ({ headers: { "Idempotency-Key": key } });

  test("goes before the contract's own key", async () => {
    const { started, node } = nodes();
    const a = node();
    a.send(Ship, body, keyed("one"));
    a.send(Ship, body, keyed("two"));
    a.send(Ship, body, keyed("two"));
    a.send(Ship, body);
    await settle();
    expect(started.length).toBe(3);
  });

  test("of a message does not name what is sent because of it", async () => {
    const { started, node } = nodes();
    const a = node();
    a.send(Ring, body, keyed("one"));
    await settle();
    const { context } = started[0]!;
    void context.send(Pay({ order: "1" }));
    void context.send(Pay({ order: "2" }));
    void context.send(Pay({ order: "3" }), keyed("own"));
    void context.send(Pay({ order: "3" }), { headers: { other: "x" } });
    await settle();
    expect(started.map(({ body }) => body.order)).toEqual(["7", "1", "2", "3", "3"]);
  });

  test.each([["empty", ""], ["too long", "x".repeat(5000)]])(
    "is refused when it is %s",
    async (_name, key) => {
      const { started, node } = nodes();
      const call = node().send(Pay, body, keyed(key));
      await settle();
      expect([call.code, started.length]).toEqual(["VALIDATION", 0]);
    },
  );

  test("is refused when there are two", async () => {
    const { node } = nodes();
    const call = node().send(Pay, body, { headers: { "idempotency-key": "a", "Idempotency-Key": "b" } });
    await settle();
    expect(call.code).toBe("VALIDATION");
  });
});

describe("tenants and contracts", () => {
  test("have keys of their own", async () => {
    const { started, node } = nodes();
    const a = node();
    const tenant = (name: string) => ({ headers: { Tenant: name, "idempotency-key": "k" } });
    for (const contract of [Pay, Ship]) {
      a.send(contract, body, { headers: { "idempotency-key": "k" } });
      for (const name of ["x", "y", "x"]) a.send(contract, body, tenant(name));
    }
    await settle();
    expect(started.length).toBe(6);
  });

  test("that are named twice are refused", async () => {
    const { node } = nodes();
    const call = node().send(Pay, body, { headers: { tenant: "a", Tenant: "b" } });
    await settle();
    expect(call.code).toBe("VALIDATION");
  });
});

describe("a caller that gives up", () => {
  test("does not take the answer from the others; its handler's end is theirs", async () => {
    const { started, node, time } = nodes();
    const a = node();
    const hasty = a.send(Pay, body, { timeout: 100 });
    const patient = [a.send(Pay, body), node("b").send(Pay, body)];
    await time.advance(100);
    expect([hasty.code, started[0]!.context.signal.aborted]).toEqual(["TIMEOUT", true]);
    await time.advance(10 * TTL);
    expect([started.length, ...patient.map(({ code }) => code)]).toEqual([1, "pending", "pending"]);
    started[0]!.answer("late");
    await settle();
    expect(patient.map(({ result }) => result)).toEqual([ok("late"), ok("late")]);
    expect(time.pending()).toBe(0);
  });

  test("whose handler stops leaves its turn to the next one", async () => {
    const { started, node } = nodes();
    const a = node();
    const controller = new AbortController();
    const first = a.send(Pay, body, { signal: controller.signal });
    const second = a.send(Pay, body);
    await settle();
    controller.abort();
    started[0]!.throw(started[0]!.context.signal.reason);
    await settle();
    expect([first.code, second.code, started.length]).toEqual(["CANCELLED", "pending", 2]);
    started[1]!.answer("done");
    await settle();
    expect(second.result).toEqual(ok("done"));
  });

  test("before it had its turn starts no handler", async () => {
    const { started, node, time, store } = nodes();
    let answer = (): void => {};
    const slow = (own: Store): Partial<Store> => ({
      put: async (key, value, options) => {
        await new Promise<void>((resolve) => answer = resolve);
        return await own.put(key, value, options);
      },
    });
    const call = node("a", { change: slow }).send(Pay, body, { timeout: 50 });
    await time.advance(60);
    answer();
    await time.advance(TTL + 1);
    expect([call.code, started.length, time.pending()]).toEqual(["TIMEOUT", 0, 0]);
    expect(await store.list("")).toEqual([]);
  });

  test("at any instant around the claim starts no handler", async () => {
    let begun = 0;
    for (let turns = 0; turns < 40; turns++) {
      const { started, node, store, time } = nodes();
      const controller = new AbortController();
      const change = (own: Store): Partial<Store> => ({
        put: (key, value, options) => {
          const put = own.put(key, value, options);
          void (async () => {
            for (let turn = 0; turn < turns; turn++) await Promise.resolve();
            controller.abort();
          })();
          return put;
        },
      });
      const call = node("a", { change }).send(Pay, body, { signal: controller.signal });
      await settle();
      expect([call.code, started.map(({ late }) => late).includes(true)]).toEqual(["CANCELLED", false]);
      begun += started.length;
      if (started.length > 0) continue;
      await time.advance(TTL / 2);
      expect(await store.list("")).toEqual([]);
    }
    expect(begun).toBeGreaterThan(0);
    expect(begun).toBeLessThan(40);
  });

  test("leaves nothing behind in the message that it came from", async () => {
    const { started, node } = nodes();
    const a = node();
    a.send(Ring, body, { timeout: 60_000 });
    await settle();
    const parent = started[0]!.context as MessageContext;
    const before = parent.late?.ends?.size ?? 0;
    const child = parent.send(Pay(body));
    await settle();
    started[1]!.answer("done");
    expect([await child, parent.late?.ends?.size]).toEqual([ok("done"), before]);
  });

  test("waits no longer for another's answer", async () => {
    const { node, time } = nodes();
    const a = node();
    a.send(Pay, body);
    await settle();
    const joined = a.send(Pay, body, { timeout: 100 });
    const elsewhere = node("b").send(Pay, body, { timeout: 100 });
    await time.advance(100);
    expect([joined.code, elsewhere.code]).toEqual(["TIMEOUT", "TIMEOUT"]);
  });

  test("with a handler that never ends does not keep the key for ever (F18)", async () => {
    const { started, node, time } = nodes();
    const a = node();
    a.send(Pay, body, { timeout: 100 });
    await time.advance(60_000);
    const second = a.send(Pay, body);
    await time.advance(TTL + 200);
    expect(started.length).toBe(2);
    started[1]!.answer("done");
    await settle();
    started[0]!.answer("much too late");
    await settle();
    expect(second.result).toEqual(ok("done"));
    const third = a.send(Pay, body);
    await settle();
    expect([third.result, started.length]).toEqual([ok("done"), 2]);
    await time.advance(TTL);
    expect(time.pending()).toBe(0);
  });
});

describe("an answer that cannot be kept", () => {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  let deep: unknown = 1;
  for (let level = 0; level < 70; level++) deep = [deep];
  test.each<readonly [string, unknown]>([
    ["is too large for the store", "x".repeat(300_000)],
    ["is a cycle", cycle],
    ["is a bigint", 1n],
    ["is nested too deep to be read again", deep],
    ["has a name that is not read again", JSON.parse('{"__proto__":1}')],
  ])("because it %s is SERIALIZATION for all, and nothing is handled again", async (_name, value) => {
    const { started, node } = nodes();
    const a = node();
    const calls = [a.send(Pay, body)];
    await settle();
    started[0]!.answer(value);
    await settle();
    calls.push(a.send(Pay, body), node("b").send(Pay, body));
    await settle();
    expect(calls.map(({ code }) => code)).toEqual(["SERIALIZATION", "SERIALIZATION", "SERIALIZATION"]);
    const [text = "", ...others] = new Set(calls.map(({ result }) => JSON.stringify(result)));
    expect([text.includes("cannot be kept"), others]).toEqual([true, []]);
    expect(started.length).toBe(1);
  });

  test("in one codec of bytes is kept in another", async () => {
    const { started, node } = nodes();
    const utf8 = new TextEncoder();
    const codec = {
      name: "bytes",
      encode: (value: unknown) => utf8.encode(JSON.stringify(value) + "\u00ff".repeat(10_000)),
      decode: (frame: string | Uint8Array) =>
        JSON.parse(new TextDecoder().decode(frame as Uint8Array).replaceAll("\u00ff", "")) as unknown,
    };
    const first = node("a", { codec }).send(Pay, body);
    await settle();
    started[0]!.answer({ a: 1 });
    await settle();
    const second = node("b", { codec }).send(Pay, body);
    await settle();
    expect([first.result, second.result]).toEqual([ok({ a: 1 }), ok({ a: 1 })]);
  });

  test("and one that cannot be read is a failure and no answer without a value (C6, F10)", async () => {
    const { started, node, store } = nodes();
    const first = node("a").send(Pay, body);
    await settle();
    started[0]!.answer("done");
    await first.done;
    const { key, value } = (await store.list("idempotency/"))[0]!;
    for (const broken of [value.slice(0, -1), "something else", ""]) {
      await store.put(key, broken);
      const call = node("b").send(Pay, body);
      await settle();
      expect([call.code, started.length]).toEqual(["SERIALIZATION", 1]);
    }
  });
});

describe("a body", () => {
  test("is what it was when it was sent, whatever its schema makes of it, also for another try", async () => {
    const { node, started, time } = nodes();
    const body = { order: "7", at: "2026-01-01" };
    const one = node("a", { outer: [retry({ attempts: 3, delay: 1 })], inner: [timeout(5000), validate()] });
    const first = one.send(Book, body);
    await settle();
    expect(started[0]!.body).toEqual({ order: "7!", at: new Date("2026-01-01") } as never);
    started[0]!.throw(new CatgaError(systemFault("TRANSPORT", "try again")));
    await time.advance(10);
    expect(first.result).toBeUndefined();
    started[1]!.answer("done");
    await first.done;
    const second = node("b").send(Book, { at: "2026-01-01", order: "7" });
    const third = node("b").send(Book, { at: new Date("nonsense") as never, order: "7" });
    await time.advance(10);
    expect([first.result, second.result, third.code]).toEqual([ok("done"), ok("done"), "VALIDATION"]);
    expect([started.length, time.pending()]).toEqual([2, 0]);
  });

  test("with a date or an undefined property is the same as it is after a way over a wire", async () => {
    const { node, started } = nodes();
    const sent = { order: "7", amount: undefined, at: new Date(0), n: -0, list: [undefined, NaN] };
    node("a").send(Pay, sent);
    await settle();
    started[0]!.answer("done");
    await settle();
    const second = node("b").send(Pay, JSON.parse(JSON.stringify(sent)));
    await settle();
    expect([second.result, started.length]).toEqual([ok("done"), 1]);
  });

  test.each<readonly [string, unknown]>([
    ["a map", { order: "7", amount: new Map() }],
    ["a function", { order: "7", amount: () => 1 }],
    ["a bigint", { order: "7", amount: 1n }],
    ["no text as its key", { order: 7 }],
    ["nothing where its key looks", undefined],
  ])("with %s is refused: it could be taken for another", async (_name, odd) => {
    const { node, started } = nodes();
    const call = node().send(Ship, odd as never);
    await settle();
    expect([call.code, started.length]).toEqual(["VALIDATION", 0]);
  });
});

describe("the store", () => {
  const down = new CatgaError(systemFault("UNAVAILABLE", "it is down"));
  const lost = new CatgaError(systemFault("TRANSPORT", "no answer"));

  test.each([["down", down], ["silent", lost], ["broken", new Error("odd")]] as const)(
    "when it is %s: nothing is handled",
    async (_name, error) => {
      const { started, node, time } = nodes();
      const broken = { put: () => Promise.reject(error), get: () => Promise.reject(error) };
      const call = node("a", { change: () => broken }).send(Pay, body);
      await time.advance(4 * TTL);
      expect([call.code, started.length, time.pending()]).toEqual(["UNAVAILABLE", 0, 0]);
    },
  );

  test("when it never answers: nothing is handled", async () => {
    const { started, node, time } = nodes();
    const never = { put: () => new Promise<never>(() => {}), get: () => new Promise<never>(() => {}) };
    const call = node("a", { change: () => never }).send(Pay, body);
    await time.advance(10 * TTL);
    expect([call.code, started.length, time.pending()]).toEqual(["UNAVAILABLE", 0, 0]);
  });

  test("that fails after a claim was written keeps the key from nobody once it is back", async () => {
    const { started, node, time, store } = nodes();
    let back = false;
    const change = (own: Store): Partial<Store> => ({
      put: async (key, value, options) => {
        const revision = await own.put(key, value, options);
        if (!back) throw lost;
        return revision;
      },
      get: (key, options) => back ? own.get(key, options) : Promise.reject(lost),
    });
    const a = node("a", { change });
    const call = a.send(Pay, body);
    await time.advance(100);
    expect([call.code, (await store.list("")).length]).toEqual(["UNAVAILABLE", 1]);
    back = true;
    await time.advance(TTL / 2);
    expect([await store.list(""), started.length]).toEqual([[], 0]);
  });

  test("when it is full: OVERLOADED", async () => {
    const { started, node, time } = nodes();
    const full = new CatgaError(systemFault("OVERLOADED", "full"));
    const call = node("a", { change: () => ({ put: () => Promise.reject(full) }) }).send(Pay, body);
    await time.advance(4 * TTL);
    expect([call.code, started.length]).toEqual(["OVERLOADED", 0]);
  });

  test("that did a claim and did not say so is read: handled at once, and once", async () => {
    const { started, node, time } = nodes();
    let puts = 0;
    const change = (store: Store): Partial<Store> => ({
      put: async (key, value, options) => {
        const revision = await store.put(key, value, options);
        if (++puts % 2 === 1) throw lost;
        return revision;
      },
    });
    const calls = [node("a", { change }).send(Pay, body), node("b", { change }).send(Pay, body)];
    await time.advance(50);
    expect(started.length).toBe(1);
    started[0]!.answer("done");
    await time.advance(TTL);
    expect(calls.map(({ result }) => result)).toEqual([ok("done"), ok("done")]);
  });

  test("that kept an answer and did not say so is read", async () => {
    const { started, node, time, store } = nodes();
    const change = (store: Store): Partial<Store> => ({
      put: async (key, value, options) => {
        const revision = await store.put(key, value, options);
        if (value.startsWith("text")) throw lost;
        return revision;
      },
    });
    const call = node("a", { change }).send(Pay, body);
    await settle();
    started[0]!.answer("done");
    await time.advance(1000);
    expect([call.result, (await store.list("")).length]).toEqual([ok("done"), 1]);
  });

  test("that cannot be reached with the answer: TRANSPORT, and the log says so", async () => {
    const { started, node, time } = nodes();
    const change = (store: Store): Partial<Store> => ({
      put: (key, value, options) =>
        value.startsWith("text") ? Promise.reject(down) : store.put(key, value, options),
    });
    const call = node("a", { change }).send(Pay, body);
    await settle();
    started[0]!.answer("done");
    await time.advance(5 * TTL);
    expect([call.code, time.entries.map(({ event }) => event)]).toEqual(["TRANSPORT", [
      "idempotency.unkept",
    ]]);
  });
});

describe("the behavior", () => {
  test("is known to nodes, which add none of their own", () => {
    expect(isOnce(idempotent({ store: nodes().store }))).toBe(true);
  });

  test("given twice handles once", async () => {
    const world = nodes();
    const behavior = idempotent({ store: world.store });
    const call = world.node("a", {
      store: world.store,
      outer: [behavior],
      inner: [behavior],
      ttl: TTL,
      bare: true,
    })
      .send(Pay, body);
    await settle();
    world.started[0]!.answer("done");
    await settle();
    expect([call.result, world.started.length]).toEqual([ok("done"), 1]);
  });
});

describe("headers on their way to another node", () => {
  const sent = { "Idempotency-Key": "k", tenant: "x" };
  const without = { tenant: "x" };
  test.each<readonly [string, Sent, Sent, Sent]>([
    ["keep a key of their own", sent, undefined, sent],
    ["keep a key that differs", sent, { "idempotency-key": "other" }, sent],
    ["lose the one that came along", sent, { "idempotency-key": "k" }, without],
    ["may be none then", { "idempotency-key": "k" }, sent, undefined],
    ["stay what they are", without, sent, without],
    ["stay nothing", undefined, sent, undefined],
  ])("%s", (_name, headers, inherited, out) => {
    expect(handedOn(headers, inherited)).toEqual(out);
  });
});

describe("limits", () => {
  test("are kept: OVERLOADED", async () => {
    const { started, node } = nodes();
    const a = node("a", { limit: 2 });
    const calls = ["1", "2", "3"].map((order) => a.send(Pay, { order }));
    await settle();
    expect(calls.map(({ code }) => code)).toEqual(["pending", "pending", "OVERLOADED"]);
    for (const { answer } of started) answer("done");
    await settle();
    a.send(Pay, { order: "3" });
    await settle();
    expect(started.length).toBe(3);
  });

  test.each([["ttl", 99], ["ttl", Infinity], ["retention", 0], ["limit", 0]])(
    "that are none are refused: %s %d",
    (name, value) => {
      expect(() => nodes().node("a", { [name]: value })).toThrow(RangeError);
    },
  );

  test("what waits for itself is told so", async () => {
    const { started, node } = nodes();
    const a = node();
    a.send(Pay, body);
    await settle();
    const again = await started[0]!.context.send(Pay(body));
    expect(again).toMatchObject({
      ok: false,
      error: { code: "CONFLICT", data: { reason: "IDEMPOTENCY_CYCLE" } },
    });
  });
});
