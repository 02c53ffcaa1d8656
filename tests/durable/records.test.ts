/** Records: state, outbox and inbox in one entry. */

import { describe, expect, test } from "bun:test";
import { CatgaError, command, type Schema, systemFault, type } from "@catga/catga";
import { inbox, records } from "@catga/catga/durable";
import type { Store } from "@catga/catga/ports";
import { changed, desk, faultOf, Keyed, Noted, now, pass } from "./records_support.ts";

interface Account {
  readonly balance: number;
}

const add = (amount: number) => (account: Account | undefined): Account => ({
  balance: (account?.balance ?? 0) + amount,
});
const lost = (): CatgaError => new CatgaError(systemFault("TRANSPORT", "no answer"));

describe("a record", () => {
  test("is created, changed, read and removed", async () => {
    const accounts = records<Account>("accounts", desk());
    expect(await now(accounts.get("ann"))).toBeUndefined();
    expect(await now(accounts.update("ann", add(5)))).toEqual({ balance: 5 });
    expect(await now(accounts.update("ann", add(5)))).toEqual({ balance: 10 });
    expect(await now(accounts.get("ann"))).toEqual({ balance: 10 });
    expect(await now(accounts.update("ann", () => undefined))).toBeUndefined();
    expect(await now(accounts.get("ann"))).toBeUndefined();
    expect(await now(accounts.update("ann", add(1)))).toEqual({ balance: 1 });
  });

  test("that was removed leaves nothing behind after a while", async () => {
    const { time, runtime, store } = desk();
    const accounts = records<Account>("accounts", { store, runtime });
    await now(accounts.update("ann", add(5)));
    await now(accounts.update("ann", () => undefined));
    await time.advance(120_001);
    expect(await store.list("")).toEqual([]);
  });

  test("is not written when nothing changes", async () => {
    const { runtime, store } = desk();
    const accounts = records<Account>("accounts", { store, runtime });
    await now(accounts.update("ann", add(5)));
    const [before] = await store.list("");
    await now(accounts.update("ann", (account) => account));
    await now(accounts.update("bob", (account) => account));
    expect(await store.list("")).toEqual([before!]);
  });

  test("keeps what JSON keeps: null, texts with line breaks, false, 0 and the empty text", async () => {
    const values = records<unknown>("values", desk());
    for (const value of [null, "a\nb\n\nc\u2028", false, 0, "", [], {}, { "a\n": ["\n"] }]) {
      await now(values.update("one", (_, tx) => {
        tx.publish(Noted({ text: "x\ny" }));
        return value;
      }));
      expect(await now(values.get("one"))).toEqual(value);
    }
  });

  test("is changed by 32 at once, each of them once", async () => {
    const { time, runtime, store } = desk();
    const accounts = records<Account>("accounts", { store, runtime });
    const all = Promise.all(Array.from({ length: 32 }, () => accounts.update("ann", add(1))));
    await time.advance(5000);
    await now(all);
    expect(await now(accounts.get("ann"))).toEqual({ balance: 32 });
  });

  test("is changed in the order in which that was asked for, however many do", async () => {
    const { time, runtime, store } = desk();
    const lines = records<number[]>("lines", { store, runtime });
    const all = Promise.all(
      Array.from({ length: 500 }, (_, at) => lines.update("one", (line = []) => [...line, at])),
    );
    const left = new AbortController();
    const given = faultOf(lines.update("one", () => [], { signal: left.signal }));
    left.abort();
    await time.advance(5000);
    await now(all);
    expect(await now(lines.get("one"))).toEqual(Array.from({ length: 500 }, (_, at) => at));
    expect(await now(given)).toBe("CANCELLED");
  });

  test("says it when others change it each time (C14: retries have a bound)", async () => {
    const { time, runtime, store } = desk();
    let writes = 0;
    const busy = changed<Store>(store, {
      put: async (key, value, options) => {
        writes++;
        await store.put(key, `[1,[],[],0,0,[],1]\n${writes}`);
        return await store.put(key, value, options);
      },
    });
    const counters = records<number>("counters", { store: busy, runtime, timeout: 60_000 });
    const fault = faultOf(counters.update("one", (n = 0) => n + 1));
    await time.advance(70_000);
    expect(await now(fault)).toBe("OVERLOADED");
    expect(writes).toBeLessThanOrEqual(100);
  });

  test("throws what the change throws, once, and nothing has changed or is told (C8: no ghost events)", async () => {
    const { runtime, store } = desk();
    const accounts = records<Account>("accounts", { store, runtime });
    let runs = 0;
    const failed = accounts.update("ann", (_, tx) => {
      runs++;
      tx.publish(Noted({ text: "ghost" }));
      throw new CatgaError(systemFault("UNAVAILABLE", "own"));
    });
    expect([await now(faultOf(failed)), runs]).toEqual(["UNAVAILABLE", 1]);
    expect(await store.list("")).toEqual([]);
  });

  test("refuses a change that waits, and a transaction that is used after it", async () => {
    const { runtime, store } = desk();
    const accounts = records<Account>("accounts", { store, runtime });
    const waits = (() => Promise.resolve({ balance: 1 })) as unknown as () => Account;
    expect(await now(faultOf(accounts.update("ann", waits)))).toContain("must not wait");
    let late = (): void => {};
    await now(accounts.update("ann", (_, tx) => {
      late = () => tx.publish(Noted({ text: "late" }));
      return { balance: 1 };
    }));
    expect(late).toThrow("the change is over");
  });

  test.each([
    ["a function", () => {}],
    ["a circle", circle()],
    ["a bigint", 1n],
  ])("refuses %s as a state", async (_, state) => {
    const { runtime, store } = desk();
    const things = records<unknown>("things", { store, runtime });
    expect(await now(faultOf(things.update("one", () => state)))).toBe("VALIDATION");
    expect(await store.list("")).toEqual([]);
  });

  test("refuses what is too large, odd ids and odd names", async () => {
    const { runtime, store } = desk();
    const texts = records<string>("texts", { store, runtime });
    expect(await now(faultOf(texts.update("one", () => "x".repeat(262_144))))).toBe("VALIDATION");
    for (const id of ["", "x".repeat(257), "\ud800"]) {
      expect(await now(faultOf(texts.update(id, () => "x")))).toBe("VALIDATION");
    }
    expect(() => records("a/b", { store, runtime })).toThrow(RangeError);
    expect(() => records("a", { store, runtime, timeout: 60_001 })).toThrow(RangeError);
    expect(() => records("a", { store, runtime, retention: 0 })).toThrow(RangeError);
  });

  test("is checked by its schema when it is read and when it is written", async () => {
    const { runtime, store } = desk();
    const positive: Schema<unknown, number> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value) =>
          (value as number) > 0 ? { value: value as number } : { issues: [{ message: "low" }] },
      },
    };
    const counters = records("counters", { store, runtime, schema: positive });
    expect(await now(faultOf(counters.update("one", () => -1)))).toBe("VALIDATION");
    expect(await store.list("")).toEqual([]);
    await now(
      records<number>("counters", { store, runtime, schema: type<number>() }).update("one", () => -1),
    );
    expect(await now(faultOf(counters.get("one")))).toBe("VALIDATION");
    expect(await now(faultOf(counters.update("one", (n) => n)))).toBe("VALIDATION");
  });

  test("that is none is left as it is", async () => {
    const { runtime, store } = desk();
    const accounts = records<Account>("accounts", { store, runtime });
    for (const value of ["", "{}", "null\n", "[2,[],[],0,0,[],1]\n5", '[1,[["a","b","c"]],[],0,0,[],1]\n5']) {
      await store.put("records/accounts/ann", value);
      expect(await now(faultOf(accounts.get("ann")))).toBe("SERIALIZATION");
      expect(await now(faultOf(accounts.update("ann", add(1))))).toBe("SERIALIZATION");
      expect((await store.get("records/accounts/ann"))?.value).toBe(value);
    }
  });
});

