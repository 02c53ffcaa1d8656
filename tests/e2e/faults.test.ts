/**
 * Faults of real processes, as few as show that the promises hold; `npm run soak:faults` has more. The nodes run on all
 * runtimes whichever one drives them, so one does.
 */

import { expect, test } from "bun:test";
import { cutOff } from "./cut_off.ts";
import { deliveries } from "./deliveries.ts";
import { kills } from "./kills.ts";
import { parted } from "./parted.ts";
import { poison } from "./poison.ts";
import type { Report } from "./report.ts";
import { rolling } from "./rolling.ts";
import { standstill } from "./standstill.ts";
import { stutter } from "./stutter.ts";

const scenarios: readonly (readonly [name: string, run: () => Promise<Report>])[] = [
  ["rolling restarts at 500 requests a second lose none", () => rolling({ rounds: 2, rate: 500 }, quiet)],
  [
    "a stopped node is left out, accuses nobody, and comes back under a new incarnation",
    () => standstill("stopped", { pauses: [0], rate: 100 }, quiet),
  ],
  [
    "a node whose event loop is blocked for 5 s accuses nobody",
    () => standstill("blocked", { pauses: [5000], rate: 100 }, quiet),
  ],
  [
    "a node that is stopped again and again accuses nobody",
    () => stutter({ runs: 1, lasts: 3000, rate: 100, seed: 1 }, quiet),
  ],
  [
    "nodes that cannot reach one another go round by the third, and nobody is declared dead",
    () =>
      parted(
        { cuts: [{ from: 0, to: 1, how: "silent" }, { from: 1, to: 2, how: "lost" }], rate: 100 },
        quiet,
      ),
  ],
  [
    "who cannot reach the leader follows it still",
    () => parted({ cuts: [{ from: 1, to: 0, how: "refused" }], rate: 100 }, quiet),
  ],
  ["a node that was cut off and declared dead comes back", () => cutOff({ cuts: ["silent"] }, quiet)],
  ["poison hurts nobody", () => poison({ count: 105, rate: 200, lasts: 1500 }, quiet)],
  [
    "killed nodes lose no reliable event, and what they write of it happens once",
    () => deliveries({ events: 2000, kills: 4, lease: 2000, seed: 1 }, quiet),
  ],
  [
    "nor do they on NATS, whose server is killed too",
    () => deliveries({ events: 1000, kills: 2, serverKills: 2, keeper: "nats", lease: 2000, seed: 1 }, quiet),
  ],
  ["kills cost the calls in flight and few more", () => kills({ count: 2, rate: 200, seed: 1 }, quiet)],
];

for (const [name, run] of scenarios) {
  test.skipIf(!("Bun" in globalThis))(name, async () => {
    const report = await run();
    expect(report.broken).toEqual([]);
  }, 120_000);
}

function quiet(): void {}
