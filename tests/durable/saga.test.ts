/** Sagas: what they answer, what they undo, and what they never do. F31 to F36 are faults of the original. */

import { describe, expect, test } from "bun:test";
import {
  CatgaError,
  command,
  createMediator,
  fail,
  failure,
  handle,
  type Module,
  query,
  systemFault,
  type,
} from "@catga/catga";
import { createSagas, saga } from "@catga/catga/durable";
import { memoryStore } from "@catga/catga/memory";
import { systemRuntime } from "@catga/catga/ports";
import { SagaBench } from "./saga_bench.ts";

const errors = { POOR: type<{ readonly missing: number }>() };
const Charge = command("charge", {
  input: type<number>(),
  output: type<{ readonly receipt: string }>(),
  errors,
});
const Refund = command("refund", { input: type<string>(), output: type<void>() });
const Look = query("look", { input: type<string>(), output: type<unknown>() });
const Buy = command("buy", { input: type<readonly number[]>(), output: type<string>(), errors });

const refund = { undo: ({ receipt }: { readonly receipt: string }) => Refund(receipt) };

/** What `look` answers; by the text that it is asked. */
type Looks = Readonly<Record<string, (times: number, bench: SagaBench) => unknown>>;

function handlers(looks: Looks = {}): (bench: SagaBench) => Module {
  const times = new Map<string, number>();
  return (bench) => [
    handle(Charge, (amount, context) => {
      bench.serve(amount, context);
      return amount > 100 ? fail("POOR", { missing: amount - 100 }) : { receipt: `r${amount}` };
    }),
    handle(Refund, async (receipt, context) => {
      bench.serve(receipt, context);
      times.set(receipt, (times.get(receipt) ?? 0) + 1);
      await looks[receipt]?.(times.get(receipt)!, bench);
    }),
    handle(Look, (text, context) => {
      bench.serve(text, context);
      times.set(text, (times.get(text) ?? 0) + 1);
      return looks[text]?.(times.get(text)!, bench) as never;
    }),
  ];
}

/** Charges each amount, one after the other. */
const buy = saga(Buy, async (amounts, saga) => {
  for (const amount of amounts) await saga.step("charge", Charge(amount), refund);
  return `paid ${amounts.length}`;
});

