/** Runs scenarios of tests/e2e, given as JSON; says how it goes and what came of them, as a line of JSON each. */

import process from "node:process";
import { kills } from "../e2e/kills.ts";
import { type CutOff, cutOff } from "../e2e/cut_off.ts";
import { deliveries } from "../e2e/deliveries.ts";
import { outage, storageLost } from "../e2e/nats_outage.ts";
import { routing } from "../e2e/nats_routing.ts";
import { type Cut, parted } from "../e2e/parted.ts";
import { poison } from "../e2e/poison.ts";
import type { Report } from "../e2e/report.ts";
import { rolling } from "../e2e/rolling.ts";
import { standstill } from "../e2e/standstill.ts";
import { stutter } from "../e2e/stutter.ts";
import { queueKills } from "../redis/queue_kills.ts";

interface Options {
  readonly only: readonly string[];
  readonly rounds: number;
  readonly kills: number;
  readonly pause: number;
  readonly rate: number;
  readonly events: number;
  readonly seed: number;
}

type Note = (text: string) => void;

const SHORT = 2500;
const BLOCKED = 5000;
const options = JSON.parse(process.argv[2]!) as Options;
const { rounds, rate, seed } = options;
const pairs = [[1, 0], [0, 1], [1, 2], [2, 1], [0, 2], [2, 0]] as const;
const cuts: readonly Cut[] = pairs.flatMap(([from, to]) =>
  (["silent", "lost", "refused", "apart"] as const).map((how) => ({ from, to, how }))
);
const scenarios: Readonly<Record<string, readonly ((note: Note) => Promise<Report>)[]>> = {
  rolling: [(note) => rolling({ rounds, rate }, note)],
  stop: [(note) => {
    const pauses = [options.pause, ...repeated(rounds - 1, SHORT)];
    return standstill("stopped", { pauses, rate: 100 }, note);
  }],
  block: [(note) => {
    return standstill("blocked", { pauses: repeated(Math.ceil(rounds / 3), BLOCKED), rate: 100 }, note);
  }],
  stutter: [(note) => stutter({ runs: rounds, lasts: 5000, rate: 100, seed }, note)],
  partition: [
    (note) => parted({ cuts: cuts.slice(0, 4 * rounds), rate: 100 }, note),
    (note) => cutOff({ cuts: repeated<CutOff>(rounds, "silent", "refused") }, note),
  ],
  poison: [(note) => poison({ count: 100 * rounds, rate, lasts: 2000 * rounds }, note)],
  deliveries: [(note) => {
    return deliveries({ events: options.events, kills: options.kills, lease: 5000, seed }, note);
  }],
  nats: [(note) => {
    const { events, kills } = options;
    const serverKills = Math.ceil(kills / 5);
    return deliveries({ events, kills, serverKills, keeper: "nats", lease: 5000, seed }, note);
  }],
  redis: [
    (note) => {
      const { events, kills } = options;
      const [serverKills, stops] = [Math.ceil(kills / 5), Math.ceil(kills / 3)];
      return deliveries({ events, kills, serverKills, stops, keeper: "redis", lease: 5000, seed }, note);
    },
    (note) => {
      const [faults, serverKills] = [10 * options.kills, options.kills];
      return queueKills({ faults, serverKills, producers: 3, consumers: 3, seed }, note);
    },
  ],
  outage: [
    (note) => outage({ lasts: options.pause }, note),
    (note) => storageLost({ rounds: Math.ceil(rounds / 3) }, note),
  ],
  routing: [(note) => routing({ rounds }, note)],
  kill: [(note) => kills({ count: options.kills, rate: 200, seed }, note)],
};

// Nodes end with this process, stopped ones as well.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
for (const name of options.only) {
  for (const run of scenarios[name]!) {
    try {
      const { name: title, rows, broken, late } = await run((text) => say({ note: `${name}: ${text}` }));
      say({ title, rows, broken: [...broken, ...late] });
    } catch (error) {
      say({ title: name, rows: [], broken: [error instanceof Error ? error.message : String(error)] });
    }
  }
}
say({ done: true });
process.exit(0);

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

/** So many things, of some in turn. */
function repeated<T>(count: number, ...things: readonly T[]): readonly T[] {
  return Array.from({ length: Math.max(count, 1) }, (_, at) => things[at % things.length]!);
}
