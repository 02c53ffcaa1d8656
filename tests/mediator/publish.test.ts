import { describe, expect, test } from "bun:test";
import process from "node:process";
import * as v from "valibot";
import {
  CatgaError,
  createMediator,
  event,
  type LogEntry,
  on,
  reliableEvent,
  systemFault,
  type,
} from "@catga/catga";
import { retry } from "@catga/catga/behaviors";
import { systemRuntime } from "@catga/catga/ports";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";

const Told = event("told", { data: type<{ readonly n: number }>() });
const Kept = reliableEvent("kept", { data: type<{ readonly n: number }>() });

function hearing(...handlers: ((body: { readonly n: number }) => unknown)[]) {
  const log: LogEntry[] = [];
  const app = createMediator({
    runtime: systemRuntime({ log: (entry) => log.push(entry) }),
    handlers: handlers.flatMap((handler) => [on(Told, handler as never), on(Kept, handler as never)]),
  });
  return { app, log };
}

describe("publish", () => {
  test("starts all handlers before any is done, and settles when all are", async () => {
    const steps: string[] = [];
    const slow = (name: string) => async () => {
      steps.push(`${name} starts`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      steps.push(`${name} ends`);
    };
    const { app } = hearing(slow("a"), slow("b"), () => void steps.push("c"));
    await app.publish(Told({ n: 1 }));
    expect(steps).toEqual(["a starts", "b starts", "c", "a ends", "b ends"]);
  });

  test.each([1, 2, 3])(
    "a handler that fails stops no sibling and is run once (%i handlers before)",
    async (before) => {
      const runs = [0, 0, 0, 0, 0];
      const fails = [
        () => {
          runs[0]!++;
          throw new Error("at once");
        },
        () => {
          runs[1]!++;
          return Promise.reject(new Error("later"));
        },
        () => void runs[2]!++,
        async () => {
          await null;
          runs[3]!++;
        },
        () => ({
          then: (_resolve: unknown, reject: (error: unknown) => void) => {
            runs[4]!++;
            reject(new Error("thenable"));
          },
        }),
      ];
      const { app, log } = hearing(...fails.slice(before - 1), ...fails.slice(0, before - 1));
      expect(await app.publish(Told({ n: 1 }))).toMatchObject({ ok: true });
      expect(runs).toEqual([1, 1, 1, 1, 1]);
      expect(log.map((entry) => entry.event)).toEqual(["handler.failed", "handler.failed", "handler.failed"]);
    },
  );

  test("of a reliable event tells which handlers failed", async () => {
    const refuse = (): never => {
      throw new Error("no");
    };
    const { app } = hearing(refuse, () => {}, async () => {
      await null;
      refuse();
    });
    const result = await app.publish(Kept({ n: 1 }));
    expect(result).toMatchObject({
      ok: false,
      error: { code: "INTERNAL", message: '2 of 3 handlers of "kept" failed' },
    });
    const { failures } = (result as { error: { data: { failures: { code: string }[] } } }).error.data;
    expect(failures.map((failure) => failure.code)).toEqual(["INTERNAL", "INTERNAL"]);
    const { app: one } = hearing(() => Promise.reject(new Error("no")));
    expect(await one.publish(Kept({ n: 1 }))).toMatchObject({ ok: false });
  });

  test("to nobody is a success", async () => {
    expect(await createMediator({ handlers: [] }).publish(Told({ n: 1 }))).toMatchObject({ ok: true });
  });

  test("checks the body for each handler", async () => {
    const Checked = event("checked", {
      data: v.object({ n: v.pipe(v.number(), v.transform((n) => n * 2)) }),
    });
    const heard: number[] = [];
    const app = createMediator({
      runtime: systemRuntime({ log: () => {} }),
      handlers: [on(Checked, ({ n }) => void heard.push(n)), on(Checked, ({ n }) => void heard.push(n))],
    });
    await app.publish(Checked({ n: 2 }));
    expect(heard).toEqual([4, 4]);
    await app.publish(Checked({ n: "x" as never }));
    expect(heard).toEqual([4, 4]);
  });

  test("many, in order", async () => {
    const heard: number[] = [];
    const { app } = hearing(({ n }) => void heard.push(n));
    const results = await app.publishAll([1, 2, 3].map((n) => Told({ n })), { concurrency: 1 });
    expect(heard).toEqual([1, 2, 3]);
    expect(results.map((result) => result.ok)).toEqual([true, true, true]);
  });

  test("a behavior that tries again runs the failed handler alone", async () => {
    const Again = reliableEvent("again", { data: type<void>(), idempotent: true });
    const runs = { fails: 0, heals: 0, fine: 0 };
    const runtime = fakeRuntime();
    const broken = () => new CatgaError(systemFault("TRANSPORT", "the line broke"));
    const app = createMediator({
      runtime,
      behaviors: [retry()],
      handlers: [
        on(Again, () => {
          runs.fails++;
          throw broken();
        }, { name: "fails" }),
        on(Again, async () => {
          await null;
          if (++runs.heals < 2) throw broken();
        }),
        on(Again, () => void runs.fine++),
      ],
    });
    const told = app.publish(Again());
    await runtime.advance(10_000);
    expect(await told).toMatchObject({
      ok: false,
      error: { data: { failures: [{ handler: "fails", code: "TRANSPORT", message: "the line broke" }] } },
    });
    expect(runs).toEqual({ fails: 3, heals: 2, fine: 1 });
  });

  test("what a handler answers means nothing, unless it says that it failed by throwing", async () => {
    const { app, log } = hearing(() => 5, () => ({ ok: false }), () => Promise.resolve("x"), () => null);
    expect(await app.publish(Kept({ n: 1 }))).toMatchObject({ ok: true, value: undefined });
    expect(log).toEqual([]);
  });

  test("each handler gets the fault of its own, also from calls of its own", async () => {
    const fails = ["NO_HANDLER", "TIMEOUT", "CONFLICT"] as const;
    const { app } = hearing(
      ...fails.map((code) => () => Promise.reject(new CatgaError(systemFault(code, code)))),
    );
    const result = await app.publish(Kept({ n: 1 }));
    const { failures } = (result as { error: { data: { failures: { code: string }[] } } }).error.data;
    expect(failures.map((failure) => failure.code).sort()).toEqual([...fails].sort());
  });

  test("that nobody waits for leaves no rejection unhandled", async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    try {
      const { app, log } = hearing(
        () => Promise.reject(new Error("1")),
        () => new Promise((_, reject) => setTimeout(() => reject(new Error("2")), 5)),
        () => {
          throw new Error("3");
        },
      );
      for (let n = 0; n < 5; n++) void app.publish(n % 2 ? Kept({ n }) : Told({ n }));
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(log).toHaveLength(15);
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
    }
  });
});