describe("an answer of the store that was lost", () => {
  test.each([1, 2, 3])("is settled by reading back, when %p in a row are lost", async (times) => {
    const { time, runtime, store } = desk();
    let left = times;
    const flaky = changed<Store>(store, {
      put: async (key, value, options) => {
        const revision = await store.put(key, value, options);
        if (left-- > 0) throw lost();
        return revision;
      },
    });
    const accounts = records<Account>("accounts", { store: flaky, runtime });
    const updated = accounts.update("ann", add(5));
    await pass(time, 5000, 500);
    expect(await now(updated)).toEqual({ balance: 5 });
    expect(await now(accounts.get("ann"))).toEqual({ balance: 5 });
  });

  test("is settled also when others have written since", async () => {
    const { time, runtime, store } = desk();
    const others = records<Account>("accounts", { store, runtime });
    let first = true;
    const flaky = changed<Store>(store, {
      put: async (key, value, options) => {
        const revision = await store.put(key, value, options);
        if (!first) return revision;
        first = false;
        for (let n = 0; n < 10; n++) await others.update("ann", add(100));
        throw lost();
      },
    });
    const updated = records<Account>("accounts", { store: flaky, runtime }).update("ann", add(5));
    await pass(time, 5000, 500);
    expect(await now(updated)).toEqual({ balance: 1005 });
  });

  test("is said to be unknown when too many have written since", async () => {
    const { time, runtime, store } = desk();
    const others = records<Account>("accounts", { store, runtime });
    let first = true;
    const flaky = changed<Store>(store, {
      put: async (key, value, options) => {
        const revision = await store.put(key, value, options);
        if (!first) return revision;
        first = false;
        for (let n = 0; n < 20; n++) await others.update("ann", add(100));
        throw lost();
      },
    });
    const updated = faultOf(records<Account>("accounts", { store: flaky, runtime }).update("ann", add(5)));
    await pass(time, 5000, 500);
    expect(await now(updated)).toBe("TRANSPORT");
    expect(await now(others.get("ann"))).toEqual({ balance: 2005 });
  });

  test("is no harm when the write comes late: one of the tries wins", async () => {
    const { time, runtime, store } = desk();
    await now(records<Account>("accounts", { store, runtime }).update("ann", add(1)));
    const late: (() => Promise<unknown>)[] = [];
    const slow = changed<Store>(store, {
      put: (key, value, options) => {
        if (late.length > 0) return store.put(key, value, options);
        late.push(() => store.put(key, value, options).catch(() => {}));
        return Promise.reject(lost());
      },
      get: async (key, options) => {
        const found = await store.get(key, options);
        // It arrives between the reading back and the next try.
        if (late.length === 1) await late[0]!();
        return found;
      },
    });
    const updated = records<Account>("accounts", { store: slow, runtime }).update("ann", add(5));
    await pass(time, 5000, 500);
    expect(await now(updated)).toEqual({ balance: 6 });
    expect(await now(records<Account>("accounts", { store, runtime }).get("ann"))).toEqual({ balance: 6 });
  });

  test("is UNAVAILABLE when nothing can have happened, and TRANSPORT when it may have", async () => {
    const { time, runtime, store } = desk();
    const deaf = changed<Store>(store, { get: () => Promise.reject(lost()) });
    const nothing = faultOf(
      records<Account>("a", { store: deaf, runtime, timeout: 1000 }).update("b", add(1)),
    );
    const mute = changed<Store>(store, { put: () => Promise.reject(lost()) });
    const perhaps = faultOf(
      records<Account>("a", { store: mute, runtime, timeout: 1000 }).update("b", add(1)),
    );
    await time.advance(2000);
    expect([await now(nothing), await now(perhaps)]).toEqual(["UNAVAILABLE", "TRANSPORT"]);
  });

  test("is not waited for after the signal has aborted", async () => {
    const { time, runtime, store } = desk();
    const silent = changed<Store>(store, { get: () => new Promise(() => {}) });
    const abort = new AbortController();
    const given = faultOf(records<Account>("a", { store: silent, runtime }).update("b", add(1), abort));
    abort.abort();
    expect(await now(given)).toBe("CANCELLED");
    expect(time.pending()).toBe(0);
  });
});

