#!/usr/bin/env node
// Measures the rows of plan.mjs and writes results.md.
//   node bench/run.mjs [--only send,remote] [--runtime bun,deno,node] [--rounds 3] [--quick] [--report]
// Rows that are not run keep what .out/ holds of them. --rounds takes fewer than the rows say. --quick looks whether
// everything works, and leaves its table in .out/quick/. --report measures nothing and writes the table anew.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { startBroker } from "./lib/brokers.mjs";
import { bench, freePorts, run, start, stop } from "./lib/processes.mjs";
import { report } from "./lib/report.mjs";
import { prepare } from "./lib/setup.mjs";
import { rows } from "./plan.mjs";
import { sampleNatsPublish } from "./rows/nats_publish.mjs";
import { sampleScaling } from "./rows/scaling.mjs";
import { sizes } from "./rows/size.mjs";
import { sampleStartup } from "./rows/startup.mjs";

const { values: flags } = parseArgs({
  options: {
    only: { type: "string", default: Object.keys(rows).join(",") },
    runtime: { type: "string", default: "bun,deno,node" },
    rounds: { type: "string" },
    quick: { type: "boolean", default: false },
    report: { type: "boolean", default: false },
  },
});
const wantedRows = chosen(flags.only, Object.keys(rows));
const wantedRuntimes = chosen(flags.runtime, ["bun", "deno", "node"]);
const out = join(bench, flags.quick ? ".out/quick" : ".out");
mkdirSync(out, { recursive: true });

const effort = flags.quick
  ? {
    rounds: { local: 1, heap: 1, remote: 1, startup: 2, figures: 1 },
    local: { warmup: 100, sample: 10, samples: 3 },
    heap: 40_000,
    remote: { warmup: 200, ms: 400 },
    figures: { warmup: 200, ms: 500, nodeSeconds: 1000 },
    idle: 300,
  }
  : {
    rounds: { local: 3, heap: 1, remote: 5, startup: 10, figures: 5 },
    local: { warmup: 300, sample: 40, samples: 5 },
    heap: 1_000_000,
    remote: { warmup: 500, ms: 1000 },
    figures: { warmup: 500, ms: 2000, nodeSeconds: 4000 },
    idle: 1500,
  };

/** Rows of figures that take several processes; the others have a `script`. */
const samplers = { scaling: sampleScaling, natsPublish: sampleNatsPublish };

/** How one round of a candidate is measured, by kind of row. Each answers `{ figure: number[] }`. */
const measures = {
  local: (runtime, row, candidate) =>
    run(runtime, ["harness/local.ts", row, candidate, JSON.stringify(effort.local)]),
  heap: (runtime, _row, candidate) =>
    run(runtime, ["harness/heap.ts", candidate, JSON.stringify({ runs: effort.heap })], {
      nodeFlags: ["--expose-gc", "--min-semi-space-size=256", "--max-semi-space-size=256"],
    }),
  remote: measureRemote,
  figures: (runtime, row, candidate) =>
    withBroker(row, candidate, (broker) => {
      const effortOf = { ...effort.figures, ...(flags.quick ? {} : rows[row].effort), broker };
      const sample = samplers[row];
      if (sample !== undefined) return sample(runtime, candidate, effortOf);
      return run(runtime, [rows[row].script, candidate, JSON.stringify(effortOf)]);
    }),
  startup: async (runtime, _row, candidate) => {
    const { ms, mb } = await sampleStartup(runtime, candidate, await freePorts(), effort.idle);
    return { ms: [ms], mb: [mb] };
  },
};

let failures = 0;
if (!flags.report) {
  const runtimes = prepare(wantedRuntimes);
  for (const row of wantedRows) {
    if (rows[row].kind === "size") {
      save(row, "bun", { sizes: sizes(prepare(["bun"])[0].path) });
    } else for (const runtime of runtimes) await measureRow(row, runtime);
  }
}
const target = flags.quick ? join(out, "results.md") : join(bench, "results.md");
writeFileSync(target, report(out));
progress("");
console.log(`Wrote ${target}${failures > 0 ? `; ${failures} candidates failed` : ""}`);
process.exitCode = failures > 0 ? 1 : 0;

async function measureRow(name, runtime) {
  const row = rows[name];
  if (row.only !== undefined && !row.only.includes(runtime.name)) return;
  const candidates = row.candidates.filter((each) => row.onlyOn?.[each]?.includes(runtime.name) ?? true);
  const rounds = Math.min(row.rounds ?? Infinity, Number(flags.rounds ?? Infinity), effort.rounds[row.kind]);
  const figures = {};
  const errors = {};
  for (let round = 1; round <= rounds; round++) {
    for (const candidate of shuffled(candidates)) {
      if (candidate in errors) continue;
      progress(`${name} on ${runtime.name}, round ${round} of ${rounds}: ${candidate}`);
      try {
        const samples = await measures[row.kind](runtime, name, candidate);
        const all = (figures[candidate] ??= {});
        for (const [figure, values] of Object.entries(samples)) {
          (all[figure] ??= []).push(...values);
        }
      } catch (error) {
        failures++;
        errors[candidate] = String(error.message).slice(0, 500);
        progress("");
        process.stderr.write(`${name} on ${runtime.name}, ${candidate}: ${error.message}\n`);
      }
    }
  }
  save(name, runtime.name, { version: runtime.version, rounds, figures, errors });
}

function measureRemote(runtime, row, candidate) {
  return withBroker(row, candidate, async (broker) => {
    const port = String(broker?.port ?? await freePorts());
    const server = await start(runtime, ["harness/remote.ts", "serve", row, candidate, port]);
    try {
      const pids = [server.pid, ...(broker === undefined ? [] : [broker.pid])].join(",");
      const options = JSON.stringify({ inFlight: rows[row].levels, ...effort.remote });
      const { levels } = await run(runtime, [
        ...["harness/remote.ts", "load", row, candidate],
        ...[port, pids, options],
      ]);
      return Object.fromEntries(
        levels.flatMap(({ inFlight, ...figures }) =>
          Object.entries(figures).map(([figure, value]) => [`${figure}@${inFlight}`, [value]])
        ),
      );
    } finally {
      await stop(server);
    }
  });
}

/** With a server of its own for a candidate whose row says that it needs one: `{ port, pid, pids }`, else undefined. */
async function withBroker(row, candidate, measure) {
  const name = rows[row].broker?.(candidate);
  if (name === undefined) return await measure(undefined);
  const { port, pid, pids, stop } = await startBroker(name);
  try {
    return await measure({ port, pid, pids });
  } finally {
    await stop();
  }
}

function save(row, runtime, data) {
  const date = new Date().toISOString().slice(0, 16).replace("T", " ");
  writeFileSync(
    join(out, `${row}.${runtime}.json`),
    JSON.stringify({ row, runtime, date, ...data }, null, 1),
  );
}

function chosen(list, all) {
  const names = list.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !all.includes(name));
  if (unknown === undefined) return names;
  process.stderr.write(`There is no "${unknown}"; there are ${all.join(", ")}\n`);
  process.exit(2);
}

function shuffled(list) {
  return list
    .map((each) => [Math.random(), each])
    .sort(([a], [b]) => a - b)
    .map(([, each]) => each);
}

function progress(text) {
  if (process.stderr.isTTY) {
    process.stderr.write(`\r\x1b[2K${text.slice(0, 100)}`);
  }
}
