/**
 * Bytes of heap that one run of a candidate of rows/send.ts leaves behind, on Node with `--expose-gc` and a young
 * generation so large that nothing is collected between two looks: `heap.ts CANDIDATE {"runs":1000000}`.
 */
import process from "node:process";
import { candidates } from "../rows/send.ts";

const BLOCK = 20_000;

const [name = "", json = "{}"] = process.argv.slice(2);
const { runs } = { runs: 1_000_000, ...JSON.parse(json) } as { runs: number };
const candidate = await candidates[name]!();
const collect = (globalThis as unknown as { gc: () => void }).gc;

async function block(): Promise<number> {
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let at = 0; at < BLOCK; at++) await candidate.run();
  return (process.memoryUsage().heapUsed - before) / BLOCK;
}

const bytes: number[] = [];
for (let at = 0; at < 5; at++) await block();
for (let at = 0; at < runs / BLOCK; at++) bytes.push(await block());
console.log(JSON.stringify({ bytes }));
process.exit(0);