describe("a message that comes again", () => {
  const cause = (id: string, group?: string) => ({
    id,
    delivery: group === undefined ? undefined : { group, attempt: 1 },
  });

  test("changes a record once, whatever was done to it since", async () => {
    const accounts = records<Account>("accounts", desk());
    for (let times = 0; times < 3; times++) {
      await now(accounts.update("ann", add(5), { context: cause("m1") }));
      await now(accounts.update("ann", add(100)));
    }
    expect(await now(accounts.get("ann"))).toEqual({ balance: 305 });
  });

  test("changes it once for each handler, each step and each record", async () => {
    const accounts = records<Account>("accounts", desk());
    for (let times = 0; times < 2; times++) {
      await now(accounts.update("ann", add(1), { context: cause("m1") }));
      await now(accounts.update("ann", add(10), { context: cause("m1", "one") }));
      await now(accounts.update("ann", add(100), { context: cause("m1", "two") }));
      await now(accounts.update("ann", add(1000), { context: cause("m1", "two"), step: "fee" }));
      await now(accounts.update("bob", add(7), { context: cause("m1") }));
    }
    expect([await now(accounts.get("ann")), await now(accounts.get("bob"))])
      .toEqual([{ balance: 1111 }, { balance: 7 }]);
  });

  test("is known also when it changed nothing, or removed the record", async () => {
    const { time, runtime, store } = desk();
    const accounts = records<Account>("accounts", { store, runtime });
    await now(accounts.update("ann", (account) => account, { context: cause("m1") }));
    await now(accounts.update("bob", add(1)));
    await now(accounts.update("bob", () => undefined, { context: cause("m2") }));
    await time.advance(80_000_000);
    expect(await now(accounts.update("ann", add(5), { context: cause("m1") }))).toBeUndefined();
    expect(await now(accounts.update("bob", add(5), { context: cause("m2") }))).toBeUndefined();
  });

  test("changes it once when two bring it at a time", async () => {
    const { time, runtime, store } = desk();
    const accounts = records<Account>("accounts", { store, runtime });
    const copies = Array.from({ length: 10 }, () => accounts.update("ann", add(5), { context: cause("m1") }));
    await pass(time, 5000, 500);
    expect(await now(Promise.all(copies))).toEqual(Array(10).fill({ balance: 5 }));
  });

  test("is known after 1000 others, and its record stays small", async () => {
    const { runtime, store } = desk();
    const accounts = records<Account>("accounts", { store, runtime });
    const all = Array.from({ length: 1000 }, (_, n) => cause(`m${n}`, "handler"));
    for (const context of all) await now(accounts.update("ann", add(1), { context }));
    expect((await store.get("records/accounts/ann"))!.value.length).toBeLessThan(3000);
    for (const context of all) await now(accounts.update("ann", add(1), { context }));
    expect(await now(accounts.get("ann"))).toEqual({ balance: 1000 });
  });

  test("leaves the record without an entry of its own when its delivery is done", async () => {
    const { runtime, store } = desk();
    const marks = inbox(store, { runtime });
    const accounts = records<Account>("accounts", { store, runtime, inbox: marks });
    for (let n = 0; n < 200; n++) {
      await now(accounts.update("ann", add(1), { context: cause(`m${n}`, "handler") }));
      await now(marks.done("handler", `m${n}`));
    }
    expect(await store.list("applied/")).toEqual([]);
    await now(accounts.update("ann", add(1), { context: cause("m0", "handler") }));
    expect(await now(accounts.get("ann"))).toEqual({ balance: 200 });
  });

  test("is known by a copy that began before its delivery was done and its id left the record", async () => {
    const { runtime, store } = desk();
    const marks = inbox(store, { runtime });
    const accounts = records<Account>("accounts", { store, runtime, inbox: marks });
    const first = cause("m0", "handler");
    // The copy has asked the inbox already, and is slow.
    expect(await now(marks.seen("handler", "m0"))).toBe(false);
    await now(accounts.update("ann", add(1), { context: first }));
    await now(marks.done("handler", "m0"));
    for (let n = 1; n < 100; n++) {
      await now(accounts.update("ann", add(1), { context: cause(`m${n}`, "handler") }));
    }
    expect((await store.get("records/accounts/ann"))!.value).not.toContain('"m0"');
    await now(accounts.update("ann", add(1), { context: first }));
    expect(await now(accounts.get("ann"))).toEqual({ balance: 100 });
  });

  test("is known by a copy that read the record before its id left it", async () => {
    const { time, runtime, store } = desk();
    const marks = inbox(store, { runtime });
    const accounts = records<Account>("accounts", { store, runtime, inbox: marks });
    for (let n = 0; n < 64; n++) {
      await now(accounts.update("ann", add(1), { context: cause(`m${n}`, "handler") }));
    }
    let met = false;
    const slow = changed<Store>(store, {
      get: async (key, options) => {
        const found = await store.get(key, options);
        if (key.startsWith("records/") && !met) {
          met = true;
          await accounts.update("ann", add(1), { context: cause("late", "handler") });
          await marks.done("handler", "late");
          for (let n = 100; n < 200; n++) {
            await accounts.update("ann", add(1), { context: cause(`m${n}`, "handler") });
          }
        }
        return found;
      },
    });
    const copy = records<Account>("accounts", { store: slow, runtime, inbox: marks })
      .update("ann", add(1), { context: cause("late", "handler") });
    await pass(time, 5000, 500);
    await now(copy);
    expect(await now(accounts.get("ann"))).toEqual({ balance: 165 });
  });
});

