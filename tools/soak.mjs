// Simulated cluster runs, as many as asked: `npm run soak -- --seeds 10000 [--from 1] [--jobs 2]`.
// Workers are Bun processes that run tests/simulation; this script hands out seeds and sums up.
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { ensureInstalled, root, runtimes } from "./install.mjs";

/** How many seeds a worker takes at a time. */
const BATCH = 25;

ensureInstalled();
const { seeds, from, jobs } = options();
const live = process.stdout.isTTY === true;
const began = Date.now();
const failed = [];
const outcomes = {};
let next = from;
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
    },
  });
  const numbers = Object.entries(values).map(([name, text]) => [name, whole(name, text)]);
  return Object.fromEntries(numbers);
}

function whole(name, text) {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  console.error(`--${name} is ${text}, but must be a whole number of 1 or more`);
  process.exit(2);
}

function startWorker() {
  const script = join(root, "tests/simulation/soak_worker.ts");
  const child = spawn(runtimes().bun, [script], { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
  const taken = new Set();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message = JSON.parse(line);
    if (message.seed === undefined) return give(child, taken);
    taken.delete(message.seed);
    take(message);
  });
  const ended = new Promise((resolve) =>
    child.on("close", (code, signal) => {
      // A worker that dies takes its seeds with it: they failed.
      if (!stopping) {
        for (const seed of taken) take({ seed, error: `the worker ended with ${signal ?? code}` });
      }
      resolve();
    })
  );
  child.stdin.on("error", () => {});
  return { child, ended };
}

/** Hands a worker its next seeds; it ends when there are none left. */
function give(child, taken) {
  const last = Math.min(next + BATCH, from + seeds);
  const batch = Array.from({ length: stopping ? 0 : last - next }, (_, index) => next + index);
  next = last;
  for (const seed of batch) taken.add(seed);
  if (batch.length === 0) child.stdin.end();
  else child.stdin.write(`${JSON.stringify(batch)}\n`);
}

function take({ seed, error, outcomes: counts = {} }) {
  done++;
  for (const [code, count] of Object.entries(counts)) outcomes[code] = (outcomes[code] ?? 0) + count;
  if (error === undefined) return;
  failed.push(seed);
  erase();
  if (failed.length <= 5) console.log(`${error}\n`);
  else console.log(error.split("\n")[0]);
}

function stop() {
  stopping = true;
  for (const { child } of workers) child.stdin.end();
}

function draw() {
  erase();
  const line = `${done} of ${seeds} seeds, ${failed.length} failed, ${rate()} a minute`;
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
  console.log(`${calls} calls: ${parts.join(", ")}`);
  for (const seed of failed.sort((a, b) => a - b).slice(0, 100)) {
    console.log(`failed: SEED=${seed} bun test tests/simulation/cluster.test.ts`);
  }
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  const range = `seeds ${from} to ${from + done - 1}`;
  console.log(
    `${
      done - failed.length
    } passed, ${failed.length} failed (${range}, ${seconds} s, ${rate()} a minute, ${jobs} jobs)`,
  );
  process.exitCode = failed.length > 0 || done < seeds ? 1 : 0;
}
