/** A process that ends at each of its awaits between a queue, an inbox, a record and the dead letters. */

import { describe, expect, test } from "bun:test";
import { failure, type Fault, faultOf, ok, type Result, systemFault } from "@catga/catga";
import { deadLetters, inbox, records } from "@catga/catga/durable";
import { memoryQueue, memoryStore } from "@catga/catga/memory";
import type { Queue, Store } from "@catga/catga/ports";
import { CrashPoint } from "@catga/catga/testing";
import { Consumer } from "../../src/durable/consumer.ts";
import { Quarantine } from "../../src/durable/quarantine.ts";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";
import { lasting } from "./lasting.ts";

const LEASE = 3000;
const EVENTS = ["a", "b", "bad", "c"];

interface Outcome {
  readonly passed: number;
  readonly sums: Readonly<Record<string, number>>;
  readonly letters: readonly string[];
  readonly left: number;
}

/** Lets one process take events until it ends, then another one; what is there when nothing more happens. */
async function run(at: number, when: "before" | "after"): Promise<Outcome> {
  // Each process has its own chance.
  let chance = 0;
  const runtime = {
    ...fakeRuntime(() => chance = (chance + 0x9e3779b9) >>> 0),
    crypto: { hmac: (_: string, text: string) => text, hash: () => "hash" },
  };
  const store = lasting(memoryStore({ clock: runtime.clock }));
  const queue = memoryQueue({ clock: runtime.clock });
  await queue.subscribe("t", "g");
  await queue.push("t", EVENTS.map((id) => ({ id, key: "k", payload: id })));
  const point = new CrashPoint({ at, when, crash: () => {} });
  const process = (queue: Queue, store: Store): Consumer => {
    const marks = inbox(store, { runtime });
    const counts = records<Readonly<Record<string, number>>>("counts", { store, runtime, inbox: marks });
    const letters = deadLetters(store, { runtime });
    return new Consumer({
      queue,
      store,
      runtime,
      quarantine: new Quarantine(runtime.clock),
      topic: "t",
      group: "g",
      concurrency: 2,
      lease: LEASE,
      attempts: 1,
      redeliver: [500],
      marks,
      handle: async ({ id, attempt }): Promise<Result<void, Fault>> => {
        if (id === "bad") return failure(systemFault("INTERNAL", "it breaks"));
        const context = { id, delivery: { group: "g", attempt } };
        try {
          await counts.update("one", (sums = {}) => ({ ...sums, [id]: (sums[id] ?? 0) + 1 }), { context });
          return ok(undefined);
        } catch (thrown) {
          return failure(faultOf(thrown));
        }
      },
      bury: ({ id, key, payload, pushed }, fault, tries) => {
        return letters.put({ topic: "t", group: "g", id, key, payload, pushed, ...tries, fault });
      },
    });
  };
  const first = process(point.wrap(queue), point.wrap(store));
  void first.start();
  for (let ms = 0; ms < 2000 && !point.crashed; ms += 100) await runtime.advance(100);
  const second = process(queue, store);
  await second.start();
  await runtime.advance(20 * LEASE);
  const { letters } = await deadLetters(store, { runtime }).list();
  const sums = await records<Readonly<Record<string, number>>>("counts", { store, runtime }).get("one");
  const left = (await queue.backlog("t", "g")).items;
  const stopped = second.stop(0);
  await runtime.advance(1000);
  await stopped;
  return { passed: point.passed, sums: sums ?? {}, letters: letters.map(({ id }) => id), left };
}

const { passed } = await run(Infinity, "before");

describe("a process that ends", () => {
  test("has asked for many things", () => {
    expect(passed).toBeGreaterThan(25);
  });

  for (const when of ["before", "after"] as const) {
    test(`${when} any of them leaves each effect and each dead letter once`, async () => {
      for (let at = 1; at <= passed; at++) {
        const { sums, letters, left } = await run(at, when);
        expect([at, sums, letters, left]).toEqual([at, { a: 1, b: 1, c: 1 }, ["bad"], 0]);
      }
    }, 60_000);
  }
});
