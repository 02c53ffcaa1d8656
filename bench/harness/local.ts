/**
 * Times one candidate of a row in this process: `local.ts ROW CANDIDATE {"warmup":300,"sample":40,"samples":5}`.
 * The last line it prints is JSON: ns per operation, one number per sample.
 */
import process from "node:process";
import { measure } from "mitata";
import type { Candidate, Candidates } from "./candidate.ts";

interface Options {
  /** ms */
  readonly warmup: number;
  /** ms of one sample */
  readonly sample: number;
  readonly samples: number;
}

const [row = "", name = "", json = "{}"] = process.argv.slice(2);
const options: Options = { warmup: 300, sample: 40, samples: 5, ...JSON.parse(json) };
const { candidates } = (await import(`../rows/${row}.ts`)) as { candidates: Candidates };
const make = candidates[name];
if (make === undefined) {
  throw new Error(`Row ${row} has no candidate "${name}"`);
}
const candidate = await make();
const answer = await candidate.run();
if (!candidate.check(answer)) {
  throw new Error(`Wrong answer: ${JSON.stringify(answer)}`);
}

const chunk = candidate.run() instanceof Promise ? awaiting(candidate) : calling(candidate);
const rounds = await warmUp(chunk);
const stats = await measure(() => chunk(rounds), {
  min_samples: options.samples,
  max_samples: options.samples,
  min_cpu_time: 0,
  warmup_samples: 0,
});
const ns = stats.samples.map((sample) => sample / rounds / (candidate.per ?? 1));
console.log(JSON.stringify({ ns }));
process.exit(0);

function awaiting({ run }: Candidate): (rounds: number) => Promise<void> {
  return async (rounds) => {
    for (let at = 0; at < rounds; at++) await run();
  };
}

// Awaits once at the end, so that what a run leaves behind is done within its sample.
function calling({ run }: Candidate): (rounds: number) => Promise<void> {
  return async (rounds) => {
    for (let at = 0; at < rounds; at++) run();
    await undefined;
  };
}

/** Runs until warm and answers how many runs make one sample. */
async function warmUp(chunk: (rounds: number) => Promise<void>): Promise<number> {
  const end = performance.now() + options.warmup;
  let rounds = 1;
  for (;;) {
    const start = performance.now();
    await chunk(rounds);
    const now = performance.now();
    const ms = now - start;
    if (now >= end && ms >= options.sample / 4) {
      return Math.max(1, Math.round((rounds * options.sample) / ms));
    }
    if (ms < options.sample / 2) rounds *= 2;
  }
}
