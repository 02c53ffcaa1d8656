import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fail, failure, ok, systemFault } from "@catga/catga";
import { Guard, type Outcome, outcomeOf } from "../../src/cluster/guard.ts";
import type { GuardedNode } from "../../src/cluster/guard_types.ts";

const nodes = (...ids: string[]) => ids.map((id) => ({ id }));
const idsOf = (list: readonly { readonly id: string }[]) => list.map(({ id }) => id).join("");
const five = nodes("a", "b", "c", "d", "e");

/** So many calls one after the other, each begun 1 ms before its end. */
function calls(guard: Guard, id: string, outcome: Outcome, times: number, now: number, latency = 1): void {
  for (let call = 0; call < times; call++) {
    guard.began(id, now - latency);
    guard.ended(id, outcome, latency, now);
  }
}

function stateOf(guard: Guard, id: string, now: number): GuardedNode {
  return guard.snapshot(now).find((node) => node.id === id)!;
}

/** How a node behaves at a time: what comes of a call, and how many ms it takes. */
type Behaviour = (id: string, now: number) => readonly [Outcome, number];

/** Sends a call each `every` ms, round robin, and counts who got how many. */
function drive(guard: Guard, behave: Behaviour, from: number, to: number, every = 5): Record<string, number> {
  const counts: Record<string, number> = {};
  const open: { end: number; began: number; id: string; outcome: Outcome }[] = [];
  let turn = 0;
  for (let now = from; now < to; now += every) {
    open.sort((a, b) => a.end - b.end);
    while (open.length > 0 && open[0]!.end <= now) {
      const { end, began, id, outcome } = open.shift()!;
      guard.ended(id, outcome, end - began, end);
    }
    const candidates = guard.allowed(five, now);
    const { id } = candidates[turn++ % candidates.length]!;
    counts[id] = (counts[id] ?? 0) + 1;
    guard.began(id, now);
    const [outcome, latency] = behave(id, now);
    open.push({ end: now + latency, began: now, id, outcome });
  }
  for (const { end, began, id, outcome } of open) guard.ended(id, outcome, end - began, end);
  return counts;
}

