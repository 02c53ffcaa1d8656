/** Runs the seeds that come in as lines of JSON, for tools/soak.mjs. */

import process from "node:process";
import { createInterface } from "node:readline";
import { drain } from "./drain.ts";
import { runSeed } from "./scenario.ts";

const say = (message: object): boolean => process.stdout.write(`${JSON.stringify(message)}\n`);

say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  for (const seed of JSON.parse(line) as number[]) {
    try {
      const { outcomes } = await runSeed({ seed, drain });
      say({ seed, outcomes });
    } catch (error) {
      say({ seed, error: error instanceof Error ? error.message : String(error) });
    }
  }
  say({ ready: true });
}
