/** Sagas over time: sleeps, events, crashes, other versions, other nodes. */

import { describe, expect, test } from "bun:test";
import { command, event, handle, type Module, query, type } from "@catga/catga";
import { saga, type SagaContext, type SagaDefinition } from "@catga/catga/durable";
import { SagaBench, type SagaNode } from "./saga_bench.ts";

const DAY = 86_400_000;
const Note = command("note", { input: type<string>(), output: type<string>() });
const Erase = command("erase", { input: type<string>(), output: type<void>() });
const Slow = query("slow", { input: type<number>(), output: type<number>() });
const Go = command("go", { input: type<void>(), output: type<unknown>() });
const Paid = event("paid", {
  data: type<{ readonly order: string; readonly by?: { readonly card: string } }>(),
});

const handlers = (bench: SagaBench): Module => [
  handle(Note, (text, context) => {
    bench.serve(text, context);
    return `noted ${text}`;
  }),
  handle(Erase, (text, context) => bench.serve(text, context)),
  handle(Slow, (ms, context) => {
    bench.serve(ms, context);
    return new Promise((resolve) => void bench.simulation.after(ms, () => resolve(ms)));
  }),
];
const note = (saga: SagaContext, text: string): Promise<string> =>
  saga.step("note", Note(text), { undo: Erase(text) });

function going(run: (saga: SagaContext) => Promise<unknown>, version?: number): SagaDefinition {
  return saga(Go, (_body, saga) => run(saga), { version, events: [Paid] });
}

/** Begins one, which is under way then. */
async function begun(bench: SagaBench, node: SagaNode, ms: number = 200): Promise<void> {
  await bench.settle(node.sagas.begin(Go(), { key: "k" }));
  await bench.simulation.run(ms);
}

describe("a sleep", () => {
  test(
    "of 30 days lasts 30 days by the store's clock, over jumps of all others, crashes, and with no node at all",
    async () => {
      const bench = new SagaBench(handlers);
      const sleeper = going(async (saga) => {
        await note(saga, "before");
        await saga.sleep("month", 30 * DAY);
        await note(saga, "after");
      });
      const node = await bench.start("a", [sleeper]);
      const began = bench.simulation.time;
      await begun(bench, node, 10_000);
      expect(node.sagas.counts()).toMatchObject({ running: 0, live: 1 });
      bench.simulation.setClock("a", { skew: 40 * DAY });
      await bench.simulation.run(10_000);
      bench.simulation.setClock("a", { skew: -40 * DAY });
      bench.simulation.crash("a");
      await bench.simulation.run(30 * DAY - 100_000);
      expect(bench.calls).toEqual(["note before"]);
      const other = await bench.start("b", [sleeper]);
      await bench.comes(other, "go/k", "completed", 200_000);
      const { at } = bench.served[1]!;
      expect(at - began).toBeGreaterThanOrEqual(30 * DAY);
      expect(at - began).toBeLessThan(30 * DAY + 1000);
    },
    60_000,
  );

  test("that is short is not cut short by a crash, and one of no time takes none", async () => {
    const bench = new SagaBench(handlers);
    const sleeper = going(async (saga) => {
      await saga.sleep("none", 0);
      await saga.sleep("nap", 5000);
      await note(saga, "after");
    });
    const node = await bench.start("a", [sleeper]);
    const began = bench.simulation.time;
    await begun(bench, node, 1000);
    bench.simulation.crash("a");
    await bench.comes(await bench.start("a", [sleeper]), "go/k", "completed");
    expect(bench.served[0]!.at - began).toBeGreaterThanOrEqual(5000);
    expect(bench.served[0]!.at - began).toBeLessThan(6000);
  });
});

