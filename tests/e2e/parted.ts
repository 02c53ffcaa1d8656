import { type NodeProcess, pause } from "./cluster.ts";
import {
  accusations,
  agreed,
  deaths,
  knows,
  type Sighting,
  sightings,
  withLinkedNodes,
} from "./fault_cluster.ts";
import { OpenLoad } from "./open_load.ts";
import type { Link, LinkState } from "./proxy.ts";
import { Report } from "./report.ts";

/**
 * How two nodes are parted, while a third reaches both: connections from the one to the other keep silent or are
 * refused, or packets from the one to the other get lost, which silences connections both ways; or both ways are silent.
 */
export type Parting = "silent" | "refused" | "lost" | "apart";

/** Two nodes, by their places, that are parted. */
export interface Cut {
  readonly from: number;
  readonly to: number;
  readonly how: Parting;
}

/** How long nodes are parted, in ms: twice as long as a silent node has. */
const PARTED = 3000;
const PATIENCE = 1000;

type Linked = (from: number, to: number) => Link;

const WAYS: Readonly<Record<Parting, { readonly there: LinkState; readonly back: LinkState }>> = {
  silent: { there: "silent", back: "open" },
  refused: { there: "refused", back: "open" },
  lost: { there: "silent", back: "unanswered" },
  apart: { there: "silent", back: "silent" },
};

/** Parts two nodes for a while, whom a third one reaches, for each of some ways to do it. */
export async function parted(
  { cuts, rate }: { readonly cuts: readonly Cut[]; readonly rate: number },
  note: (text: string) => void,
): Promise<Report> {
  const report = new Report("two of three nodes parted");
  const noticed: number[] = [];
  const failed: string[] = [];
  const idle: string[] = [];
  const died: string[] = [];
  const led: string[] = [];
  const suspected: string[] = [];
  await withLinkedNodes(async (nodes, link) => {
    for (const cut of cuts) {
      const name = `${nodes[cut.from]!.name} to ${nodes[cut.to]!.name} ${cut.how}`;
      note(name);
      const found = await part(nodes, link, cut, rate);
      const named = (texts: readonly string[]) => texts.map((text) => `${name}: ${text}`);
      noticed.push(found.noticed);
      failed.push(...named(found.failed));
      if (found.elsewhere === 0) idle.push(name);
      died.push(...named(deaths(found.seen, [])));
      suspected.push(...named(accusations(found.seen).map(({ by, id }) => `${by} suspected ${id}`)));
      const leaders = found.seen.filter(({ type }) => type === "leader");
      led.push(...named(leaders.map(({ by, id }) => `${by} saw ${id} lead`)));
    }
  });
  report.tell("cuts", `${cuts.length} of ${PARTED / 1000} s`);
  report.times("until no calls went to who could not be reached", noticed);
  report.none("failed calls that began after that", failed);
  report.none("cuts without calls to the third node", idle);
  report.none("nodes declared dead", died);
  report.none("suspicions", suspected);
  report.none("changes of leader", led);
  return report;
}

async function part(
  nodes: readonly NodeProcess[],
  link: Linked,
  { from, to, how }: Cut,
  rate: number,
): Promise<{
  readonly noticed: number;
  readonly failed: readonly string[];
  readonly elsewhere: number;
  readonly seen: readonly Sighting[];
}> {
  const [near, far] = [nodes[from]!, nodes[to]!];
  const third = nodes.find((node) => node !== near && node !== far)!;
  const { there, back } = WAYS[how];
  const cutFrom = back === "open" ? [[near, far]] as const : [[near, far], [far, near]] as const;
  const load = new OpenLoad(cutFrom.map(([{ url }]) => url), { rate, timeout: PATIENCE });
  const began = Date.now();
  let noticed = 0;
  let healed = 0;
  try {
    await Promise.all([link(from, to).set(there), link(to, from).set(back)]);
    for (const [one, other] of cutFrom) {
      const missing = `cannot reach ${other.name}`;
      await knows(
        one,
        missing,
        ({ members }) => members.some((each) => each.id === other.name && !each.reachable),
      );
    }
    noticed = Date.now();
    await pause(Math.max(began + PARTED - noticed, 0));
    healed = Date.now();
    await Promise.all([link(from, to).set("open"), link(to, from).set("open")]);
    await agreed(nodes);
  } finally {
    await load.stop();
  }
  const during = load.calls.filter((call) => call.began >= noticed && call.began < healed);
  return {
    noticed: noticed - began,
    failed: load.failed(noticed).map(({ failed }) => failed!),
    elsewhere: during.filter(({ by }) => by === third.name).length,
    seen: await sightings(nodes, began),
  };
}
