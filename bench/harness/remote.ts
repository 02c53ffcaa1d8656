/**
 * One end of a candidate of a row such as `remote`; PORT is the server's, or the broker's between the two.
 * `remote.ts serve ROW NAME PORT` prints READY when it answers.
 * `remote.ts load ROW NAME PORT SERVER_PID[,BROKER_PID] {"inFlight":[1,64],"warmup":500,"ms":1500}` drives it in a
 * closed loop and prints JSON: one entry per level, with calls per second, latency in ms and CPU µs per call at all ends.
 */
import process from "node:process";
import { cpuOf as cpu } from "./cpu.ts";
import { type AskFor, nextOrder, type Remote } from "./order.ts";

interface Level {
  readonly inFlight: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly clientCpu: number;
  readonly serverCpu: number;
  readonly brokerCpu?: number;
  readonly cpu: number;
}

const [role, row = "", name = "", port = "", ...rest] = process.argv.slice(2);
const { remotes } = (await import(`../rows/${row}.ts`)) as {
  remotes: Readonly<Record<string, () => Promise<Remote>>>;
};
const make = remotes[name];
if (make === undefined) {
  throw new Error(`There is no candidate "${name}" of ${row}`);
}
const remote = await make();

if (role === "serve") {
  await remote.serve(Number(port));
  console.log("READY");
} else {
  const [pids = "", json = "{}"] = rest;
  const { inFlight, warmup, ms } = JSON.parse(json) as { inFlight: number[]; warmup: number; ms: number };
  const ask = await remote.connect(Number(port));
  const levels: Level[] = [];
  for (const level of inFlight) {
    await drive(ask, level, warmup);
    levels.push(await measured(ask, level, ms, ["self", ...pids.split(",")]));
  }
  console.log(JSON.stringify({ levels }));
  process.exit(0);
}

async function measured(
  ask: AskFor,
  inFlight: number,
  ms: number,
  pids: readonly string[],
): Promise<Level> {
  const before = pids.map(cpu);
  const start = performance.now();
  const latencies = (await drive(ask, inFlight, ms)).sort((a, b) => a - b);
  const seconds = (performance.now() - start) / 1000;
  const calls = latencies.length;
  const at = (share: number): number => latencies[Math.min(calls - 1, Math.floor(calls * share))]!;
  const used = pids.map((pid, at) => (cpu(pid) - before[at]!) / calls);
  const [clientCpu, serverCpu, brokerCpu] = used as [number, number, number?];
  return {
    inFlight,
    perSecond: calls / seconds,
    p50: at(0.5),
    p99: at(0.99),
    clientCpu,
    serverCpu,
    ...(brokerCpu === undefined ? {} : { brokerCpu }),
    cpu: used.reduce((sum, each) => sum + each, 0),
  };
}

/** Keeps so many calls under way for so long; answers how long each took. */
async function drive(ask: AskFor, inFlight: number, ms: number): Promise<number[]> {
  const latencies: number[] = [];
  const end = performance.now() + ms;
  const caller = async (): Promise<void> => {
    for (let start = performance.now(); start < end;) {
      const order = nextOrder();
      const receipt = await ask(order);
      if (receipt.id !== order.id) {
        throw new Error(`Asked for ${order.id}, was answered ${receipt.id}`);
      }
      const now = performance.now();
      latencies.push(now - start);
      start = now;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  return latencies;
}