describe("a wait for an event", () => {
  const waiter = going(async (saga) => {
    const paid = saga.waitFor("paid", Paid, { match: { order: "o", by: { card: "c" } } });
    await note(saga, "asked");
    return await paid;
  });
  const mine = Paid({ order: "o", by: { card: "c" } });

  test("ends with the event that fits, also one that comes before it is awaited", async () => {
    const bench = new SagaBench(handlers);
    const node = await bench.start("a", [waiter]);
    await begun(bench, node);
    for (
      const other of [Paid({ order: "x" }), Paid({ order: "o" }), Paid({ order: "o", by: { card: "d" } })]
    ) {
      expect(await bench.settle(node.sagas.deliver(other))).toBe(0);
    }
    expect(await bench.settle(node.sagas.deliver(mine))).toBe(1);
    expect((await bench.comes(node, "go/k", "completed")).value).toEqual({ order: "o", by: { card: "c" } });
    expect(await bench.settle(node.sagas.deliver(mine))).toBe(0);
    expect(node.sagas.counts().events).toBe(1);
  });

  test("is heard of through the mediator, where the saga names its events", async () => {
    const bench = new SagaBench(handlers);
    const node = await bench.start("a", [waiter]);
    await begun(bench, node);
    await bench.settle(node.app.publish(mine));
    await bench.comes(node, "go/k", "completed");
  });

  test("F33: is not lost when it comes while nobody runs the saga", async () => {
    const bench = new SagaBench(handlers);
    const node = await bench.start("a", [waiter]);
    await begun(bench, node, 5000);
    bench.simulation.crash("a");
    // This one has not the saga, but the event.
    const other = await bench.start("b", []);
    expect(await bench.settle(other.sagas.deliver(mine, { id: "e1" }))).toBe(1);
    expect(await bench.settle(other.sagas.deliver(mine, { id: "e1" }))).toBe(1);
    expect(await bench.settle(other.sagas.deliver(mine, { id: "e2" }))).toBe(0);
    await bench.comes(await bench.start("c", [waiter]), "go/k", "completed");
  });

  test("takes an event once, however often it is told", async () => {
    const bench = new SagaBench(handlers);
    const twice = going(async (saga) => {
      const first = await saga.waitFor("paid", Paid, { timeout: 10_000 });
      const second = await saga.waitFor("paid", Paid, { timeout: 10_000 });
      return [first?.order, second?.order];
    });
    const node = await bench.start("a", [twice]);
    await begun(bench, node);
    for (const order of ["o1", "o2"]) {
      for (let times = 0; times < 3; times++) {
        await bench.settle(node.sagas.deliver(Paid({ order }), { id: order }));
        await bench.simulation.run(100);
      }
    }
    expect((await bench.comes(node, "go/k", "completed")).value).toEqual(["o1", "o2"]);
  });

  test("gives up when its time is over, and not before", async () => {
    const bench = new SagaBench(handlers);
    const patient = going(async (saga) => {
      const paid = await saga.waitFor("paid", Paid, { timeout: 60_000 });
      await note(saga, `paid ${paid?.order}`);
    });
    const node = await bench.start("a", [patient]);
    const began = bench.simulation.time;
    await begun(bench, node);
    await bench.comes(node, "go/k", "completed", 120_000);
    expect(bench.calls).toEqual(["note paid undefined"]);
    expect(bench.served[0]!.at - began).toBeGreaterThanOrEqual(60_000);
    expect(bench.served[0]!.at - began).toBeLessThan(61_000);
    expect(bench.server.entries().filter(({ key }) => key.startsWith("sagas/until"))).toEqual([]);
  });

  test("refuses an event that is too large or no JSON", async () => {
    const bench = new SagaBench(handlers);
    const node = await bench.start("a", [waiter]);
    const long = Paid({ order: "x".repeat(70_000) });
    await expect(bench.settle(node.sagas.deliver(long))).rejects.toThrow("more than 65536");
    await expect(bench.settle(node.sagas.deliver(Paid(1n as never)))).rejects.toThrow("no JSON");
  });
});

