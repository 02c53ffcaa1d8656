/** The tour of the cluster, five processes on the runtime that runs the test, and the store that it brings along. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { memoryStore } from "@catga/catga/memory";
import { systemRuntime } from "@catga/catga/ports";
import { storeConformance, type StoreUnderTest } from "@catga/catga/testing";
import { httpStore, serveStore } from "../../examples/cluster-tour/http_store.ts";
import { Tour } from "../../examples/cluster-tour/tour.ts";
import { end, pause, type Running, start, until } from "./cluster.ts";

const STEPS = 20;

/** The nodes run on all runtimes whichever one drives them, so one does. */
const other = !("Bun" in globalThis);

describe("the tour of the cluster", () => {
  test.skipIf(other)("keeps all that it promises, and leaves no process behind", async () => {
    const tour = startTour();
    try {
      const { code } = await tour.ended;
      expect(tour.lines.join("\n")).toContain(`${STEPS} steps, all as promised`);
      expect(code).toBe(0);
      const pids = pidsOf(tour);
      expect(pids).toHaveLength(5);
      await until("all of its nodes have ended", () => !pids.some(isAlive));
    } finally {
      await end(tour);
    }
  }, 120_000);

  test.skipIf(other)("ends its nodes also when it is killed", async () => {
    const tour = startTour();
    try {
      await until("its nodes are there", () => tour.gone || pidsOf(tour).length === 5);
      tour.kill("SIGKILL");
      await tour.ended;
      const pids = pidsOf(tour);
      expect(pids).toHaveLength(5);
      await until("all of its nodes have ended", () => !pids.some(isAlive));
    } finally {
      await end(tour);
    }
  }, 120_000);

  test.skipIf(other)("says which step broke its promise", async () => {
    const lines: string[] = [];
    const tour = new Tour((line) => lines.push(line));
    await tour.step("good", (step) => Promise.resolve(step.promise("it is kept", true)));
    expect(tour.end()).toBe(0);
    await tour.step("bad", (step) => Promise.resolve(step.promise("it is not", false)));
    await tour.step("worse", () => Promise.reject(new Error("it fell over")));
    expect(tour.end()).toBe(1);
    expect(lines.slice(-3)).toEqual([
      "\n3 steps, not as promised:",
      "   2. bad: it is not",
      "   3. worse: it did not come to an end: it fell over",
    ]);
  });
});

describe("the store of the tour is a store", () => {
  const underTest = (): StoreUnderTest => {
    const system = systemRuntime();
    const served = memoryStore({ clock: system.clock });
    const { fetch } = serveStore(served, system);
    const store = httpStore("http://store.test", {
      ...system,
      fetch: async (url, init) => await fetch(new Request(url, init as RequestInit)) as never,
    });
    return { store, pass: pause };
  };
  for (const { name, run } of storeConformance(() => Promise.resolve(underTest()), { ttl: 200 })) {
    test(name, run);
  }
});

function startTour(): Running {
  const deno = "Deno" in globalThis ? ["run", "-A", "--quiet"] : [];
  return start([process.execPath, ...deno, "examples/cluster-tour/main.ts"]);
}

/** The nodes that it has shown. */
function pidsOf({ lines }: Running): number[] {
  return lines.flatMap((line) => {
    const pid = / pid (\d+)/.exec(line)?.[1];
    return pid === undefined ? [] : [Number(pid)];
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
