// Faults of real processes: `npm run soak:faults -- --only rolling,stop --rounds 10`.
// A Bun process runs the scenarios of tests/e2e on nodes of all runtimes; this script shows what they come to.
import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { ensureInstalled, root, runtimes } from "./install.mjs";

const scenarios = [
  "rolling",
  "stop",
  "block",
  "stutter",
  "partition",
  "poison",
  "kill",
  "deliveries",
  "nats",
  "redis",
  "outage",
  "routing",
];

ensureInstalled();
const options = readOptions();
const live = process.stdout.isTTY === true;
const reports = [];
const began = Date.now();
let note = "";
let done = false;

const script = join(root, "tests/soak/faults_worker.ts");
const child = spawn(runtimes().bun, [script, JSON.stringify(options)], {
  cwd: root,
  stdio: ["ignore", "pipe", "inherit"],
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => child.kill("SIGTERM"));
createInterface({ input: child.stdout }).on("line", take);
const ticker = live ? setInterval(draw, 500) : undefined;
const code = await new Promise((resolve) => child.on("close", (code, signal) => resolve(signal ?? code)));
clearInterval(ticker);
erase();

const broken = reports.flatMap(({ title, broken }) => broken.map((what) => `${title}: ${what}`));
if (!done) broken.push(`the worker ended with ${code} before all had run`);
for (const what of broken) console.log(`broken: ${what}`);
console.log(`${broken.length === 0 ? "passed" : "failed"} (${seconds()} s, seed ${options.seed})`);
process.exitCode = broken.length === 0 ? 0 : 1;

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: scenarios.join(",") },
      rounds: { type: "string", default: "10" },
      kills: { type: "string", default: "30" },
      pause: { type: "string", default: "60" },
      rate: { type: "string", default: "500" },
      events: { type: "string", default: "20000" },
      seed: { type: "string", default: "1" },
    },
  });
  const only = values.only.split(",");
  const unknown = only.filter((name) => !scenarios.includes(name));
  if (unknown.length > 0) refuse(`--only names ${unknown.join(", ")}; there are ${scenarios.join(", ")}`);
  const [rounds, kills, pause, rate, events, seed] = ["rounds", "kills", "pause", "rate", "events", "seed"]
    .map((name) => whole(name, values[name]));
  return { only, rounds, kills, pause: pause * 1000, rate, events, seed };
}

function whole(name, text) {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) {
    refuse(`--${name} is ${text}, but must be a whole number of 1 or more`);
  }
  return number;
}

function refuse(message) {
  console.error(message);
  process.exit(2);
}

/** Takes what the worker says: how it goes, what came of a scenario, that it is done. */
function take(line) {
  // Tools that the worker runs, such as a build, say things of their own.
  if (!line.startsWith("{")) return console.error(line);
  const message = JSON.parse(line);
  if (message.note !== undefined) {
    note = message.note;
    return draw();
  }
  if (message.done) return done = true;
  reports.push(message);
  erase();
  show(message);
}

function show({ title, rows }) {
  const width = (part) => Math.max(0, ...rows.map((row) => row[part].length));
  const [what, found] = [width("what"), width("found")];
  console.log(`${title} (${seconds()} s)`);
  for (const row of rows) {
    const promise = row.promise === undefined ? "" : `promised: ${row.promise}`;
    console.log(`  ${row.what.padEnd(what)}  ${row.found.padEnd(found)}  ${promise}`.trimEnd());
  }
}

function draw() {
  if (!live) return;
  erase();
  process.stdout.write(`${note} (${seconds()} s)`.slice(0, (process.stdout.columns || 80) - 1));
}

function erase() {
  if (live) process.stdout.write("\r\x1b[K");
}

function seconds() {
  return ((Date.now() - began) / 1000).toFixed(0);
}
