/** All layers at once, in any order, under callers who give up at any time: nothing leaks, nobody waits for ever. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Behavior, command, createMediator, handle, query, type } from "@catga/catga";
import { bulkhead, circuitBreaker, log, metrics, retry, timeout, trace } from "@catga/catga/behaviors";
import { broken, fakeRuntime, watch } from "./fake_runtime.ts";

const ROOM = 2;

interface Plan {
  /** Whether another handler makes the call. */
  readonly nested: boolean;
  /** How long the handler takes, in ms, and what it comes to. */
  readonly takes: number;
  readonly how: "ok" | "fail" | "throw";
  /** When the caller gives up, in ms, by which means; and how long until the next call. */
  readonly patience: number | undefined;
  readonly by: "timeout" | "signal";
  readonly pause: number;
}

const Work = query("work", { input: type<Plan>(), output: type<number>() });
const Ask = command("ask", { input: type<Plan>(), output: type<number>() });
const plan: fc.Arbitrary<Plan> = fc.record({
  nested: fc.boolean(),
  takes: fc.integer({ min: 0, max: 200 }),
  how: fc.constantFrom("ok", "ok", "fail", "throw"),
  patience: fc.option(fc.integer({ min: 1, max: 150 }), { nil: undefined }),
  by: fc.constantFrom("timeout", "signal"),
  pause: fc.integer({ min: 0, max: 40 }),
});

test("slots, probes, spans and timers all come back", async () => {
  const seen = { starts: 0, ends: 0, measures: 0 };
  const layers: readonly Behavior[] = [
    bulkhead({ concurrency: ROOM, queue: 2 }),
    circuitBreaker({ failures: 3, reset: 100 }),
    retry({ delay: 10 }),
    timeout(120),
    log(),
    metrics({ record: () => void seen.measures++ }),
    trace({ start: () => (seen.starts++, { end: () => void seen.ends++ }) }),
  ];
  const order = fc.shuffledSubarray([...layers.keys()]);
  await fc.assert(
    fc.asyncProperty(order, fc.array(plan, { maxLength: 25 }), async (picked, plans) => {
      Object.assign(seen, { starts: 0, ends: 0, measures: 0 });
      const runtime = fakeRuntime();
      let running = 0;
      let most = 0;
      const app = createMediator({
        runtime,
        handlers: [
          handle(Ask, async (body, context) => await context.send(Work(body))),
          handle(Work, async ({ takes, how }) => {
            most = Math.max(most, ++running);
            await new Promise<void>((resolve) => runtime.clock.timer(takes, resolve));
            running--;
            if (how === "throw") throw new Error("x");
            return how === "fail" ? broken() : takes;
          }, { behaviors: picked.map((at) => layers[at]!) }),
        ],
      });
      const calls = [];
      for (const each of plans) {
        const caller = new AbortController();
        const message = each.nested ? Ask(each) : Work(each);
        const { patience } = each;
        if (patience !== undefined && each.by === "signal") {
          runtime.clock.timer(patience, () => caller.abort());
        }
        const options = patience === undefined
          ? undefined
          : each.by === "timeout"
          ? { timeout: patience }
          : { signal: caller.signal };
        calls.push(watch(app.send(message as ReturnType<typeof Work>, options)));
        await runtime.advance(each.pause);
      }
      await runtime.advance(20_000);
      const codes = calls.map((call) => call.code);
      expect(codes.filter((code) => code === "pending" || code === "rejected")).toEqual([]);
      expect([running, runtime.pending()]).toEqual([0, 0]);
      if (picked.includes(0)) expect(most).toBeLessThanOrEqual(ROOM);
      if (picked.includes(6)) expect(seen.ends).toBe(seen.starts);
      // All the room is there again, and the circuit is closed by the first of these.
      const fine: Plan = { nested: false, takes: 1, how: "ok", patience: undefined, by: "signal", pause: 0 };
      const after = watch(app.send(Work(fine)));
      await runtime.advance(1000);
      const both = [watch(app.send(Work(fine))), watch(app.send(Ask(fine)))];
      await runtime.advance(1000);
      expect([after, ...both].map((call) => call.code)).toEqual(["ok", "ok", "ok"]);
    }),
    { numRuns: 150 },
  );
});
