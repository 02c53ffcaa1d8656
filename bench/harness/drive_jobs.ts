/**
 * Drives a queue: `push 64: NAME` and `push batches of 100: NAME` count what it keeps, `take 64: NAME` what it hands out.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuOf } from "./cpu.ts";
import type { Jobs, MakeJobs } from "./jobs.ts";
import { nextOrder, type Order } from "./order.ts";

/** What a script that drives queues is called with. */
export interface Effort {
  /** ms */
  readonly warmup: number;
  /** ms */
  readonly ms: number;
  /** The server of the candidate, if it has one; the CPU time of its processes counts. */
  readonly broker?: { readonly port: number; readonly pid: number; readonly pids?: readonly number[] };
}

/** How many are taken for each ms of effort, with so many in hands at a time. */
const TAKEN: Readonly<Record<number, number>> = { 1: 2, 10: 5, 64: 10, 100: 10, 256: 30 };

/** Measures a candidate such as `push 64: catga, process` and answers `{ perSecond: [], cpu: [] }`. */
export async function driveJobs(
  queues: Readonly<Record<string, () => Promise<MakeJobs>>>,
  candidate: string,
  { warmup, ms, broker }: Effort,
): Promise<object> {
  const [what, who] = candidate.split(": ") as [string, string];
  const [name, durability] = who.split(", ") as [string, "power" | "process" | undefined];
  const count = Number(/(?:push|take)\D*(\d+)/.exec(what)![1]);
  const servers = broker?.pids ?? (broker === undefined ? [] : [broker.pid]);
  const folder = mkdtempSync(join(tmpdir(), "catga-bench-"));
  try {
    const make = await queues[name]!();
    const jobs = await make({ folder, durability: durability ?? "process", port: broker?.port ?? 0 });
    return what.includes("take") ? await taken(jobs) : await pushed(jobs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  async function pushed(jobs: Jobs): Promise<object> {
    const whole = what.includes("batch") || (jobs.isLimit === true && count > 1);
    let made = 0;
    const lane = async (end: number): Promise<void> => {
      while (performance.now() < end) {
        await (whole ? jobs.pushAll(orders(count)) : jobs.push(nextOrder()));
        made += whole ? count : 1;
      }
    };
    const drive = async (limit: number): Promise<void> => {
      const end = performance.now() + limit;
      await Promise.all(Array.from({ length: whole ? 1 : count }, () => lane(end)));
    };
    await drive(warmup);
    const before = made;
    const figures = await measured(async () => {
      await drive(ms);
      return made - before;
    }, servers);
    const kept = await jobs.kept();
    if (kept !== made) throw new Error(`It was given ${made}, and keeps ${kept}`);
    return figures;
  }

  async function taken(jobs: Jobs): Promise<object> {
    await (await filled(jobs, count, Math.ceil(warmup * TAKEN[count]!)))();
    return await measured(await filled(jobs, count, Math.ceil(ms * TAKEN[count]!)), servers);
  }
}

/** Puts so many in; answers what takes them all out again. */
async function filled(
  { pushAll, take }: Jobs,
  concurrency: number,
  wanted: number,
): Promise<() => Promise<number>> {
  const waiting = new Set<number>();
  for (let left = wanted; left > 0; left -= 500) {
    const some = orders(Math.min(left, 500));
    for (const { id } of some) waiting.add(id);
    await pushAll(some);
  }
  return async () => {
    await take(wanted, concurrency, (order) => Promise.resolve(void waiting.delete(order.id)));
    if (waiting.size > 0) throw new Error(`${waiting.size} of ${wanted} were never handed out`);
    return wanted;
  };
}

async function measured(work: () => Promise<number>, servers: readonly number[]): Promise<object> {
  const cpu = (): number => ["self", ...servers.map(String)].reduce((sum, pid) => sum + cpuOf(pid), 0);
  const before = cpu();
  const start = performance.now();
  const made = await work();
  const seconds = (performance.now() - start) / 1000;
  return { perSecond: [made / seconds], cpu: [(cpu() - before) / made] };
}

function orders(many: number): Order[] {
  return Array.from({ length: many }, nextOrder);
}