describe("the circuit", () => {
  test("lets the same list through while nothing is against anyone", () => {
    const guard = new Guard();
    calls(guard, "a", "answered", 50, 100);
    calls(guard, "b", "failed", 2, 100);
    expect(guard.allowed(five, 100)).toBe(five);
    expect(stateOf(guard, "b", 100)).toMatchObject({
      state: "closed",
      failuresInRow: 2,
      failed: 2,
      calls: 2,
    });
  });

  test("opens after five failures in a row, then lets one probe through, which closes it", () => {
    const guard = new Guard();
    calls(guard, "a", "failed", 5, 100);
    expect(stateOf(guard, "a", 100)).toMatchObject({ state: "open", until: 1100 });
    expect(idsOf(guard.allowed(five, 1099))).toBe("bcde");
    expect(guard.allowed(five, 1100)).toBe(five);
    guard.began("a", 1100);
    expect(stateOf(guard, "a", 1100).state).toBe("probing");
    expect(idsOf(guard.allowed(five, 1100))).toBe("bcde");
    guard.ended("a", "answered", 20, 1120);
    expect(stateOf(guard, "a", 1120)).toMatchObject({
      state: "closed",
      until: 0,
      calls: 0,
      failuresInRow: 0,
    });
    expect(guard.allowed(five, 1120)).toBe(five);
  });

  test("opens by the part of failures, not before there are enough calls, nor by old ones", () => {
    const guard = new Guard();
    for (let call = 0; call < 19; call++) calls(guard, "a", call % 2 === 0 ? "failed" : "answered", 1, 100);
    expect(stateOf(guard, "a", 100).state).toBe("closed");
    calls(guard, "a", "failed", 1, 100);
    expect(stateOf(guard, "a", 100).state).toBe("open");
    for (let call = 0; call < 60; call++) {
      calls(guard, "b", call % 2 === 0 ? "failed" : "answered", 1, call * 1000);
    }
    expect(stateOf(guard, "b", 60_000)).toMatchObject({ state: "closed", calls: 9 });
  });

  test("stays open twice as long each time the probe fails, up to the limit", () => {
    const guard = new Guard();
    calls(guard, "a", "failed", 5, 0);
    const waits: number[] = [];
    let now = 0;
    for (let round = 0; round < 8; round++) {
      const { until, state } = stateOf(guard, "a", now);
      expect(state).toBe(round < 4 ? "open" : "isolated");
      waits.push(until - now);
      now = until;
      guard.began("a", now);
      guard.ended("a", "failed", 1, ++now);
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 60_000, 60_000, 60_000, 60_000]);
  });

  test("remembers how often it opened until the node was well for long", () => {
    const opened = (well: number): number => {
      const guard = new Guard();
      calls(guard, "a", "failed", 5, 0);
      guard.began("a", 1000);
      guard.ended("a", "answered", 1, 1001);
      calls(guard, "a", "failed", 5, 1001 + well);
      return stateOf(guard, "a", 1001 + well).until - well - 1001;
    };
    expect([opened(10), opened(59_000), opened(60_000)]).toEqual([2000, 2000, 1000]);
  });

  test("is open up to a tenth longer by chance", () => {
    const guard = new Guard({}, () => 2 ** 31);
    calls(guard, "a", "failed", 5, 0);
    expect(stateOf(guard, "a", 0).until).toBe(1050);
  });

  test("a probe that never ends is followed by another one", () => {
    const guard = new Guard();
    calls(guard, "a", "failed", 5, 0);
    guard.began("a", 1000);
    expect(idsOf(guard.allowed(five, 10_999))).toBe("bcde");
    expect(guard.allowed(five, 11_000)).toBe(five);
    guard.began("a", 11_000);
    guard.ended("a", "failed", 10_500, 11_500);
    expect(stateOf(guard, "a", 11_500).state).toBe("probing");
    guard.ended("a", "answered", 700, 11_700);
    expect(stateOf(guard, "a", 11_700).state).toBe("closed");
  });

  test("a call that it gets for want of others while the probe is under way is none", () => {
    const guard = new Guard();
    calls(guard, "a", "failed", 5, 0);
    guard.began("a", 1000);
    guard.began("a", 1002);
    guard.ended("a", "failed", 2, 1004);
    expect(stateOf(guard, "a", 1004).state).toBe("open");
    guard.began("a", 3004);
    guard.began("a", 3006);
    guard.ended("a", "failed", 6, 3010);
    expect(stateOf(guard, "a", 3010)).toMatchObject({ state: "open", until: 7010 });
  });

  test("nobody gets well by not being asked", () => {
    const guard = new Guard();
    calls(guard, "a", "failed", 5, 0);
    guard.began("a", 500_000);
    guard.ended("a", "failed", 1, 500_001);
    expect(stateOf(guard, "a", 500_001).until).toBe(502_001);
  });

  test("a probe that says nothing makes room for the next one", () => {
    const guard = new Guard();
    calls(guard, "a", "failed", 5, 0);
    guard.began("a", 1000);
    guard.ended("a", "neutral", 10, 1010);
    expect(stateOf(guard, "a", 1010).state).toBe("open");
    expect(guard.allowed(five, 1010)).toBe(five);
  });

  test("calls from before it opened or closed decide nothing", () => {
    const guard = new Guard();
    for (let call = 0; call < 20; call++) guard.began("a", 0);
    calls(guard, "a", "failed", 5, 100);
    guard.ended("a", "answered", 150, 150);
    expect(stateOf(guard, "a", 150).state).toBe("open");
    guard.began("a", 1100);
    for (let call = 0; call < 5; call++) guard.ended("a", "failed", 1105, 1105);
    expect(stateOf(guard, "a", 1105).state).toBe("probing");
    guard.ended("a", "answered", 10, 1110);
    for (let call = 0; call < 10; call++) guard.ended("a", "failed", 1120, 1120);
    expect(stateOf(guard, "a", 1120)).toMatchObject({ state: "closed", failuresInRow: 0 });
  });
});