describe("what a record has to tell", () => {
  test("is refused when no queue takes it, and then nothing has changed", async () => {
    const { runtime, store } = desk();
    const accounts = records<Account>("accounts", { store, runtime });
    const told: [string, (tx: Parameters<Parameters<typeof accounts.update>[1]>[1]) => void][] = [
      ["a key that is too long", (tx) => tx.publish(Noted({ text: "" }), { key: "x".repeat(513) })],
      ["a body that is too large", (tx) => tx.publish(Noted({ text: "x".repeat(262_144) }))],
      ["a body that nobody would read", (tx) => tx.publish(Noted({ text: deep(63) as string }))],
      ["a body that is a circle", (tx) => tx.publish(Noted({ text: circle() as string }))],
      ["an event that may be lost", (tx) => tx.publish({ kind: "event", type: "x", body: 1 } as never)],
      ["a query", (tx) => tx.enqueue({ kind: "query", type: "x", body: 1 } as never)],
    ];
    for (const [, tell] of told) {
      const failed = accounts.update("ann", (_, tx) => {
        tell(tx);
        return { balance: 1 };
      });
      expect(await now(faultOf(failed))).toBe("VALIDATION");
      expect(await now(accounts.get("ann"))).toBeUndefined();
    }
  });

  test("has a limit, over which a record is not changed until some of it was told", async () => {
    const { time, runtime, store } = desk();
    const accounts = records<Account>("accounts", { store, runtime, timeout: 1000 });
    const tell =
      (count: number) => (account: Account | undefined, tx: { publish(event: unknown): void }): Account => {
        for (let n = 0; n < count; n++) tx.publish(Noted({ text: "" }));
        return account ?? { balance: 1 };
      };
    await now(accounts.update("ann", tell(900)));
    const more = faultOf(accounts.update("ann", tell(101)));
    const large = faultOf(accounts.update("ann", (_, tx) => {
      tx.publish(Noted({ text: "x".repeat(200_000) }));
      return { balance: 2 };
    }));
    await time.advance(2000);
    expect([await now(more), await now(large)]).toEqual(["OVERLOADED", "OVERLOADED"]);
    await now(accounts.update("ann", tell(100)));
  });

  test("goes by its contract's key, and commands by their name", async () => {
    const { runtime, store } = desk();
    const Charge = command("charge", { input: type<number>(), output: type<void>(), idempotency: {} });
    await now(
      records<number>("carts", { store, runtime }).update("ann", (_, tx) => {
        tx.publish(Noted({ text: "a" }));
        tx.publish(Keyed({ key: "k", n: 1 }));
        tx.publish(Keyed({ key: "k", n: 1 }), { key: "own" });
        tx.enqueue(Charge(5));
        return 1;
      }),
    );
    const kept = (await store.get("records/carts/ann"))!.value.split("\n");
    const [, pending] = JSON.parse(kept[0]!) as [number, [string, string, string][]];
    expect(pending.map(([, topic, key]) => [topic, key])).toEqual([
      ["noted", "carts/ann"],
      ["keyed", "k"],
      ["keyed", "own"],
      ["commands/charge", "carts/ann"],
    ]);
    const ids = pending.map(([id]) => id);
    expect(ids).toEqual(ids.map((_, at) => `carts/ann@1.${at}`));
  });
});

function circle(): unknown {
  const value: unknown[] = [];
  value.push(value);
  return value;
}

function deep(levels: number): unknown {
  return levels === 0 ? 1 : [deep(levels - 1)];
}
