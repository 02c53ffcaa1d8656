// Simulated runs, as many as asked: `npm run soak -- --seeds 20000 [--from 1] [--jobs 2] [--scenarios lease,cluster]`.
// Every scenario of tests/simulation/soak_worker.ts runs each seed. Workers are Bun processes; this script hands out
// seeds and sums up.
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { ensureInstalled, root, runtimes } from "./install.mjs";

/** How many seeds a worker takes at a time. */
const BATCH = 25;
/** How many failures are printed in full, and how many commands that repeat one. */
const SHOWN = 5;
const REPLAYS = 100;

ensureInstalled();
const { seeds, from, jobs, wanted } = options();
const live = process.stdout.isTTY === true;
const began = Date.now();
const failed = [];
const outcomes = {};
/** How many seeds of each scenario are done, and how many of them failed. */
const counts = new Map();
let batches;
let done = 0;
let stopping = false;

const workers = Array.from({ length: jobs }, startWorker);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, stop);
const ticker = live ? setInterval(draw, 500) : undefined;
await Promise.all(workers.map((worker) => worker.ended));
clearInterval(ticker);
report();

function options() {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "1000" },
      from: { type: "string", default: "1" },
      jobs: { type: "string", default: String(Math.max(1, availableParallelism())) },
      scenarios: { type: "string" },
    },
  });
  const numbers = ["seeds", "from", "jobs"].map((name) => [name, whole(name, values[name])]);
  return { ...Object.fromEntries(numbers), wanted: values.scenarios?.split(",") };
}

function whole(name, text) {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  refuse(`--${name} is ${text}, but must be a whole number of 1 or more`);
}

function refuse(message) {
  console.error(message);
  process.exit(2);
}

function startWorker() {
  const script = join(root, "tests/simulation/soak_worker.ts");
  const child = spawn(runtimes().bun, [script], { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
  const taken = new Map();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message = JSON.parse(line);
    if (message.seed === undefined) return give(child, taken, message.scenarios);
    taken.delete(nameOf(message));
    take(message);
  });
  const ended = new Promise((resolve) =>
    child.on("close", (code, signal) => {
      // A worker that dies takes its seeds with it: they failed.
      if (!stopping) {
        for (const task of taken.values()) {
          take({ ...task, error: `the worker ended with ${signal ?? code}` });
        }
      }
      resolve();
    })
  );
  child.stdin.on("error", () => {});
  return { child, ended };
}

/** Hands a worker its next seeds; it ends when there are none left. */
function give(child, taken, scenarios) {
  batches ??= inBatches(scenarios);
  const batch = stopping ? undefined : batches.next().value;
  if (batch === undefined) return child.stdin.end();
  for (const seed of batch.seeds) {
    const task = { scenario: batch.scenario, seed };
    taken.set(nameOf(task), task);
  }
  child.stdin.write(`${JSON.stringify(batch)}\n`);
}

/** Each seed in every scenario, the first seeds of all first. */
function* inBatches(all) {
  const unknown = wanted?.find((name) => !all.includes(name));
  if (unknown !== undefined) refuse(`--scenarios names "${unknown}", but there are ${all.join(", ")}`);
  const scenarios = wanted ?? all;
  for (const scenario of scenarios) counts.set(scenario, { done: 0, failed: 0 });
  for (let first = from; first < from + seeds; first += BATCH) {
    const length = Math.min(BATCH, from + seeds - first);
    for (const scenario of scenarios) {
      yield { scenario, seeds: Array.from({ length }, (_, index) => first + index) };
    }
  }
}

function nameOf({ scenario, seed }) {
  return `${scenario} ${seed}`;
}

function take({ scenario, seed, error, outcomes: ends = {} }) {
  const count = counts.get(scenario);
  done++;
  count.done++;
  for (const [code, times] of Object.entries(ends)) outcomes[code] = (outcomes[code] ?? 0) + times;
  if (error === undefined) return;
  count.failed++;
  failed.push({ scenario, seed });
  erase();
  if (failed.length <= SHOWN) console.log(`${scenario}: ${error}\n`);
  else console.log(`${scenario}: ${error.split("\n")[0]}`);
}

function stop() {
  stopping = true;
  for (const { child } of workers) child.stdin.end();
}

function draw() {
  erase();
  const line = `${done} of ${counts.size * seeds} runs, ${failed.length} failed, ${rate()} a minute`;
  process.stdout.write(line.slice(0, (process.stdout.columns ?? 80) - 1));
}

function erase() {
  if (live) process.stdout.write("\r\x1b[K");
}

function rate() {
  return Math.round((done * 60_000) / Math.max(Date.now() - began, 1));
}

function report() {
  erase();
  const calls = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  const parts = Object.entries(outcomes).sort((a, b) => b[1] - a[1]).map(([code, count]) =>
    `${code} ${count}`
  );
  if (calls > 0) console.log(`${calls} calls: ${parts.join(", ")}`);
  const order = [...counts.keys()];
  failed.sort((a, b) => order.indexOf(a.scenario) - order.indexOf(b.scenario) || a.seed - b.seed);
  for (const { scenario, seed } of failed.slice(0, REPLAYS)) {
    console.log(`failed: SEED=${seed} bun test tests/simulation/${scenario}.test.ts`);
  }
  for (const [scenario, count] of counts) {
    console.log(`${scenario}: ${count.done - count.failed} passed, ${count.failed} failed`);
  }
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  const range = `seeds ${from} to ${from + seeds - 1}`;
  console.log(
    `${done - failed.length} passed, ${failed.length} failed of ${
      counts.size * seeds
    } runs (${range}, ${seconds} s, ${rate()} a minute, ${jobs} jobs)`,
  );
  process.exitCode = failed.length > 0 || counts.size === 0 || done < counts.size * seeds ? 1 : 0;
}
