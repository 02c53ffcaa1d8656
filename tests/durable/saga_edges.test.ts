/** Sagas where two things happen at once: each test is for a way to get it wrong. */

import { describe, expect, test } from "bun:test";
import { type Answerable, command, failure, handle, type Module, systemFault, type } from "@catga/catga";
import { saga, type SagaContext, type SagaDefinition } from "@catga/catga/durable";
import { SagaBench } from "./saga_bench.ts";

const Do = command("do", { input: type<string>(), output: type<string>() });
const Undo = command("undo", { input: type<string>(), output: type<void>() });
const Go = command("go", { input: type<void>(), output: type<unknown>() });

const handlers = (bench: SagaBench): Module => [
  handle(Do, async (text, context) => {
    bench.serve(text, context);
    const ms = Number(/\d+/.exec(text)?.[0] ?? 0);
    await new Promise<void>((resolve) => void bench.simulation.after(ms, resolve));
    if (text === "bad") throw new Error("bad");
    return text;
  }),
  handle(Undo, (text, context) => bench.serve(text, context)),
];

function going(run: (saga: SagaContext) => Promise<unknown>): SagaDefinition {
  return saga(Go, (_body, saga) => run(saga));
}

const act = (saga: SagaContext, text: string): Promise<string> =>
  saga.step(text.replaceAll(" ", "-"), Do(text), { undo: Undo(text) });

/** Answers messages with a body in the place of their service, and counts how often. */
function refuse(
  bench: SagaBench,
  body: string,
  code: "TIMEOUT" | "UNAVAILABLE",
  unless = (): boolean => false,
) {
  const tries = { count: 0 };
  bench.instead = (message: Answerable) => {
    if (message.body !== body || unless()) return undefined;
    tries.count++;
    return failure(systemFault(code, "no"));
  };
  return tries;
}

