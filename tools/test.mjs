// The gate: `npm test`, `deno task test`, `bun run test`. `-- --only bun,lint` picks stages.
// The last line, alone, is `N passed, M failed` over all stages; a stage without tests counts as one.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { ensureInstalled } from "./install.mjs";
import { progress } from "./test/progress.mjs";
import { stages } from "./test/stages.mjs";

ensureInstalled();
const folder = mkdtempSync(join(tmpdir(), "catga-test-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const picked = pick(stages(folder), parseArgs({ options: { only: { type: "string" } } }).values.only);
const total = { passed: 0, failed: 0 };
const together = picked.filter((stage) => !stage.alone);
await Promise.all([work(together), work(together)]);
await work(picked.filter((stage) => stage.alone));
progress.end();
process.exitCode = total.failed > 0 ? 1 : 0;
console.log(`${total.passed} passed, ${total.failed} failed`);

async function work(queue) {
  for (let stage = queue.shift(); stage !== undefined; stage = queue.shift()) {
    const done = progress.start(stage);
    const result = await stage.run().catch((error) => ({
      passed: 0,
      failed: 1,
      skipped: 0,
      output: String(error),
    }));
    total.passed += result.passed;
    total.failed += result.failed;
    done(result);
  }
}

function pick(all, only) {
  if (only === undefined) return all;
  const names = only.split(",");
  const unknown = names.filter((name) => !all.some((stage) => matches(stage, name)));
  if (unknown.length === 0) return all.filter((stage) => names.some((name) => matches(stage, name)));
  throw new Error(`no stage ${unknown.join(", ")}; there are ${all.map((stage) => stage.name).join(", ")}`);
}

function matches(stage, name) {
  return stage.name === name || stage.name.startsWith(`${name}:`);
}
