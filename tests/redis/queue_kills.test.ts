/** Processes that push and take by one Redis, killed and stopped; `npm run soak:faults -- --only redis` has more. */

import { expect, test } from "bun:test";
import { queueKills } from "./queue_kills.ts";

test(
  "producers and consumers are killed and stopped: none is lost, effects are exact, keys keep their order",
  async () => {
    const report = await queueKills({ faults: 12, producers: 2, consumers: 3, seed: 1 }, () => {});
    expect(report.broken).toEqual([]);
  },
  60_000,
);