describe("a saga", () => {
  test("sleeps as long as it says, whenever its executor crashes while that is written down", async () => {
    const { simulation: { random } } = new SagaBench(handlers);
    const Event = { kind: "event", type: "happened" } as never;
    for (let crash = 0.1; crash < 12; crash += 0.1) {
      const bench = new SagaBench(handlers, random.below(1000));
      const sleeper = going(async (saga) => {
        void saga.waitFor("first", Event);
        // The sleep is asked for while the wait is put down.
        await new Promise<void>((resolve) => void bench.simulation.after(0.5, resolve));
        await saga.sleep("long", 10_000);
        await act(saga, "after");
      });
      const [a, b] = [await bench.start("a", [sleeper]), await bench.start("b", [sleeper])];
      const began = bench.simulation.time;
      void a.sagas.begin(Go(), { key: "k" });
      await bench.simulation.run(crash);
      bench.simulation.crash("a");
      await bench.settle(b.sagas.begin(Go(), { key: "k" }));
      await bench.comes(b, "go/k", "completed");
      expect({ crash, early: bench.served[0]!.at - began < 10_000 }).toEqual({ crash, early: false });
    }
  });

  test("sleeps by the store's clock, not by one that goes too fast", async () => {
    const bench = new SagaBench(handlers);
    const sleeper = going(async (saga) => {
      await saga.sleep("nap", 1500);
      await act(saga, "after");
    });
    const node = await bench.start("a", [sleeper], { ttl: 60_000 });
    bench.simulation.setClock("a", { drift: 1 });
    const began = bench.simulation.time;
    await bench.settle(node.sagas.begin(Go(), { key: "k" }));
    await bench.comes(node, "go/k", "completed");
    expect(bench.served[0]!.at - began).toBeGreaterThanOrEqual(1500);
  });

  test("asks for the same in the same order again, however long its own thoughts take", async () => {
    const bench = new SagaBench(handlers);
    const thinking = going(async (saga) => {
      const first = act(saga, "first");
      const quick = async (): Promise<void> => {
        await first;
        await act(saga, "quick");
        await act(saga, "quick too");
      };
      const slow = async (): Promise<void> => {
        await first;
        for (let thoughts = 0; thoughts < 50; thoughts++) await Promise.resolve();
        await act(saga, "slow");
      };
      await Promise.all([quick(), slow()]);
      await saga.sleep("nap", 2000);
    });
    const a = await bench.start("a", [thinking]);
    await bench.settle(a.sagas.begin(Go(), { key: "k" }));
    await bench.simulation.run(1000);
    bench.simulation.crash("a");
    const b = await bench.start("b", [thinking]);
    await bench.comes(b, "go/k", "completed");
    expect(bench.calls).toEqual(["do first", "do quick", "do slow", "do quick too"]);
  });

  test("that failed does not wait for a step that never began", async () => {
    const bench = new SagaBench(handlers);
    const tries = refuse(bench, "away", "UNAVAILABLE");
    const failing = going(async (saga) => {
      await act(saga, "one");
      void act(saga, "away");
      await act(saga, "bad");
    });
    const node = await bench.start("a", [failing]);
    await bench.settle(node.sagas.begin(Go(), { key: "k" }));
    await bench.comes(node, "go/k", "compensated", 3000);
    expect(tries.count).toBeLessThan(10);
    expect(bench.calls).toEqual(["do one", "do bad", "do bad", "do bad", "undo bad", "undo one"]);
  });

  test("that failed waits for a step that may have begun, also over the end of its node", async () => {
    const bench = new SagaBench(handlers);
    let isBack = false;
    refuse(bench, "mute", "TIMEOUT", () => isBack);
    const failing = going(async (saga) => {
      void act(saga, "mute");
      await act(saga, "bad");
    });
    const a = await bench.start("a", [failing]);
    await bench.settle(a.sagas.begin(Go(), { key: "k" }));
    await bench.simulation.run(1500);
    await bench.settle(a.sagas[Symbol.asyncDispose]());
    isBack = true;
    await bench.comes(await bench.start("b", [failing]), "go/k", "compensated");
    // Both ended before anything was undone, and the one that ended last is undone first.
    expect(bench.calls.slice(3)).toEqual(["do mute", "undo mute", "undo bad"]);
  });

  test("undoes by a message what a crashed executor may have begun", async () => {
    const bench = new SagaBench(handlers);
    const one = going(async (saga) => {
      await saga.step("one", Do("wait 600000"), { undo: Undo("one"), attempts: 2 });
    });
    const a = await bench.start("a", [one]);
    await bench.settle(a.sagas.begin(Go(), { key: "k" }));
    await bench.simulation.run(500);
    bench.simulation.crash("a");
    refuse(bench, "wait 600000", "UNAVAILABLE");
    await bench.comes(await bench.start("b", [one]), "go/k", "compensated");
    expect(bench.calls).toEqual(["do wait 600000", "undo one"]);
  });

  test("sends no undo again that was answered before a crash", async () => {
    const bench = new SagaBench(handlers);
    let isBack = false;
    refuse(bench, "one", "UNAVAILABLE", () => isBack || bench.calls.length < 3);
    const failing = going(async (saga) => {
      await act(saga, "one");
      await act(saga, "two");
      return await Promise.reject(new Error("over"));
    });
    const a = await bench.start("a", [failing]);
    await bench.settle(a.sagas.begin(Go(), { key: "k" }));
    await bench.simulation.run(500);
    expect(bench.calls).toEqual(["do one", "do two", "undo two"]);
    bench.simulation.crash("a");
    isBack = true;
    await bench.comes(await bench.start("b", [failing]), "go/k", "compensated");
    expect(bench.calls).toEqual(["do one", "do two", "undo two", "undo one"]);
  });

  test("is given back at once when its node stops between two tries of an undo", async () => {
    const bench = new SagaBench(handlers);
    let isBack = false;
    refuse(bench, "one", "UNAVAILABLE", () => isBack || bench.calls.length < 1);
    const failing = going(async (saga) => {
      await act(saga, "one");
      return await Promise.reject(new Error("over"));
    });
    const a = await bench.start("a", [failing]);
    await bench.settle(a.sagas.begin(Go(), { key: "k" }));
    await bench.simulation.run(5000);
    const before = bench.simulation.time;
    await bench.settle(a.sagas[Symbol.asyncDispose]());
    expect(bench.simulation.time - before).toBeLessThan(200);
    isBack = true;
    await bench.comes(await bench.start("b", [failing]), "go/k", "compensated");
  });

  test("sends nothing more once the lease is over", async () => {
    const bench = new SagaBench(handlers);
    const tries = refuse(bench, "mute", "TIMEOUT");
    const a = await bench.start("a", [going((saga) => saga.step("mute", Do("mute"), { attempts: 1000 }))]);
    await bench.settle(a.sagas.begin(Go(), { key: "k" }));
    await bench.simulation.run(500);
    bench.server.cut("a");
    await bench.simulation.run(1500);
    const { count } = tries;
    expect(count).toBeGreaterThan(1);
    await bench.simulation.run(120_000);
    expect(tries.count).toBe(count);
    bench.server.mend("a");
    await bench.simulation.run(60_000);
    expect(tries.count).toBeGreaterThan(count);
  });

  test("that was announced and never came is forgotten, and one that is there is found without its mark", async () => {
    const bench = new SagaBench(handlers);
    const a = await bench.start("a", [going((saga) => act(saga, "one"))]);
    const store = bench.server.open(a.runtime);
    await bench.settle(store.put("sagas/live/go/none", JSON.stringify({ version: 1, status: "running" })));
    await bench.simulation.run(10_000);
    expect(a.sagas.counts().live).toBe(1);
    await bench.simulation.run(70_000);
    expect(a.sagas.counts().live).toBe(0);
    const record = {
      type: "go",
      version: 1,
      status: "running",
      by: "gone",
      journal: [],
      started: 0,
      changed: 0,
    };
    await bench.settle(store.put("sagas/of/go/k", JSON.stringify(record)));
    await bench.simulation.run(10_000);
    expect(bench.calls).toEqual([]);
    expect((await bench.send(a, Go(), "k")).value).toBe("one");
  });

  test("is taken over as soon as the lease is over", async () => {
    const bench = new SagaBench(handlers);
    const slow = going((saga) => act(saga, "wait 5000"));
    const a = await bench.start("a", [slow], { ttl: 20_000 });
    await bench.start("b", [slow], { ttl: 20_000 });
    await bench.settle(a.sagas.begin(Go(), { key: "k" }));
    await bench.simulation.run(100);
    bench.simulation.crash("a");
    const crashed = bench.simulation.time;
    await bench.simulation.until(() => bench.served.length === 2, 60_000);
    expect(bench.simulation.time - crashed).toBeLessThan(21_000);
  });
});