describe("after a crash", () => {
  test("F31: a step that takes longer than the lease is done once, and its end is kept", async () => {
    const bench = new SagaBench(handlers);
    const slow = going(async (saga) => await saga.step("slow", Slow(20_000)));
    const nodes = [await bench.start("a", [slow]), await bench.start("b", [slow])];
    await begun(bench, nodes[0]!);
    expect((await bench.comes(nodes[0]!, "go/k", "completed")).value).toBe(20_000);
    expect(bench.calls).toEqual(["slow 20000"]);
  });

  test("F31, F32: an executor that stood still writes nothing once another has taken over", async () => {
    const bench = new SagaBench(handlers);
    const slow = going(async (saga) => {
      await saga.step("slow", Slow(300));
      await note(saga, "then");
      return await saga.random();
    });
    const [a, b] = [await bench.start("a", [slow]), await bench.start("b", [slow])];
    await begun(bench, a, 100);
    bench.simulation.pause("a");
    const { value } = await bench.comes(b, "go/k", "completed");
    const kept = bench.server.entries().find(({ key }) => key === "sagas/of/go/k");
    bench.simulation.resume("a");
    await bench.simulation.run(10_000);
    expect(bench.server.entries().find(({ key }) => key === "sagas/of/go/k")).toEqual(kept!);
    expect(typeof value).toBe("number");
    expect(bench.calls.filter((call) => call === "note then")).toHaveLength(1);
    expect(new Set(bench.served.map(({ key }) => key)).size).toBe(2);
    expect(a.sagas.counts()).toMatchObject({ running: 0, live: 0 });
  });

  test("its instances are shared by those that are left", async () => {
    const bench = new SagaBench(handlers);
    const slow = going(async (saga) => await saga.step("slow", Slow(5000)));
    const [a, b, c] = [
      await bench.start("a", [slow]),
      await bench.start("b", [slow]),
      await bench.start("c", [slow]),
    ];
    for (let n = 0; n < 40; n++) await bench.settle(a.sagas.begin(Go(), { key: `${n}` }));
    await bench.simulation.run(100);
    bench.simulation.crash("a");
    await bench.simulation.run(2500);
    const taken = [b, c].map(({ sagas }) => sagas.counts().running);
    expect(taken[0]! + taken[1]!).toBe(40);
    expect(Math.min(...taken)).toBeGreaterThan(10);
    for (let n = 0; n < 40; n++) await bench.comes(b, `go/${n}`, "completed");
  });

  test("time and chance, and which of two was first, are as they were", async () => {
    const bench = new SagaBench(handlers);
    const seen: unknown[][] = [];
    const racing = going(async (saga) => {
      const chance = [saga.now(), saga.random(), saga.random()];
      const first = await Promise.race([
        saga.step("slow", Slow(300)).then(() => "slow"),
        saga.step("fast", Slow(100)).then(() => "fast"),
        saga.sleep("nap", 10 * DAY).then(() => "nap"),
      ]);
      await saga.sleep("more", 1000);
      seen.push([...chance, first]);
      await saga.sleep("most", 1000);
      return first;
    });
    const node = await bench.start("a", [racing]);
    await begun(bench, node, 1500);
    bench.simulation.crash("a");
    bench.simulation.setClock("a", { skew: DAY });
    const again = await bench.start("a", [racing]);
    expect((await bench.comes(again, "go/k", "completed")).value).toBe("fast");
    expect(seen).toHaveLength(2);
    expect(seen[1]).toEqual(seen[0]!);
    expect(seen[0]![1]).not.toBe(seen[0]![2]);
    // What lost the race is not waited for, and leaves nothing behind.
    await bench.simulation.run(5000);
    expect(bench.server.entries().map(({ key }) => key).filter((key) => !key.startsWith("sagas/by"))).toEqual(
      [
        "sagas/of/go/k",
      ],
    );
  });

  test("the caller who asks another node again gets the answer", async () => {
    const bench = new SagaBench(handlers);
    const slow = going(async (saga) => await saga.step("slow", Slow(3000)));
    const [a, b] = [await bench.start("a", [slow]), await bench.start("b", [slow])];
    void a.app.send(Go(), { headers: { "idempotency-key": "k" } });
    await bench.simulation.run(100);
    bench.simulation.crash("a");
    expect((await bench.send(b, Go(), "k")).value).toBe(3000);
  });
});