describe("ejection", () => {
  test("by three failures in a row, for a while, and without a probe", () => {
    const guard = new Guard();
    calls(guard, "a", "failed", 3, 100);
    expect(stateOf(guard, "a", 100)).toMatchObject({ state: "failing", until: 1100 });
    expect(idsOf(guard.allowed(five, 1099))).toBe("bcde");
    expect(guard.allowed(five, 1100)).toBe(five);
    guard.began("a", 1100);
    expect(guard.allowed(five, 1100)).toBe(five);
    expect(stateOf(guard, "a", 1100)).toMatchObject({ state: "closed", until: 0 });
  });

  test("by a latency far above the median of the others", () => {
    const guard = new Guard();
    for (const id of ["b", "c", "d", "e"]) calls(guard, id, "answered", 10, 500, 10);
    calls(guard, "a", "answered", 10, 900, 200);
    expect(guard.allowed(five, 900)).toBe(five);
    calls(guard, "b", "answered", 1, 1600, 10);
    expect(stateOf(guard, "a", 1600)).toMatchObject({ state: "slow", until: 2600 });
    expect(idsOf(guard.allowed(five, 1600))).toBe("bcde");
    guard.ended("a", "answered", 900, 1700);
    expect(stateOf(guard, "a", 1700).latency).toBe(0);
    expect(guard.allowed(five, 2600)).toBe(five);
  });

  test("is not begun anew for being slow as well", () => {
    const guard = new Guard();
    for (const id of ["b", "c", "d"]) calls(guard, id, "answered", 10, 500, 10);
    calls(guard, "a", "failed", 3, 600);
    calls(guard, "a", "answered", 10, 900, 200);
    calls(guard, "b", "answered", 1, 1550, 10);
    expect(stateOf(guard, "a", 1550)).toMatchObject({ state: "failing", until: 1600 });
  });

  test("takes at most half of the candidates, and the last one never", () => {
    const guard = new Guard();
    calls(guard, "a", "failed", 3, 100);
    calls(guard, "b", "failed", 3, 200);
    calls(guard, "c", "failed", 3, 300);
    expect(idsOf(guard.allowed(five, 300))).toBe("ade");
    expect(idsOf(guard.allowed(nodes("a", "b"), 300))).toBe("a");
    expect(idsOf(guard.allowed(nodes("c"), 300))).toBe("c");
    expect(idsOf(guard.allowed(nodes("a", "d"), 300))).toBe("d");
  });

  test("ends when only nodes are left that more is against", () => {
    const guard = new Guard();
    calls(guard, "a", "failed", 3, 100);
    calls(guard, "b", "failed", 5, 100);
    calls(guard, "c", { retryAfter: 500 }, 1, 100);
    expect(idsOf(guard.allowed(nodes("a", "b", "c"), 100))).toBe("a");
  });
});

describe("Retry-After", () => {
  test("leaves a node out for as long as it said, at most for a minute", () => {
    const guard = new Guard();
    calls(guard, "a", { retryAfter: 400 }, 1, 100);
    calls(guard, "a", { retryAfter: 100 }, 1, 100);
    expect(stateOf(guard, "a", 100).notBefore).toBe(500);
    expect(idsOf(guard.allowed(five, 499))).toBe("bcde");
    expect(guard.allowed(five, 500)).toBe(five);
    expect(stateOf(guard, "a", 500)).toMatchObject({ notBefore: 0, failuresInRow: 2 });
    calls(guard, "b", { retryAfter: Infinity }, 1, 1000);
    expect(stateOf(guard, "b", 1000).notBefore).toBe(61_000);
  });

  test("does not when nobody else is left", () => {
    const guard = new Guard();
    const two = nodes("a", "b");
    calls(guard, "a", { retryAfter: 400 }, 1, 100);
    calls(guard, "b", { retryAfter: 400 }, 1, 100);
    expect(guard.allowed(two, 100)).toBe(two);
    calls(guard, "b", "failed", 4, 100);
    expect(idsOf(guard.allowed(two, 100))).toBe("a");
  });
});

describe("isolation by hand", () => {
  test("holds until it is restored, even when nobody else is left", () => {
    const guard = new Guard();
    for (const { id } of five) guard.isolate(id);
    expect(guard.allowed(five, 1e9)).toEqual([]);
    expect(stateOf(guard, "a", 1e9).state).toBe("isolatedByHand");
    guard.forget("a");
    guard.restore("b");
    expect(idsOf(guard.allowed(five, 1e9))).toBe("b");
    for (const { id } of five) guard.restore(id);
    expect(guard.allowed(five, 1e9)).toBe(five);
    expect(guard.snapshot(1e9)).toEqual([]);
  });

  test("restoring ends an open circuit, too", () => {
    const guard = new Guard();
    calls(guard, "a", "failed", 5, 100);
    guard.restore("a");
    expect(guard.allowed(five, 100)).toBe(five);
  });
});

