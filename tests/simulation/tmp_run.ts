import { runSeed } from "./scenario.ts";
const drain = typeof (globalThis as any).Bun !== "undefined" && !process.env.NODRAIN
  ? (await import("bun:jsc" as string)).drainMicrotasks
  : undefined;
const from = Number(process.argv[2] ?? 1), count = Number(process.argv[3] ?? 20);
const t = performance.now(), c0 = process.cpuUsage();
let fails: Record<string, number[]> = {};
let ev = 0;
const out: Record<string, number> = {};
for (let seed = from; seed < from + count; seed++) {
  try {
    const r = await runSeed({ seed, drain });
    ev += r.events;
    for (const k in r.outcomes) out[k] = (out[k] ?? 0) + r.outcomes[k]!;
    if (process.env.V) console.log(seed, r);
  } catch (e) {
    const m = (e as Error).message.split("\n")[0]!;
    if (process.env.V) console.log((e as Error).message);
    const k = m.replace(/\d+/g, "#").slice(0, 150);
    (fails[k] ??= []).push(seed);
  }
}
const c = process.cpuUsage(c0);
const ms = (c.user + c.system) / 1000;
for (const [k, v] of Object.entries(fails)) console.log(v.length, k, v.slice(0, 5));
console.log(
  `${count} seeds ${(ms / count).toFixed(1)} ms each, ${(60000 * count / ms).toFixed(0)}/min, ${
    (ev / count).toFixed(0)
  } events each`,
  out,
);