describe("a node that stops", () => {
  test("lets the step under way end, and gives the rest to others at once", async () => {
    const bench = new SagaBench(handlers);
    const slow = going(async (saga) => {
      await saga.step("slow", Slow(2000));
      await note(saga, "then");
      await saga.sleep("nap", 100);
    });
    const [a, b] = [await bench.start("a", [slow]), await bench.start("b", [slow])];
    await begun(bench, a, 100);
    const before = bench.simulation.time;
    await bench.settle(a.sagas[Symbol.asyncDispose]());
    const { time } = bench.simulation;
    expect(time - before).toBeGreaterThan(1500);
    await bench.comes(b, "go/k", "completed");
    expect(bench.calls).toEqual(["slow 2000", "note then"]);
    // Nobody had to wait for a lease to end.
    expect(bench.served[1]!.at - time).toBeLessThan(700);
    await bench.simulation.run(5000);
    expect(a.sagas.counts().running).toBe(0);
  });

  test("does not wait longer than it may", async () => {
    const bench = new SagaBench(handlers);
    const slow = going(async (saga) => await saga.step("slow", Slow(20_000)));
    const a = await bench.start("a", [slow], { drain: 500 });
    const b = await bench.start("b", [slow]);
    await begun(bench, a, 100);
    const before = bench.simulation.time;
    await bench.settle(a.sagas[Symbol.asyncDispose]());
    expect(bench.simulation.time - before).toBeLessThan(700);
    await bench.comes(b, "go/k", "completed");
    expect(new Set(bench.served.map(({ key }) => key)).size).toBe(1);
  });
});

describe("other code", () => {
  test("an instance ends with the version that it began with; what is new begins with the highest", async () => {
    const bench = new SagaBench(handlers);
    const code = (version: number): SagaDefinition =>
      going(async (saga) => {
        await note(saga, `${version} begins`);
        await saga.sleep("nap", 3000);
        await note(saga, `${version} ends`);
      }, version);
    const old = await bench.start("a", [code(1)]);
    await begun(bench, old);
    bench.simulation.crash("a");
    const next = await bench.start("a", [code(2), code(1)]);
    await bench.settle(next.sagas.begin(Go(), { key: "l" }));
    await bench.comes(next, "go/k", "completed");
    await bench.comes(next, "go/l", "completed");
    expect(bench.calls).toEqual(["note 1 begins", "note 2 begins", "note 1 ends", "note 2 ends"]);
  });

  test("a version that no node has is waited for, and said", async () => {
    const bench = new SagaBench(handlers);
    const code = (version: number) => going(async (saga) => await saga.step("slow", Slow(1000)), version);
    const old = await bench.start("a", [code(1)]);
    await begun(bench, old);
    bench.simulation.crash("a");
    const next = await bench.start("a", [code(2)]);
    await bench.simulation.run(20_000);
    expect((await bench.settle(next.sagas.show("go/k")))!.status).toBe("running");
    expect(bench.alarms().filter((alarm) => alarm === "saga.unknown_version")).toHaveLength(1);
    await bench.start("b", [code(1)]);
    await bench.comes(next, "go/k", "completed");
  });

  const changes: Readonly<Record<string, (saga: SagaContext) => Promise<unknown>>> = {
    "another step": async (saga) => {
      await saga.step("other", Note("one"));
      await saga.sleep("nap", 3000);
    },
    "another message": async (saga) => {
      await saga.step("note", Erase("one"));
      await saga.sleep("nap", 3000);
    },
    "another body": async (saga) => {
      await note(saga, "two");
      await saga.sleep("nap", 3000);
    },
    "a step less": async (saga) => {
      await note(saga, "one");
    },
    "a sleep for a step": async (saga) => {
      await saga.sleep("note", 5);
    },
    "a step more before the end": async (saga) => {
      await note(saga, "one");
      await note(saga, "more");
      await saga.sleep("nap", 3000);
    },
  };
  test.each(Object.entries(changes))(
    "%s than the journal has: the saga is stuck, does nothing more, and can be ended",
    async (_name, change) => {
      const bench = new SagaBench(handlers);
      const original = going(async (saga) => {
        await note(saga, "one");
        await saga.sleep("nap", 3000);
        await note(saga, "last");
      });
      const node = await bench.start("a", [original]);
      await begun(bench, node);
      bench.simulation.crash("a");
      const changed = await bench.start("a", [going(change)]);
      const { reason } = await bench.comes(changed, "go/k", "stuck");
      expect(reason).toContain("Its code is not what it began with: ");
      await bench.simulation.run(10_000);
      expect(bench.calls).toEqual(["note one"]);
      expect(bench.alarms()).toContain("saga.stuck");
      // With the code it began with it goes on.
      if (_name === "a step less") {
        bench.simulation.crash("a");
        const back = await bench.start("a", [original]);
        await bench.settle(back.sagas.resume("go/k"));
        await bench.comes(back, "go/k", "completed");
        expect(bench.calls).toEqual(["note one", "note last"]);
        return;
      }
      await bench.settle(changed.sagas.cancel("go/k"));
      expect((await bench.comes(changed, "go/k", "compensated")).fault!.code).toBe("CANCELLED");
      expect(bench.calls).toEqual(["note one", "erase one"]);
    },
  );
});

