/** The choice of one of 3 and of 100 nodes for a call, by each router and balancer. */
import type { Router, RouteTarget } from "@catga/catga";
import {
  consistentHash,
  firstOf,
  leastConnections,
  leastLoad,
  localFirst,
  powerOfTwo,
  random,
  roundRobin,
  tagged,
  toNode,
  weightedRoundRobin,
  zoneFirst,
} from "@catga/catga/cluster";
import { systemRuntime } from "@catga/catga/ports";
import type { Candidate, Candidates } from "../harness/candidate.ts";

const PER = 1000;
const keys = Array.from({ length: 4096 }, (_, at) => `key-${100_000 + at}`);
const runtime = systemRuntime();

const routers: Readonly<Record<string, () => Router>> = {
  "the first one": () => (_call, candidates) => candidates[0],
  roundRobin,
  weightedRoundRobin,
  consistentHash,
  "consistentHash, bounded": () => consistentHash({ bound: 1.25 }),
  localFirst,
  zoneFirst,
  tagged: () => tagged({ colour: "green" }),
  firstOf: () => firstOf(toNode("nobody"), roundRobin()),
  leastConnections,
  leastLoad: () => leastLoad(runtime),
  random: () => random(runtime),
  powerOfTwo: () => powerOfTwo(runtime),
};

function routing(router: Router, count: number): Candidate {
  const targets: RouteTarget[] = Array.from({ length: count }, (_, at) => ({
    id: `node-${at}`,
    local: at === 1,
    load: at % 7,
    inFlight: at % 5,
    latency: 1 + at % 3,
    lag: at % 4,
    cpu: (at % 10) / 10,
    memory: 0.5,
    weight: 1 + at % 2,
    leader: at === 0,
    zone: at % 2 === 0 ? "x" : "y",
    version: "1",
    tags: { colour: at % 2 === 0 ? "green" : "blue" },
  }));
  let at = 0;
  const run = (): number => {
    let letters = 0;
    for (let n = 0; n < PER; n++) {
      letters += router({ type: "orders.get", key: keys[at++ & 4095], zone: "x" }, targets)!.id.length;
    }
    return letters;
  };
  return { run, per: PER, check: (letters) => (letters as number) >= PER * "node-0".length };
}

export const candidates: Candidates = Object.fromEntries(
  [3, 100].flatMap((count) =>
    Object.entries(routers).map(([name, make]) => [`${name} (${count})`, () => routing(make(), count)])
  ),
);
