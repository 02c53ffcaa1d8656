/** G23: what must not be lost is refused where nothing keeps it, by name, unless whoever asks says that it may be. */

import { describe, expect, test } from "bun:test";
import { CatgaError, command, type } from "@catga/catga";
import {
  createSagas,
  inbox,
  records,
  saga,
  schedules,
  startProjection,
  startReadModel,
  startRelay,
  startScheduler,
} from "@catga/catga/durable";
import { memoryStorage } from "@catga/catga/memory";
import type { Durability, Store } from "@catga/catga/ports";
import { createSimulation, simulatedStore } from "@catga/catga/testing";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";
import { folder } from "../sqlite/support.ts";

const Buy = command("buy", { input: type<void>(), output: type<void>() });

interface Asked {
  readonly store: Store;
  readonly unsafe?: boolean;
}

const runtime = { ...fakeRuntime(), background: (work: Promise<unknown>) => void work.catch(() => {}) };
const { queue, events } = memoryStorage(runtime.clock);
const from = { cart: { opened: type<void>() } };
const owner = "node-1";

/** All that keeps what must not be lost: what refuses, by what name, and what to do with it if it does not. */
const keepers: Readonly<Record<string, readonly [named: string, make: (asked: Asked) => unknown]>> = {
  "records": ['keep "orders"', (asked) => records("orders", { ...asked, runtime })],
  "an outbox": ['relay for "node-1"', (asked) => startRelay({ ...asked, queue, runtime, owner }).stop()],
  "an inbox": ["make an inbox", ({ store, ...asked }) => inbox(store, { ...asked, runtime })],
  "sagas": ['run the sagas of "node-1"', (asked) => {
    return createSagas({ ...asked, definitions: [saga(Buy, () => Promise.resolve())], runtime, owner });
  }],
  "messages for later": ["schedule", (asked) => schedules({ ...asked, runtime })],
  "a scheduler": ["schedule", (asked) => {
    return startScheduler({ ...asked, runtime, owner, deliver: () => Promise.resolve() }).stop();
  }],
  "a projection": ['start "mails"', (asked) => {
    return startProjection("mails", { ...asked, from, events, runtime, owner, handle: () => {} }).stop();
  }],
};

function storeOf(durability: Durability | undefined): Store {
  const store = memoryStorage(runtime.clock).store;
  return new Proxy(store, {
    get: (target, name) => {
      if (name === "durability") return durability;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

describe("over a store of which nothing survives", () => {
  for (const [what, [named, make]] of Object.entries(keepers)) {
    test(`${what} is refused by name, and the refusal says what to do`, () => {
      let thrown: unknown;
      try {
        make({ store: memoryStorage(runtime.clock).store });
      } catch (error) {
        thrown = error;
      }
      if (!CatgaError.is(thrown)) throw new Error("it was not refused");
      expect(thrown.code).toBe("CONFLICT");
      expect(thrown.message.slice(0, named.length + 9)).toBe(`Cannot ${named}: `);
      expect(thrown.message).toContain("sqlite()");
      expect(thrown.message).toContain("unsafe: true");
    });

    test(`${what} is taken by whoever lets it be lost, and over any other store`, () => {
      make({ store: storeOf("none"), unsafe: true });
      for (const durability of ["process", "power", undefined] as const) make({ store: storeOf(durability) });
      expect(() => make({ store: storeOf("none"), unsafe: false })).toThrow("unsafe: true");
    });
  }

  test("a read model is not refused: it is made anew of the events", async () => {
    const { store } = memoryStorage(runtime.clock);
    const options = { store, from, events, runtime, owner, initial: 0, evolve: (n: number) => n + 1 };
    await startReadModel("opened", options).stop();
  });
});

describe("a store says what survives of it", () => {
  test("memory: nothing; a simulated one: the end of a node", () => {
    const simulation = createSimulation({ seed: 1 });
    expect(memoryStorage(runtime.clock).store.durability).toBe("none");
    expect(simulatedStore(simulation).open(simulation.runtime("a")).durability).toBe("process");
  });

  test.each(["process", "power"] as const)("a file: %s, as its storage does", async (durability) => {
    const files = folder();
    const storage = await files.open({ durability });
    expect([storage.durability, storage.store.durability]).toEqual([durability, durability]);
    await files.remove();
  });
});