describe("limits", () => {
  test("only so many nodes are watched, and one that is gone makes room", () => {
    const guard = new Guard({ members: 2 });
    for (const id of ["a", "b", "c"]) calls(guard, id, "failed", 5, 100);
    expect(idsOf(guard.snapshot(100))).toBe("ab");
    expect(() => guard.isolate("c")).toThrow(RangeError);
    guard.forget("a");
    expect(idsOf(guard.allowed(nodes("a", "b", "c"), 100))).toBe("ac");
    guard.isolate("c");
    expect(idsOf(guard.allowed(nodes("a", "b", "c"), 100))).toBe("a");
  });

  test("numbers that are not over 0 are refused", () => {
    for (const options of [{ failures: 0 }, { window: NaN }, { open: -1 }, { members: 0 }]) {
      expect(() => new Guard(options)).toThrow(`Cannot guard nodes: ${Object.keys(options)[0]} is`);
    }
  });
});

describe("what counts", () => {
  const told = (code: Parameters<typeof systemFault>[0], answered: boolean, data?: unknown) =>
    outcomeOf(failure(systemFault(code, "", data)), answered);

  test.each(["UNAVAILABLE", "OVERLOADED", "TRANSPORT", "TIMEOUT"] as const)(
    "%s of the node itself",
    (code) => {
      expect(told(code, false)).toBe("failed");
    },
  );

  test.each(["UNAVAILABLE", "OVERLOADED", "TRANSPORT"] as const)("not %s of a third node", (code) => {
    expect(told(code, true)).toBe("answered");
    expect(told(code, true, { retryAfter: 100 })).toBe("answered");
  });

  test("a handler's failure is an answer; what says nothing about the node is none", () => {
    expect(outcomeOf(ok(1), true)).toBe("answered");
    expect(outcomeOf(fail("OUT_OF_STOCK"), true)).toBe("answered");
    expect(told("VALIDATION", true)).toBe("answered");
    expect(told("INTERNAL", true)).toBe("answered");
    const silent = [told("VALIDATION", false), told("CANCELLED", false), told("CANCELLED", true)];
    silent.push(told("TIMEOUT", true), told("NO_HANDLER", false), told("SERIALIZATION", false));
    expect(new Set(silent)).toEqual(new Set(["neutral"]));
  });

  test("Retry-After is taken from the failure's data, if it is a number over 0", () => {
    expect(told("OVERLOADED", false, { retryAfter: 250 })).toEqual({ retryAfter: 250 });
    for (const data of [null, 7, "x", { retryAfter: -1 }, { retryAfter: "soon" }, { retryAfter: NaN }]) {
      expect(told("OVERLOADED", false, data)).toBe("failed");
    }
  });
});

