// Many nodes over HTTP in a few processes: `npm run soak:nodes -- --nodes 100 --processes 8 --seconds 120`.
// Nobody may be declared dead, all views must be one, and memory must stay flat.
import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { ensureInstalled, root, runtimes } from "./install.mjs";

ensureInstalled();
const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "100" },
    processes: { type: "string", default: "8" },
    seconds: { type: "string", default: "120" },
    port: { type: "string", default: "31000" },
  },
});
const [nodes, processes, seconds, port] = [values.nodes, values.processes, values.seconds, values.port].map(
  Number,
);
const share = Math.ceil(nodes / processes);
const workers = [];
for (let first = 0; first < nodes; first += share) {
  const worker = start(first, Math.min(share, nodes - first));
  workers.push(worker);
  await worker.ready;
}
process.stdout.write(`${nodes} nodes in ${workers.length} processes, ${seconds} s\n`);
await Promise.all(workers.map((worker) => worker.watched));
const reports = await Promise.all(workers.map((worker) => worker.report()));

const deaths = reports.flatMap(({ faulted }) => faulted);
const digests = new Set(reports.flatMap((report) => report.digests));
const least = Math.min(...reports.flatMap((report) => report.least.slice(-Math.ceil(seconds / 2))));
const growth = reports.map(({ memory }) => memory.at(-1) - memory[Math.floor(memory.length / 2)]);
const cpu = reports.reduce((sum, { cpu }) => sum + cpu.user + cpu.system, 0) / 1e6;
process.stdout.write(
  `deaths ${deaths.length}, digests ${digests.size}, fewest members seen ${least}, ` +
    `MB grown in the second half ${growth.join(" ")}, MB at the end ${
      reports.map(({ memory }) => memory.at(-1)).join(" ")
    }, CPU ${(1000 * cpu / nodes / seconds).toFixed(2)} ms a node and second\n`,
);
const failed = deaths.length > 0 || digests.size !== 1 || least !== nodes || growth.some((mb) => mb > 16);
process.stdout.write(failed ? `failed: ${deaths.slice(0, 9).join(", ")}\n` : "passed\n");
process.exitCode = failed ? 1 : 0;

function start(first, count) {
  const script = join(root, "tests/soak/nodes_worker.ts");
  const args = [script, first, count, port, seconds].map(String);
  const child = spawn(runtimes().bun, args, { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
  const lines = [];
  const waiting = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    for (const look of waiting) look();
  });
  const until = (test) =>
    new Promise((resolve, reject) => {
      const look = () => {
        const line = lines.find(test);
        if (line !== undefined) resolve(line);
      };
      waiting.push(look);
      child.once("exit", (code) => reject(new Error(`a worker ended with ${code}`)));
      look();
    });
  return {
    ready: until((line) => line === "READY"),
    watched: until((line) => line === "WATCHED"),
    report: async () => {
      child.stdin.write("end\n");
      return JSON.parse(await until((line) => line.startsWith("{")));
    },
  };
}
