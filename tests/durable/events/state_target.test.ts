/** What keeps a process that stood still from spoiling what another has made since. */

import { describe, expect, test } from "bun:test";
import type { Lease, Recorded } from "@catga/catga/durable";
import { memoryStore } from "@catga/catga/memory";
import type { Store } from "@catga/catga/ports";
import { readCheckpoint, writeCheckpoint } from "../../../src/durable/events/checkpoint.ts";
import type { TargetRun } from "../../../src/durable/events/projection_target.ts";
import { rowKey, rowOf, StateTarget } from "../../../src/durable/events/state_target.ts";
import { fakeRuntime } from "../../behaviors/fake_runtime.ts";

const ask = <T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> => ask(new AbortController().signal);

function event(position: number): Recorded {
  return {
    ...{
      type: "t",
      data: {},
      id: `${position}`,
      stream: "s/1",
      entity: "1",
      version: position,
      position,
      at: 0,
    },
    ...{ cause: undefined, correlation: undefined, meta: {} },
  };
}

function runOf(generation: number, done: number[] = []): TargetRun {
  return {
    generation,
    lease: {} as Lease,
    stopping: false,
    done: (position) => Promise.resolve(void done.push(position)),
  };
}

function counting(store: Store, change: object = {}): StateTarget<number, Recorded> {
  return new StateTarget({
    ...{ name: "n", store, ask, initial: 0, evolve: (count: number) => count + 1, key: () => "k" },
    ...change,
  });
}

async function row(store: Store, key: string = "k"): Promise<unknown> {
  const entry = await store.get(rowKey("n", key));
  return entry && rowOf(entry);
}

describe("a row", () => {
  test("takes each event once, however often and by whomever it is told", async () => {
    const store = memoryStore(fakeRuntime());
    await counting(store).take([event(1), event(2)], runOf(0));
    await counting(store).take([event(1), event(2), event(3)], runOf(0));
    expect(await row(store)).toEqual({ g: 0, p: 3, s: 3 });
  });

  test("of a later generation is left alone by an earlier one", async () => {
    const store = memoryStore(fakeRuntime());
    await counting(store).take([event(1)], runOf(1));
    const late = await counting(store).take([event(1), event(2)], runOf(0)).catch((thrown) => thrown);
    expect([late.code, await row(store)]).toEqual(["CONFLICT", { g: 1, p: 1, s: 1 }]);
  });

  test("is not written over what somebody else wrote since it was read", async () => {
    const store = memoryStore(fakeRuntime());
    const slow = { get: store.get.bind(store), list: store.list.bind(store) };
    const put: Store["put"] = async (...args) => {
      await counting(store).take([event(1), event(2)], runOf(0));
      return await store.put(...args);
    };
    const late = await counting({ ...slow, put } as Store).take([event(1)], runOf(0)).catch((thrown) =>
      thrown
    );
    expect([late.code, await row(store)]).toEqual(["CONFLICT", { g: 0, p: 2, s: 2 }]);
  });

  test("has nothing of an event that failed for another row", async () => {
    const store = memoryStore(fakeRuntime());
    let calls = 0;
    const evolve = (count: number): number => {
      if (++calls === 4) throw new Error("no");
      return count + 1;
    };
    const target = counting(store, { evolve, key: () => ["x", "y"] });
    const done: number[] = [];
    const failed = await target.take([event(1), event(2), event(3)], runOf(0, done)).catch((thrown) =>
      thrown
    );
    expect([failed.position, done]).toEqual([2, [1]]);
    expect([await row(store, "x"), await row(store, "y")]).toEqual([{ g: 0, p: 1, s: 1 }, {
      g: 0,
      p: 1,
      s: 1,
    }]);
  });
});

describe("how far a projection has come", () => {
  test("is not written by whoever has read what is no longer there", async () => {
    const store = memoryStore(fakeRuntime());
    const write = async (
      position: number,
      over: Awaited<ReturnType<typeof readCheckpoint>>,
    ): Promise<string> =>
      await writeCheckpoint("n", store, ask, { generation: 0, position, sweeping: false }, over)
        .then(() => "ok", (thrown) => thrown.code);
    const nothing = await readCheckpoint("n", store, ask);
    expect([nothing.position, await write(5, nothing), await write(3, nothing)]).toEqual([
      0,
      "ok",
      "CONFLICT",
    ]);
    const five = await readCheckpoint("n", store, ask);
    expect([five.position, await write(7, five), await write(6, five)]).toEqual([5, "ok", "CONFLICT"]);
    expect((await readCheckpoint("n", store, ask)).position).toBe(7);
  });
});
