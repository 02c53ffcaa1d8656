/**
 * Five real nodes under faults, seed by seed. `SEED=7 bun test tests/simulation/cluster.test.ts` runs one seed again;
 * `npm run soak -- --seeds 10000` runs many.
 */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { type FaultKind, SimulationError } from "@catga/catga/testing";
import { drain } from "./drain.ts";
import { doubler, liar, type Mutant, stutterer, swapper, waiter } from "./mutants.ts";
import { runSeed } from "./scenario.ts";

const chosen = process.env["SEED"];
const count = "Bun" in globalThis ? 300 : 60;
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);

/** Seeds a mutant may survive. */
const PATIENCE = 60;

describe("five nodes under faults", () => {
  test(`keep every promise, seeds ${seeds[0]} to ${seeds.at(-1)}`, async () => {
    const outcomes = new Map<string, number>();
    for (const seed of seeds) {
      const report = await runSeed({ seed, drain });
      for (const [code, calls] of Object.entries(report.outcomes)) {
        outcomes.set(code, (outcomes.get(code) ?? 0) + calls);
      }
    }
    if (chosen !== undefined) return;
    // The faults were felt, and most calls got through all the same.
    const total = [...outcomes.values()].reduce((sum, calls) => sum + calls, 0);
    expect(total).toBeGreaterThan(200 * seeds.length);
    expect(outcomes.get("ok")).toBeGreaterThan(total / 2);
    for (const code of ["TRANSPORT", "TIMEOUT", "UNAVAILABLE", "CANCELLED"]) {
      expect(outcomes.get(code)).toBeGreaterThan(0);
    }
  }, 120_000);

  test("go the same way with the same seed, however microtasks are run", async () => {
    for (const seed of seeds.slice(0, 5)) {
      const fast = await runSeed({ seed, drain });
      expect(await runSeed({ seed })).toEqual(fast);
    }
  }, 60_000);
});

describe("a broken rule is noticed", () => {
  test.each<[string, Mutant, RegExp]>([
    ["copies of frames that are taken for new ones", doubler, /was started 2 times|was heard 2 times/],
    ["answers that go to other calls", swapper, /the (answer|refusal) of another call|without a handler/],
    ["exchanges that nobody ends", waiter, /there hangs an exchange|left behind/],
  ])("%s", async (_, mutant, rule) => {
    const { error } = await failureOf(mutant, rule);
    expect(error.message).toMatch(rule);
  }, 60_000);

  test("and replays from the seed it printed, to the same trace", async () => {
    const { error, mutant } = await failureOf(liar, /was started 2 times/);
    const printed = Number(/^Replay: SEED=(\d+) /m.exec(error.message)![1]);
    const again = await fails(printed, mutant);
    expect(again?.hash).toBe(error.hash);
    expect(again?.trace).toEqual(error.trace);
    expect(again?.message).toBe(error.message);
  }, 60_000);

  test("and a second answer to a call that has one changes nothing", async () => {
    for (const seed of seeds.slice(0, 10)) {
      const error = await fails(seed, stutterer, ["reorder"]);
      expect(error?.message).toBe(undefined);
    }
  }, 60_000);
});

/** The first failure of a mutant that breaks this rule. */
async function failureOf(mutant: Mutant, rule: RegExp): Promise<{ error: SimulationError; mutant: Mutant }> {
  for (let seed = 1; seed <= PATIENCE; seed++) {
    const error = await fails(seed, mutant);
    if (error !== undefined && rule.test(error.message)) return { error, mutant };
  }
  throw new Error(`${PATIENCE} seeds did not notice`);
}

async function fails(
  seed: number,
  mutate: Mutant,
  without: readonly FaultKind[] = [],
): Promise<SimulationError | undefined> {
  try {
    await runSeed({ seed, drain, mutate, without });
    return undefined;
  } catch (error) {
    if (error instanceof SimulationError) return error;
    throw error;
  }
}