describe("a saga", () => {
  test("does each step once under its key, answers, and answers the same again", async () => {
    const bench = new SagaBench(handlers());
    const node = await bench.start("a", [buy]);
    for (let times = 0; times < 3; times++) {
      const result = await bench.send(node, Buy([1, 2]), "k");
      expect(result.ok && result.value).toBe("paid 2");
    }
    expect(bench.served.map(({ key }) => key)).toEqual(["buy/k/charge", "buy/k/charge#2"]);
    expect(node.sagas.counts()).toMatchObject({
      started: 1,
      resumed: 0,
      completed: 1,
      steps: 2,
      running: 0,
      live: 0,
    });
    expect(bench.server.entries().map(({ key }) => key.split("/").slice(0, 2).join("/"))).toEqual([
      "sagas/by",
      "sagas/of",
    ]);
  });

  test("takes one write a step beside those that begin and end it", async () => {
    const writes = async (steps: number): Promise<number> => {
      const bench = new SagaBench(handlers());
      const node = await bench.start("a", [buy]);
      const before = bench.simulation.trace.count;
      await bench.send(node, Buy(Array.from({ length: steps }, () => 1)), "k");
      expect(bench.simulation.trace.count).toBeGreaterThan(before);
      return bench.simulation.trace.lines(200).filter((line) => /put "sagas\/of/.test(line)).length;
    };
    expect([await writes(1), await writes(5)]).toEqual([3, 7]);
  });

  test("refuses another body under the same key", async () => {
    const bench = new SagaBench(handlers());
    const node = await bench.start("a", [buy]);
    await bench.send(node, Buy([1]), "k");
    const result = await bench.send(node, Buy([2]), "k");
    expect(result.error).toMatchObject({
      code: "CONFLICT",
      message: expect.stringContaining("another body"),
    });
    expect(bench.calls).toEqual(["charge 1"]);
  });

  test("that is begun by a handler does not take the key of what the handler was called with", async () => {
    const Twice = command("twice", { input: type<void>(), output: type<readonly unknown[]>() });
    const bench = new SagaBench((bench) => [
      handlers()(bench),
      handle(
        Twice,
        async (_body, context) => await Promise.all([context.send(Buy([1])), context.send(Buy([2]))]),
      ),
    ]);
    const node = await bench.start("a", [buy]);
    const { value } = await bench.send(node, Twice(), "k");
    expect(value.map(({ ok }: { readonly ok: boolean }) => ok)).toEqual([true, true]);
    expect(bench.calls.sort()).toEqual(["charge 1", "charge 2"]);
  });

  test("that fails with its contract's own failure undoes what was done, the last first", async () => {
    const bench = new SagaBench(handlers());
    const node = await bench.start("a", [buy]);
    const result = await bench.send(node, Buy([1, 2, 130]), "k");
    expect(result.error).toMatchObject({ code: "POOR", data: { missing: 30 } });
    expect(bench.calls).toEqual(["charge 1", "charge 2", "charge 130", "refund r2", "refund r1"]);
    expect(bench.served.slice(3).map(({ key }) => key)).toEqual(["buy/k/charge#2~undo", "buy/k/charge~undo"]);
    expect((await bench.settle(node.sagas.show("buy/k")))!.steps.map(({ name, state }) => [name, state]))
      .toEqual([
        ["charge", "undone"],
        ["charge#2", "undone"],
        ["charge#3", "failed"],
      ]);
    expect(await bench.send(node, Buy([1, 2, 130]), "k")).toEqual(result);
  });

  test("may return a failure, throw anything, or be no async function", async () => {
    const ends: readonly (readonly [run: () => Promise<string>, code: string])[] = [
      [() => Promise.resolve(fail("POOR", { missing: 1 })) as never, "POOR"],
      [() => Promise.reject(new CatgaError(systemFault("CONFLICT", "no"))), "CONFLICT"],
      [() => Promise.reject("text"), "INTERNAL"],
      [() => {
        throw new Error("at once");
      }, "INTERNAL"],
      [() => Promise.resolve(1n as never), "SERIALIZATION"],
    ];
    for (const [run, code] of ends) {
      const bench = new SagaBench(handlers());
      const ending = saga(Buy, async (_body, saga) => {
        await saga.step("charge", Charge(1), refund);
        return await run();
      });
      const node = await bench.start("a", [
        ending,
        saga(command("other", { input: type<void>(), output: type<string>() }), run),
      ]);
      expect((await bench.send(node, Buy([]), "k")).error.code).toBe(code);
      expect(bench.calls).toEqual(["charge 1", "refund r1"]);
    }
  });

  test("is given failures where it asks for them, and goes on", async () => {
    const bench = new SagaBench(handlers());
    const trying = saga(Buy, async (_body, saga) => {
      const result = await saga.try("charge", Charge(130), refund);
      return result.ok ? "rich" : result.error.code;
    });
    const node = await bench.start("a", [trying]);
    expect((await bench.send(node, Buy([]), "k")).value).toBe("POOR");
    expect(bench.calls).toEqual(["charge 130"]);
  });

  test("F33: runs branches side by side, and ends when all have", async () => {
    const bench = new SagaBench(handlers({
      slow: (_times, { simulation }) =>
        new Promise((resolve) => simulation.after(100, () => resolve("slow"))),
    }));
    const branching = saga(Buy, async (_body, saga) => {
      const { left, right } = await saga.all({
        left: async (branch) => {
          await branch.step("look", Look("slow"));
          return await branch.step("charge", Charge(1), refund);
        },
        right: async (branch) => {
          await branch.step("look", Look("slow"));
          return await branch.step("charge", Charge(130), refund);
        },
        last: async (branch) => {
          await branch.sleep("wait", 300);
          return await branch.step("charge", Charge(3), refund);
        },
      });
      return left.receipt + right.receipt;
    });
    const node = await bench.start("a", [branching]);
    expect((await bench.send(node, Buy([]), "k")).error.code).toBe("POOR");
    expect(bench.calls.slice(-3)).toEqual(["charge 3", "refund r3", "refund r1"]);
    const [first, second] = bench.served;
    expect(second!.at - first!.at).toBeLessThan(50);
    expect(bench.served.map(({ key }) => key)).toContain("buy/k/left/charge~undo");
  });

  test("keeps what JSON keeps of answers, and nothing as nothing", async () => {
    const bench = new SagaBench(
      handlers({ date: () => new Date(0), nothing: () => undefined, bigint: () => 1n }),
    );
    const looking = saga(Buy, async (_body, saga) => {
      const bigint = await saga.try("bigint", Look("bigint"), { undo: Refund("big") });
      const seen = [await saga.step("date", Look("date")), await saga.step("nothing", Look("nothing"))];
      return JSON.stringify([...seen, seen[1] === undefined, bigint.ok ? "" : bigint.error.code]);
    });
    const node = await bench.start("a", [looking]);
    expect((await bench.send(node, Buy([]), "k")).value).toBe(
      '["1970-01-01T00:00:00.000Z",null,true,"SERIALIZATION"]',
    );
  });
});

describe("a step that is not answered", () => {
  test("F36: is tried again under its key, while others are not", async () => {
    const bench = new SagaBench(handlers({
      late: (times) => times < 4 ? failure(systemFault("UNAVAILABLE", "not yet")) : "there",
    }));
    const waiting = saga(Buy, async (_body, saga) => {
      await saga.step("charge", Charge(1), refund);
      return await saga.step("look", Look("late")) as string;
    });
    const node = await bench.start("a", [waiting]);
    expect((await bench.send(node, Buy([]), "k")).value).toBe("there");
    expect(bench.calls).toEqual(["charge 1", "look late", "look late", "look late", "look late"]);
    expect(new Set(bench.served.map(({ key }) => key)).size).toBe(2);
  });

  test("fails the saga when it was tried often enough", async () => {
    for (const code of ["UNAVAILABLE", "OVERLOADED", "NO_HANDLER"] as const) {
      const bench = new SagaBench(handlers());
      let tries = 0;
      bench.instead = (message) => {
        if (message.type !== "look") return undefined;
        tries++;
        return failure(systemFault(code, "gone"));
      };
      const giving = saga(Buy, async (_body, saga) => {
        await saga.step("charge", Charge(1), refund);
        return await saga.step("look", Look("gone"), { attempts: 5, undo: Refund("look") }) as string;
      });
      const node = await bench.start("a", [giving]);
      await bench.send(node, Buy([]), "k", 600_000);
      expect([tries, (await bench.settle(node.sagas.show("buy/k")))!.fault!.code]).toEqual([5, code]);
      // It provably never started, so there is nothing to undo of it.
      expect(bench.calls).toEqual(["charge 1", "refund r1"]);
    }
  });

  test("that its handler fails at is tried three times, and then undone by a message if it has one", async () => {
    const bench = new SagaBench(handlers({
      broken: () => {
        throw new Error("it broke");
      },
    }));
    const breaking = saga(Buy, async (_body, saga) => {
      await saga.step("look", Look("broken"), { undo: Refund("maybe") });
      return "";
    });
    const node = await bench.start("a", [breaking]);
    expect((await bench.send(node, Buy([]), "k")).error.code).toBe("INTERNAL");
    expect(bench.calls).toEqual(["look broken", "look broken", "look broken", "refund maybe"]);
  });

  test("and may have happened: a message undoes it", async () => {
    const bench = new SagaBench(handlers({ hangs: () => new Promise(() => {}) }));
    const hanging = saga(Buy, async (_body, saga) => {
      await saga.step("charge", Charge(1), refund);
      await saga.step("look", Look("hangs"), { timeout: 100, attempts: 2, undo: Refund("maybe") });
      return "";
    });
    const node = await bench.start("a", [hanging]);
    expect((await bench.send(node, Buy([]), "k")).error.code).toBe("TIMEOUT");
    expect(bench.calls).toEqual(["charge 1", "look hangs", "look hangs", "refund maybe", "refund r1"]);
  });

  test("and may have happened, with an undo that needs its answer: is for somebody to decide", async () => {
    let isBack = false;
    const bench = new SagaBench(handlers({ hangs: () => isBack ? "back" : new Promise(() => {}) }));
    const hanging = saga(Buy, async (_body, saga) => {
      await saga.step("charge", Charge(1), refund);
      return await saga.step("look", Look("hangs"), {
        timeout: 100,
        attempts: 2,
        undo: (text) => Refund(text as string),
      }) as string;
    });
    const node = await bench.start("a", [hanging]);
    const result = await bench.send(node, Buy([]), "k");
    expect(result.error).toMatchObject({
      code: "INTERNAL",
      data: { saga: "buy/k", reason: expect.stringContaining('whether the step "look" happened') },
    });
    expect(bench.calls).toEqual(["charge 1", "look hangs", "look hangs"]);
    expect(bench.alarms()).toContain("saga.stuck");
    const listed = await bench.settle(node.sagas.list({ status: "stuck" }));
    expect(listed.map(({ id, steps }) => [id, steps.map(({ state }) => state)])).toEqual([["buy/k", [
      "done",
      "open",
    ]]]);
    const paged = async (after?: string): Promise<number> =>
      (await bench.settle(node.sagas.list({ status: "stuck", after }))).length;
    expect([await paged("buy/j"), await paged("buy/k")]).toEqual([1, 0]);
    await bench.simulation.run(30_000);
    expect(bench.calls).toHaveLength(3);
    isBack = true;
    await bench.settle(node.sagas.resume("buy/k"));
    expect((await bench.send(node, Buy([]), "k")).value).toBe("back");
    await expect(bench.settle(node.sagas.resume("buy/k"))).rejects.toThrow("it is completed, not stuck");
  });
});

describe("undoing", () => {
  test("F35, F36: tries all although one fails, says so, and goes on where somebody resumes it", async () => {
    let isBack = false;
    const bench = new SagaBench(handlers({
      r2: () => {
        if (!isBack) throw new Error("no refunds today");
      },
    }));
    const node = await bench.start("a", [buy]);
    const result = await bench.send(node, Buy([1, 2, 3, 130]), "k");
    expect(result.error).toMatchObject({ code: "INTERNAL", message: expect.stringContaining("stuck") });
    const after = bench.calls.slice(4);
    expect(after).toEqual(["refund r3", "refund r2", "refund r2", "refund r2", "refund r1"]);
    const [state] = await bench.settle(node.sagas.list({ status: "stuck" }));
    expect(state!.steps.map(({ state }) => state)).toEqual(["undone", "not undone", "undone", "failed"]);
    expect(state!.fault!.code).toBe("POOR");
    await expect(bench.settle(node.sagas.cancel("buy/k"))).rejects.toThrow("undone already");
    isBack = true;
    await bench.settle(node.sagas.resume("buy/k"));
    await bench.comes(node, "buy/k", "compensated");
    expect(bench.calls.slice(9)).toEqual(["refund r2"]);
    expect((await bench.send(node, Buy([1, 2, 3, 130]), "k")).error.code).toBe("POOR");
  });

  test("waits for steps under way, which begin no others", async () => {
    const bench = new SagaBench(handlers({
      slow: (_times, { simulation }) =>
        new Promise((resolve) => simulation.after(500, () => resolve("done"))),
    }));
    const careless = saga(Buy, async (_body, saga) => {
      void saga.step("look", Look("slow"), { undo: (text) => Refund(text as string) })
        .then(() => saga.step("after", Charge(9), refund));
      await saga.step("charge", Charge(130));
      return "";
    });
    const node = await bench.start("a", [careless]);
    expect((await bench.send(node, Buy([]), "k")).error.code).toBe("POOR");
    expect(bench.calls).toEqual(["look slow", "charge 130", "refund done"]);
  });

  test("begins nothing that was asked for while the function ended", async () => {
    for (const undo of [Refund("late"), () => Refund("late")]) {
      const bench = new SagaBench(handlers());
      const careless = saga(Buy, async (_body, saga) => {
        await saga.step("charge", Charge(1), refund);
        void saga.step("look", Look("late"), { undo });
        // It is being written down when the function ends.
        await new Promise<void>((resolve) => void bench.simulation.after(0.15, resolve));
        throw new Error("over");
      });
      const node = await bench.start("a", [careless]);
      expect((await bench.send(node, Buy([]), "k")).error.code).toBe("INTERNAL");
      expect(bench.calls).toEqual(["charge 1", "refund r1"]);
      expect((await bench.settle(node.sagas.show("buy/k")))!.steps).toHaveLength(1);
    }
  });

  test("F35: does not hang on the caller, who may be gone", async () => {
    const bench = new SagaBench(handlers({
      slow: (_times, { simulation }) =>
        new Promise((resolve) => simulation.after(500, () => resolve("done"))),
    }));
    const slow = saga(Buy, async (amounts, saga) => {
      await saga.step("charge", Charge(1), refund);
      await saga.step("look", Look("slow"));
      await saga.step("charge", Charge(amounts[0]!));
      return "bought";
    });
    const node = await bench.start("a", [slow]);
    const gone = new AbortController();
    const sent = node.app.send(Buy([130]), {
      headers: { "idempotency-key": "k" },
      signal: gone.signal,
      timeout: 400,
    });
    bench.simulation.after(100, () => gone.abort());
    expect((await bench.settle(sent)).ok).toBe(false);
    await bench.comes(node, "buy/k", "compensated");
    expect(bench.calls.slice(-1)).toEqual(["refund r1"]);
  });
});

describe("limits", () => {
  test("an instance that does too much fails before it does more, and is undone", async () => {
    const bench = new SagaBench(handlers());
    const endless = saga(Buy, async (_body, saga) => {
      await saga.step("charge", Charge(1), refund);
      for (;;) saga.now();
    });
    const node = await bench.start("a", [endless]);
    const { error } = await bench.send(node, Buy([]), "k");
    expect(error.message).toContain("may have 1000");
    expect(bench.calls).toEqual(["charge 1", "refund r1"]);
  });

  test("an answer that cannot be kept fails the step, which is undone", async () => {
    const bench = new SagaBench(handlers({ long: () => "x".repeat(230_000) }));
    const long = saga(Buy, async (_body, saga) => {
      return await saga.step("look", Look("long"), {
        undo: (text) => Refund(`${(text as string).length}`),
      }) as string;
    });
    const node = await bench.start("a", [long]);
    const { error } = await bench.send(node, Buy([]), "k");
    expect(error).toMatchObject({
      code: "SERIALIZATION",
      message: expect.stringContaining("230002 characters"),
    });
    expect(bench.calls).toEqual(["look long", "refund 230000"]);
  });

  test("many large answers at once are kept as far as there is room, and all are undone", async () => {
    const bench = new SagaBench(handlers({ large: () => "x".repeat(40_000) }));
    const large = saga(Buy, async (_body, saga) => {
      const undo = { undo: Refund("large") };
      await Promise.all(Array.from({ length: 8 }, () => saga.step("look", Look("large"), undo)));
      return "";
    });
    const node = await bench.start("a", [large]);
    expect((await bench.send(node, Buy([]), "k")).error.code).toBe("SERIALIZATION");
    expect(bench.calls.filter((call) => call === "refund large")).toHaveLength(8);
  });

  test("what it is begun with and its key have a length", async () => {
    const bench = new SagaBench(handlers());
    const node = await bench.start("a", [buy]);
    expect((await bench.send(node, Buy([]), "k".repeat(201))).error.message).toContain("1 to 200 characters");
    expect((await bench.send(node, Buy(Array.from({ length: 40_000 }, () => 1)), "k")).error.message)
      .toContain(
        "more than 65536",
      );
  });

  test("no more run at a time than may, and all end", async () => {
    let running = 0;
    let most = 0;
    const bench = new SagaBench(handlers({
      slow: async (_times, { simulation }) => {
        most = Math.max(most, ++running);
        await new Promise<void>((resolve) => void simulation.after(100, resolve));
        running--;
      },
    }));
    const slow = saga(Buy, async (_body, saga) => `${await saga.step("look", Look("slow"))}`);
    const node = await bench.start("a", [slow], { capacity: 2 });
    const sent = Array.from(
      { length: 10 },
      (_, n) => node.app.send(Buy([n]), { headers: { "idempotency-key": `${n}` } }),
    );
    const results = await bench.settle(Promise.all(sent));
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(most).toBe(2);
  });

  test("what is done is kept as long as it is said, and then is nowhere", async () => {
    const bench = new SagaBench(handlers());
    const node = await bench.start("a", [buy], { retention: 5000 });
    await bench.send(node, Buy([1]), "k");
    expect((await bench.settle(node.sagas.list({ status: "completed" }))).length).toBe(1);
    await bench.simulation.run(6000);
    expect(await bench.settle(node.sagas.show("buy/k"))).toBeUndefined();
    await expect(bench.settle(node.sagas.resume("buy/k"))).rejects.toThrow('There is no saga "buy/k"');
  });

  test("what cannot be is refused at once", async () => {
    const runtime = systemRuntime({ log: () => {} });
    const store = memoryStore({ clock: runtime.clock });
    const base = { definitions: [buy], store, runtime, owner: "a", unsafe: true };
    expect(() => saga(Buy, () => Promise.resolve(""), { version: 0 })).toThrow("its version is 0");
    expect(() => createSagas({ ...base, definitions: [buy, buy] })).toThrow(
      'version 1 of "buy" is there twice',
    );
    for (const wrong of [{ ttl: 50 }, { capacity: 0 }, { retention: Number.NaN }, { drain: -1 }]) {
      expect(() => createSagas({ ...base, ...wrong })).toThrow(RangeError);
    }
    const sagas = createSagas(base);
    const app = createMediator({ handlers: sagas.handlers, runtime });
    expect(await app.send(Buy([]))).toMatchObject({
      error: { retryable: true, message: expect.stringContaining("not started") },
    });
    await sagas[Symbol.asyncDispose]();
    expect(() => sagas.start(app)).toThrow("has stopped");
    const bench = new SagaBench(handlers());
    const odd = saga(Buy, async ([which], saga) => {
      if (which === 0) await saga.step("a/b", Charge(1));
      if (which === 1) await saga.sleep("s", -1);
      if (which === 2) await saga.step("s", Charge(1), { timeout: 0 });
      return "";
    });
    const node = await bench.start("a", [odd]);
    for (const which of [0, 1, 2]) {
      expect((await bench.send(node, Buy([which]), `${which}`)).error.code).toBe("INTERNAL");
    }
    expect(bench.calls).toEqual([]);
    await expect(bench.settle(node.sagas.begin(Charge(1), { key: "k" }))).rejects.toThrow(
      "no saga of this node",
    );
  });
});
