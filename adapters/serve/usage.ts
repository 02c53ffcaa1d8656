import type { Usage } from "../../src/ports/runtime.ts";
import { builtin, processHere } from "./process.ts";

/** The part of Node's `process` that tells how busy it is; Bun and Deno have it as well. */
interface Metered {
  cpuUsage?(): { readonly user: number; readonly system: number };
  memoryUsage?(): { readonly rss: number };
  constrainedMemory?(): number | undefined;
}

/**
 * Tells how busy this process is: the part of one processor it used since it was asked last, and the part that it
 * holds of the memory which it, or the machine, has. `undefined` where there is no process.
 */
export function usageHere(): (() => Usage) | undefined {
  const process = processHere() as Metered | undefined;
  if (process?.cpuUsage === undefined || process.memoryUsage === undefined) return undefined;
  let before = { at: performance.now(), used: total(process) };
  let memory: number | undefined;
  return () => {
    memory ??= memoryOf(process);
    const now = { at: performance.now(), used: total(process) };
    const elapsed = now.at - before.at;
    const cpu = elapsed > 0 ? Math.min((now.used - before.used) / 1000 / elapsed, 1) : undefined;
    before = now;
    const { rss } = process.memoryUsage!();
    return { cpu: cpu === undefined ? undefined : round(cpu), memory: round(Math.min(rss / memory, 1)) };
  };
}

/** Microseconds used so far. */
function total(process: Metered): number {
  const { user, system } = process.cpuUsage!();
  return user + system;
}

/** What the process may use, in bytes: the limit of its container, or all that the machine has. */
function memoryOf(process: Metered): number {
  const machine = builtin<{ totalmem(): number }>("node:os")?.totalmem() ?? Infinity;
  const limit = process.constrainedMemory?.() ?? 0;
  return limit > 0 ? Math.min(limit, machine) : machine;
}

function round(part: number): number {
  return Math.round(part * 1000) / 1000;
}