describe("whatever happens", () => {
  const id = fc.constantFrom("a", "b", "c", "d", "e");
  const step = fc.record({
    wait: fc.oneof(fc.nat(5), fc.nat(400), fc.nat(20_000)),
    id,
    what: fc.oneof(
      { weight: 8, arbitrary: fc.constant("failed" as const) },
      { weight: 3, arbitrary: fc.constant("answered" as const) },
      { weight: 1, arbitrary: fc.constant("neutral" as const) },
      { weight: 1, arbitrary: fc.record({ retryAfter: fc.nat(5000).map((ms) => ms + 1) }) },
      { weight: 1, arbitrary: fc.constantFrom("isolate" as const, "restore" as const, "forget" as const) },
    ),
    latency: fc.nat(300),
    among: fc.uniqueArray(id, { minLength: 1 }),
  });
  const steps = fc.array(step, { maxLength: 150, size: "max" });

  test("somebody is allowed unless all are isolated by hand, and ejection leaves half of them", () => {
    fc.assert(
      fc.property(steps, (steps) => {
        const guard = new Guard();
        const byHand = new Set<string>();
        let now = 0;
        for (const { wait, id, what, latency, among } of steps) {
          now += wait;
          if (what === "isolate") {
            byHand.add(id);
            guard.isolate(id);
          } else if (what === "restore") {
            byHand.delete(id);
            guard.restore(id);
          } else if (what === "forget") guard.forget(id);
          else calls(guard, id, what, 1, now, Math.min(latency, now));
          const candidates = nodes(...among);
          const allowed = guard.allowed(candidates, now);
          const left = among.filter((id) => !byHand.has(id));
          expect(allowed.some(({ id }) => byHand.has(id))).toBe(false);
          expect(allowed.length > 0).toBe(left.length > 0);
          expect(candidates.filter((node) => allowed.includes(node))).toEqual([...allowed]);
          const states = new Map(guard.snapshot(now).map((node) => [node.id, node]));
          const closed = left.filter((id) => {
            const node = states.get(id);
            return node === undefined || ((node.state === "closed") && node.notBefore === 0);
          });
          for (const id of closed) expect(idsOf(allowed)).toContain(id);
          const soft = left.filter((id) => {
            const node = states.get(id);
            return (node?.state === "failing" || node?.state === "slow") && node.notBefore === 0;
          });
          const out = soft.filter((id) => !idsOf(allowed).includes(id));
          expect(out.length).toBeLessThanOrEqual(Math.floor(left.length / 2));
        }
      }),
      { numRuns: 150 },
    );
  });

  test("an open circuit gets exactly one probe at a time while another node is well", () => {
    const calls = fc.array(fc.record({ wait: fc.nat(900), ends: fc.nat(4), well: fc.boolean() }), {
      maxLength: 200,
      size: "max",
    });
    fc.assert(
      fc.property(calls, (steps) => {
        const guard = new Guard();
        const two = nodes("bad", "good");
        let now = 0;
        for (let call = 0; call < 5; call++) guard.began("bad", now);
        for (let call = 0; call < 5; call++) guard.ended("bad", "failed", 0, now);
        let probe: number | undefined;
        for (const { wait, ends, well } of steps) {
          now += wait;
          if (probe !== undefined && (ends === 0 || now - probe > 9000)) {
            guard.ended("bad", well ? "answered" : "failed", now - probe, now);
            if (well) return;
            probe = undefined;
            expect(stateOf(guard, "bad", now).until).toBeGreaterThan(now);
          }
          const { until } = stateOf(guard, "bad", now);
          for (let call = 0; call < 3; call++) {
            const bad = guard.allowed(two, now).some(({ id }) => id === "bad");
            expect(bad).toBe(probe === undefined && now >= until);
            if (!bad) continue;
            guard.began("bad", now);
            probe = now;
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe("five nodes", () => {
  const well: readonly [Outcome, number] = ["answered", 10];

  test("one that always fails gets less than one call of a hundred", () => {
    const counts = drive(new Guard(), (id) => id === "c" ? ["failed", 10] : well, 0, 60_000);
    expect(counts["c"]! / (60_000 / 5)).toBeLessThan(0.01);
    expect(counts["c"]!).toBeGreaterThan(5);
  });

  test("one that never answers does, too", () => {
    const counts = drive(new Guard(), (id) => id === "c" ? ["failed", 1000] : well, 0, 120_000);
    expect(counts["c"]! / (120_000 / 5)).toBeLessThan(0.01);
  });

  test("all fail: they are still asked, and all come back when they are well", () => {
    const guard = new Guard();
    const broken = drive(guard, () => ["failed", 10], 0, 30_000);
    for (const { id } of five) expect(broken[id]!).toBeGreaterThan(0);
    drive(guard, () => well, 30_000, 110_000);
    for (const { id } of five) expect(stateOf(guard, id, 110_000).state).toBe("closed");
    const counts = drive(guard, () => well, 110_000, 120_000);
    for (const { id } of five) expect(counts[id]! / 2000).toBeCloseTo(0.2, 2);
  });

  test("one that is well again gets its part again", () => {
    const guard = new Guard();
    drive(guard, (id) => id === "c" ? ["failed", 10] : well, 0, 10_000);
    drive(guard, () => well, 10_000, 30_000);
    const counts = drive(guard, () => well, 30_000, 40_000);
    expect(counts["c"]! / 2000).toBeCloseTo(0.2, 2);
  });

  test("one that is slow is left out, and comes back when it is fast", () => {
    const guard = new Guard();
    const slow: Behaviour = (id) => id === "c" ? ["answered", 300] : well;
    drive(guard, slow, 0, 10_000);
    const left = drive(guard, slow, 10_000, 70_000);
    expect(left["c"]! / (60_000 / 5)).toBeLessThan(0.03);
    drive(guard, () => well, 70_000, 200_000);
    const counts = drive(guard, () => well, 200_000, 210_000);
    expect(counts["c"]! / 2000).toBeCloseTo(0.2, 2);
  });

  test("equal ones are never left out for their latency", () => {
    const guard = new Guard();
    let seed = 1;
    const counts = drive(
      guard,
      () => ["answered", 5 + (seed = (seed * 48271) % 2147483647) % 40],
      0,
      60_000,
    );
    for (const { id } of five) expect(counts[id]! / 12_000).toBeCloseTo(0.2, 3);
  });
});