describe("cancelling", () => {
  const sleeper = going(async (saga) => {
    await note(saga, "one");
    await saga.sleep("nap", 10 * DAY);
    await note(saga, "never");
  });

  test.each([["in memory", 300], ["out of memory", 10_000]] as const)(
    "ends one that waits %s",
    async (_how, ms) => {
      const bench = new SagaBench(handlers);
      const [a, b] = [await bench.start("a", [sleeper]), await bench.start("b", [sleeper])];
      await begun(bench, a, ms);
      await bench.settle(b.sagas.cancel("go/k"));
      const { fault, cancelled } = await bench.comes(a, "go/k", "compensated", 2000);
      expect([fault!.code, cancelled]).toEqual(["CANCELLED", true]);
      expect(bench.calls).toEqual(["note one", "erase one"]);
      await expect(bench.settle(a.sagas.cancel("go/k"))).rejects.toThrow("it is compensated");
      await expect(bench.settle(a.sagas.cancel("go/none"))).rejects.toThrow("There is no saga");
    },
  );

  test("F35: stops one that runs: the step under way ends and is undone, and no other begins", async () => {
    const bench = new SagaBench(handlers);
    const busy = going(async (saga) => {
      await note(saga, "one");
      await saga.step("slow", Slow(1000), { undo: (ms) => Erase(`${ms}`) });
      // Whatever it does with the failure, it does nothing more.
      await saga.try("note", Note("no")).catch(() => {});
      await saga.sleep("nap", 5).catch(() => {});
      return "done";
    });
    const node = await bench.start("a", [busy]);
    await begun(bench, node, 100);
    await bench.settle(node.sagas.cancel("go/k"));
    await bench.comes(node, "go/k", "compensated");
    expect(bench.calls).toEqual(["note one", "slow 1000", "erase 1000", "erase one"]);
  });

  test("is remembered over a crash", async () => {
    const bench = new SagaBench(handlers);
    const busy = going(async (saga) => {
      await note(saga, "one");
      await saga.step("slow", Slow(1000), { undo: (ms) => Erase(`${ms}`) });
      await note(saga, "no");
    });
    const node = await bench.start("a", [busy]);
    await begun(bench, node, 100);
    const b = await bench.start("b", [busy]);
    await bench.settle(b.sagas.cancel("go/k"));
    bench.simulation.crash("a");
    await bench.comes(b, "go/k", "compensated");
    expect(bench.calls).toEqual(["note one", "slow 1000", "slow 1000", "erase 1000", "erase one"]);
  });
});
