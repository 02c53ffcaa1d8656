/** The REST API that the Redis rows go through, and how they are driven. */
import process from "node:process";
import { cpuOf } from "./cpu.ts";

export const TOKEN = "the-token-of-the-benchmarks";

/** Where a gateway answers, for clients of that protocol. */
export function restOf(port: number): { readonly url: string; readonly token: string } {
  return { url: `http://127.0.0.1:${port}`, token: TOKEN };
}

/** One way of doing what a row measures. */
export interface Operation {
  /** Does it once, for one of those in flight; throws if something went wrong. */
  readonly run: (lane: number) => Promise<void>;
  /** Throws where it does not do what it is for. */
  readonly check: () => Promise<void>;
}

/** @param what the candidate's name up to its colon */
export type MakeOperation = (port: number, what: string) => Operation | Promise<Operation>;

interface Effort {
  /** ms */
  readonly warmup: number;
  /** ms */
  readonly ms: number;
  /** The gateway, and whose CPU time counts beside the process's own. */
  readonly broker: { readonly port: number; readonly pids: readonly number[] };
}

/**
 * Measures a candidate such as `64: catga`, whose number is how many are in flight, with the process's arguments, and prints
 * JSON: how many a second, the median in ms, requests and CPU µs each.
 */
export async function driveOperation(
  operations: Readonly<Record<string, () => Promise<MakeOperation>>>,
): Promise<void> {
  const [candidate = "", json = "{}"] = process.argv.slice(2);
  const { warmup, ms, broker } = JSON.parse(json) as Effort;
  const [what, who] = candidate.split(": ") as [string, string];
  const inFlight = Number(/^\d+/.exec(what)![0]);
  const { run, check } = await (await operations[who]!())(broker.port, what);
  await check();
  await drive(run, inFlight, warmup);

  const cpu = (): number => ["self", ...broker.pids.map(String)].reduce((sum, pid) => sum + cpuOf(pid), 0);
  const [cpuBefore, requestsBefore] = [cpu(), await requestsAt(broker.port)];
  const start = performance.now();
  const latencies = (await drive(run, inFlight, ms)).sort((a, b) => a - b);
  const seconds = (performance.now() - start) / 1000;
  const many = latencies.length;
  console.log(JSON.stringify({
    perSecond: [many / seconds],
    p50: [latencies[many >> 1]],
    requests: [(await requestsAt(broker.port) - requestsBefore) / many],
    cpu: [(cpu() - cpuBefore) / many],
  }));
  process.exit(0);
}

/** Keeps so many under way for so long; answers how long each took. */
async function drive(run: Operation["run"], inFlight: number, ms: number): Promise<number[]> {
  const latencies: number[] = [];
  const end = performance.now() + ms;
  const lane = async (at: number): Promise<void> => {
    for (let start = performance.now(); start < end;) {
      await run(at);
      const now = performance.now();
      latencies.push(now - start);
      start = now;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, at) => lane(at)));
  return latencies;
}

async function requestsAt(port: number): Promise<number> {
  return Number(await (await fetch(`${restOf(port).url}/requests`)).text());
}

/** Throws unless something holds. */
export function expect(what: string, holds: boolean): void {
  if (!holds) throw new Error(`Expected, but it is not so: ${what}`);
}
