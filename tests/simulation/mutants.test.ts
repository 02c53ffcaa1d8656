/**
 * The rules that matter most, each broken on purpose: seeds must notice within a limit, and by the oracle that is
 * there for it. More of them are beside each scenario.
 */

import { describe, expect, test } from "bun:test";
import { drain } from "./drain.ts";
import { type LeaseMutant, runLeases } from "./lease_scenario.ts";
import { runMembership } from "./membership_scenario.ts";
import { liar, type Mutant, pocketWatch, sundial } from "./mutants.ts";
import { runSeed } from "./scenario.ts";

/** Seeds a mutant may survive. */
const PATIENCE = 2000;

interface BrokenRule {
  readonly rule: string;
  /** What must notice, and what it says then. */
  readonly oracle: string;
  readonly says: RegExp;
  /** Runs a seed, with the rule broken or kept. */
  run(seed: number, broken: boolean): Promise<unknown>;
}

const rules: readonly BrokenRule[] = [
  {
    rule: "no fence check",
    oracle: "nothing is written with a lower token than before",
    says: /token \d+ was accepted after \d+/,
    run: leasesWith({ unfenced: true }),
  },
  {
    rule: "a lease by the wall clock",
    oracle: "one holder at a time",
    says: /both believe they hold the lease/,
    run: leasesWith({
      runtime: (runtime) => ({ ...runtime, clock: { ...runtime.clock, mono: () => runtime.clock.wall() } }),
    }),
  },
  {
    rule: "a release without a look at the owner",
    oracle: "one holder at a time",
    says: /both believe they hold the lease/,
    run: leasesWith({
      store: (store) => ({ delete: (key, { signal } = {}) => store.delete(key, { signal }) }),
    }),
  },
  {
    rule: "heartbeats judged by the sender's time",
    oracle: "one view two seconds after the last fault",
    says: /no agreement 2000 ms after the last fault/,
    run: membershipWith(sundial),
  },
  {
    rule: "heartbeats judged by the sender's time, whose offset was right once",
    oracle: "nobody is accused because of a clock",
    says: /\w accused \w, though nothing went wrong but clocks/,
    run: (seed, broken) =>
      runMembership({ seed, drain, kinds: ["jump", "drift"], mutant: broken ? pocketWatch : undefined }),
  },
  {
    rule: "failover of a command that was started and is not idempotent",
    oracle: "no command is started twice",
    says: /(Charge|Reserve) \S+ of \w was started 2 times/,
    run: (seed, broken) => runSeed({ seed, drain, mutate: broken ? liar : undefined }),
  },
];

describe("a broken rule is noticed", () => {
  for (const { rule, oracle, says, run } of rules) {
    test(`${rule}: by "${oracle}"`, async () => {
      let found = 0;
      for (let seed = 1; seed <= PATIENCE && found === 0; seed++) {
        const failure = await run(seed, true).then(() => "", (error: Error) => error.message);
        if (says.test(failure)) found = seed;
      }
      expect(found).toBeGreaterThan(0);
      // It is the broken rule that was noticed, not the seed.
      await run(found, false);
    }, 120_000);
  }
});

function leasesWith(mutant: LeaseMutant): BrokenRule["run"] {
  return (seed, broken) => runLeases({ seed, drain, mutant: broken ? mutant : {} });
}

function membershipWith(mutant: Mutant): BrokenRule["run"] {
  return (seed, broken) => runMembership({ seed, drain, mutant: broken ? mutant : undefined });
}
