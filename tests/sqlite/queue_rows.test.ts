/** Many items in one push, which the file takes several rows at a time, and writes that are given up. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { loadDriver } from "../../adapters/sqlite/driver.ts";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";
import { folder } from "./support.ts";

const WINDOW = 86_400_000;

describe("a push of many", () => {
  test("keeps each name once, in order and counted right, whatever was there before", async () => {
    const ids = fc.array(fc.nat(99), { minLength: 1, maxLength: 50, size: "max" });
    const push = fc.record({
      ids,
      pass: fc.constantFrom(0, 1000, 0.45 * WINDOW, WINDOW + 1000),
      take: fc.nat(60),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(push, { minLength: 1, maxLength: 6 }), async (pushes) => {
        const runtime = fakeRuntime();
        const files = folder();
        try {
          const { queue } = await files.open({ runtime, durability: "process" });
          await queue.subscribe("t", "g");
          const since = new Map<number, number>();
          let waiting: string[] = [];
          let serial = 0;
          for (const { ids, pass, take } of pushes) {
            await runtime.advance(pass);
            const now = runtime.clock.mono();
            const items = ids.map((id) => ({ id: `${id}`, payload: `${serial++}` }));
            await queue.push("t", items);
            for (const { id, payload } of items) {
              const before = since.get(Number(id));
              if (before !== undefined && before + WINDOW > now) continue;
              since.set(Number(id), now);
              waiting.push(payload);
            }
            expect((await queue.backlog("t", "g")).items).toBe(waiting.length);
            if (take === 0) continue;
            const taken = await queue.pull("t", "g", { max: take, lease: 2 * WINDOW * 6 });
            expect(taken.map(({ payload }) => payload)).toEqual(waiting.slice(0, take));
            waiting = waiting.slice(take);
            await Promise.all(taken.map((each) => each.ack()));
          }
        } finally {
          await files.remove();
        }
      }),
      { numRuns: 25 },
    );
  });

  test("is kept whole, with keys, bytes and delays", async () => {
    const runtime = fakeRuntime();
    const files = folder();
    const { queue } = await files.open({ runtime, durability: "process" });
    await queue.subscribe("t", "g");
    const items = Array.from({ length: 37 }, (_, at) => ({
      id: `${at}`,
      key: at % 3 === 0 ? `k${at}` : undefined,
      payload: at % 5 === 0 ? new Uint8Array([at, 0, 255]) : `"${at}\u0000\u0001`,
      delay: at % 7 === 0 ? 100 : undefined,
    }));
    await queue.push("t", items);
    const seen = await queue.pull("t", "g", { max: 99, lease: 60_000 });
    await runtime.advance(100);
    const late = await queue.pull("t", "g", { max: 99, lease: 60_000 });
    const found = [...seen, ...late].map(({ id, key, payload }) => ({ id, key, payload }));
    const inTurn = [
      ...items.filter(({ delay }) => delay === undefined),
      ...items.filter(({ delay }) => delay),
    ];
    expect(found.map((each) => ({ ...each, payload: [...each.payload] }))).toEqual(
      inTurn.map(({ id, key, payload }) => ({ id, key, payload: [...payload] })),
    );
    await files.remove();
  });
});

describe("a push that is given up", () => {
  test("before its turn is over is not kept, and those beside it are", async () => {
    const files = folder();
    const { queue } = await files.open({ durability: "process" });
    await queue.subscribe("t", "g");
    const given = new AbortController();
    const one = queue.push("t", [{ id: "1", payload: "" }], { signal: given.signal });
    const two = queue.push("t", [{ id: "2", payload: "" }], { signal: new AbortController().signal });
    given.abort();
    expect(await one.catch(({ code }: { code: string }) => code)).toBe("CANCELLED");
    await two;
    expect((await queue.pull("t", "g", { max: 9, lease: 1000 })).map(({ id }) => id)).toEqual(["2"]);
    await files.remove();
  });

  test("while another process writes rejects at once, and is not kept afterwards", async () => {
    const runtime = fakeRuntime();
    const files = folder();
    const { queue } = await files.open({ runtime, durability: "process" });
    await queue.subscribe("t", "g");
    const db = (await loadDriver())(files.path());
    db.prepare("BEGIN IMMEDIATE").run();
    const given = new AbortController();
    const codes: string[] = [];
    const push = (id: string) => {
      const work = queue.push("t", [{ id, payload: "" }], { signal: given.signal });
      return work.catch(({ code }: { code: string }) => void codes.push(code));
    };
    const early = push("1");
    await runtime.advance(0);
    const later = push("2");
    given.abort();
    await Promise.all([early, later]);
    expect(codes).toEqual(["CANCELLED", "CANCELLED"]);
    db.prepare("ROLLBACK").run();
    db.close();
    const kept = queue.push("t", [{ id: "3", payload: "" }]);
    await runtime.advance(1000);
    await kept;
    expect((await queue.pull("t", "g", { max: 9, lease: 1000 })).map(({ id }) => id)).toEqual(["3"]);
    await files.remove();
  });
});
