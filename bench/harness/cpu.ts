import { readFileSync } from "node:fs";

/** CPU time a process has used, in µs; NaN where /proc isn't. */
export function cpuOf(pid: string): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10_000;
  } catch {
    return NaN;
  }
}
