import { describe, expect, test } from "bun:test";
import { memoryQueue, memoryStore } from "@catga/catga/memory";
import { systemRuntime } from "@catga/catga/ports";
import { CrashPoint } from "@catga/catga/testing";

const { clock } = systemRuntime();

describe("a crash point", () => {
  test.each([["before", undefined], ["after", "2"]] as const)(
    "%s the second write leaves %p",
    async (when, found) => {
      const crashes: number[] = [];
      const kept = memoryStore({ clock });
      const point = new CrashPoint({ at: 2, when, crash: () => void crashes.push(point.passed) });
      const store = point.wrap(kept);
      await store.put("a", "1");
      let answered = false;
      void store.put("b", "2").then(() => answered = true);
      void store.put("c", "3").then(() => answered = true);
      for (let turns = 0; turns < 20; turns++) await Promise.resolve();
      expect([crashes, point.crashed, answered]).toEqual([[2], true, false]);
      expect((await kept.get("b"))?.value).toBe(found);
      expect(await kept.get("c")).toBeUndefined();
    },
  );

  test("goes for deliveries too", async () => {
    const kept = memoryQueue({ clock });
    const point = new CrashPoint({ at: 4, when: "before", crash: () => {} });
    const queue = point.wrap(kept);
    await queue.subscribe("t", "g");
    await queue.push("t", [{ id: "1", payload: "" }]);
    const [delivery] = await queue.pull("t", "g", { max: 1, lease: 1000 });
    void delivery!.ack();
    expect([point.crashed, (await kept.backlog("t", "g")).items]).toEqual([true, 1]);
  });

  test("counts only, and leaves failures and watches as they are", async () => {
    const point = new CrashPoint({ at: Infinity, when: "before", crash: () => {} });
    const store = point.wrap(memoryStore({ clock }));
    await store.put("a", "1");
    expect(await store.put("a", "2", { expected: "absent" }).catch((thrown) => thrown.code)).toBe("CONFLICT");
    for await (const change of store.watch("")) if (change.type === "ready") break;
    expect(point.passed).toBe(2);
  });
});
