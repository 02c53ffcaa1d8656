/** What stands for an `AbortController` within the library does what one does. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Ending } from "../../src/internal/ending.ts";
import { sleep } from "../../src/internal/sleep.ts";
import { within } from "../../src/internal/within.ts";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";

describe("an ending", () => {
  test("tells what an abort controller tells, whatever is done with it in whatever order", () => {
    const step = fc.tuple(fc.constantFrom("listen", "leave", "end", "signal"), fc.nat(3));
    fc.assert(fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const [ending, model] = [new Ending(), new AbortController()];
      const [told, expected]: [unknown[], unknown[]] = [[], []];
      const made = [0, 1, 2, 3].map((at) => ({ mine: () => told.push(at), its: () => expected.push(at) }));
      const [lateTold, lateExpected]: [unknown[], unknown[]] = [[], []];
      for (const [what, at] of steps) {
        const { mine, its } = made[at]!;
        if (what === "listen") {
          ending.addEventListener("abort", mine);
          model.signal.addEventListener("abort", its, { once: true });
        } else if (what === "leave") {
          ending.removeEventListener("abort", mine);
          model.signal.removeEventListener("abort", its);
        } else if (what === "end") {
          ending.end(() => at);
          model.abort(at);
        } else {
          ending.signal.addEventListener("abort", () => lateTold.push(at), { once: true });
          model.signal.addEventListener("abort", () => lateExpected.push(at), { once: true });
        }
        expect([ending.aborted, told, lateTold]).toEqual([model.signal.aborted, expected, lateExpected]);
        const { reason } = model.signal;
        if (ending.aborted) expect([ending.reason, ending.signal.reason]).toEqual([reason, reason]);
      }
    }));
  });

  test("makes its reason once, when somebody asks for it", () => {
    const ending = new Ending();
    let made = 0;
    ending.end(() => ({ number: ++made }));
    ending.end(() => "another");
    expect([ending.aborted, made]).toEqual([true, 0]);
    const { reason } = ending;
    expect([reason === ending.signal.reason, ending.reason === reason, made]).toEqual([true, true, 1]);
  });

  test("without a reason has the platform's", () => {
    const [before, after] = [new Ending(), new Ending()];
    const { signal } = before;
    for (const ending of [before, after]) ending.end();
    expect([signal.reason.name, before.reason === signal.reason, (after.reason as Error).name]).toEqual([
      "AbortError",
      true,
      "AbortError",
    ]);
  });

  test("does not call who leaves while it ends, nor anybody twice", () => {
    const ending = new Ending();
    const told: string[] = [];
    const second = () => told.push("second");
    ending.addEventListener("abort", () => {
      told.push("first");
      ending.removeEventListener("abort", second);
      ending.end();
    });
    ending.addEventListener("abort", second);
    ending.end();
    ending.addEventListener("abort", second);
    ending.end();
    expect(told).toEqual(["first"]);
  });

  test("follows another, whenever that ends, until it is called off", () => {
    const others = [new AbortController(), new AbortController(), new AbortController()] as const;
    others[0].abort();
    const [early, late, never, alone] = [new Ending(), new Ending(), new Ending(), new Ending()];
    early.follow(others[0].signal, () => "early");
    late.follow(others[1].signal, () => "late");
    never.follow(others[2].signal)();
    alone.follow(undefined)();
    for (const other of others) other.abort();
    expect([early.reason, late.reason, never.aborted, alone.aborted]).toEqual([
      "early",
      "late",
      false,
      false,
    ]);
  });

  test("can be waited for, before and after", async () => {
    const ending = new Ending();
    const before = ending.ended();
    ending.end();
    expect(await Promise.all([before, ending.ended()])).toEqual([undefined, undefined]);
  });
});

test("sleep ends with an ending, and leaves no timer", async () => {
  const { clock, pending } = fakeRuntime();
  const over = new Ending();
  const slept = sleep(clock, 100, over);
  expect(pending()).toBe(1);
  over.end();
  await slept;
  await sleep(clock, 100, over);
  expect(pending()).toBe(0);
});

test("work within a time answers, fails or is left, and no timer stays", async () => {
  const { clock, pending, advance } = fakeRuntime();
  expect(await within(clock, Promise.resolve("done"), 100)).toBe("done");
  const failed = within(clock, Promise.reject(new Error("broken")), 100);
  expect(await failed.catch(({ message }) => message)).toBe("broken");
  expect(pending()).toBe(0);
  const late = within(clock, new Promise<string>(() => {}), 100);
  await advance(100);
  expect([await late, pending()]).toEqual([undefined, 0]);
});
