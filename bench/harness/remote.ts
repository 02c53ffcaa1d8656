/**
 * One end of a remote candidate.
 * `remote.ts serve NAME PORT` prints READY when it answers.
 * `remote.ts load NAME PORT SERVER_PID {"inFlight":[1,64],"warmup":500,"ms":1500}` drives it in a closed loop and
 * prints JSON: one entry per level, with calls per second, latency in ms and CPU µs per call at both ends.
 */
import process from "node:process";
import { cpuOf as cpu } from "./cpu.ts";
import { type AskFor, nextOrder } from "./order.ts";
import { remotes } from "../rows/remote.ts";

interface Level {
  readonly inFlight: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly clientCpu: number;
  readonly serverCpu: number;
  readonly cpu: number;
}

const [role, name = "", port = "", ...rest] = process.argv.slice(2);
const make = remotes[name];
if (make === undefined) {
  throw new Error(`There is no remote candidate "${name}"`);
}
const remote = await make();

if (role === "serve") {
  await remote.serve(Number(port));
  console.log("READY");
} else {
  const [serverPid = "", json = "{}"] = rest;
  const { inFlight, warmup, ms } = JSON.parse(json) as { inFlight: number[]; warmup: number; ms: number };
  const ask = await remote.connect(Number(port));
  const levels: Level[] = [];
  for (const level of inFlight) {
    await drive(ask, level, warmup);
    levels.push(await measured(ask, level, ms, serverPid));
  }
  console.log(JSON.stringify({ levels }));
  process.exit(0);
}

async function measured(ask: AskFor, inFlight: number, ms: number, serverPid: string): Promise<Level> {
  const before = [cpu("self"), cpu(serverPid)] as const;
  const start = performance.now();
  const latencies = (await drive(ask, inFlight, ms)).sort((a, b) => a - b);
  const seconds = (performance.now() - start) / 1000;
  const calls = latencies.length;
  const at = (share: number): number => latencies[Math.min(calls - 1, Math.floor(calls * share))]!;
  const client = (cpu("self") - before[0]) / calls;
  const server = (cpu(serverPid) - before[1]) / calls;
  return {
    inFlight,
    perSecond: calls / seconds,
    p50: at(0.5),
    p99: at(0.99),
    clientCpu: client,
    serverCpu: server,
    cpu: client + server,
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
