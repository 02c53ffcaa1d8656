import { ask } from "./ask.ts";
import { type NodeProcess, pause, until } from "./cluster.ts";
import { accusations, agreed, deaths, knows, sightings, withFaultNodes } from "./fault_cluster.ts";
import { OpenLoad } from "./open_load.ts";
import { Report } from "./report.ts";

/** How a node stands still: the whole process, or its event loop. */
export type Standstill = "stopped" | "blocked";

/** The longest that a node may take to be back after it went on, in ms. */
const BACK = 3000;
const PATIENCE = 1000;

/** What each standstill comes to. */
interface Found {
  readonly declared: number[];
  readonly back: number[];
  readonly called: number[];
  readonly failed: string[];
  readonly accused: string[];
  readonly died: string[];
  readonly reborn: string[];
  readonly hearsay: string[];
  readonly stale: number[];
}

/**
 * Lets one node after the other stand still, each for at least as long as it takes the others to declare it dead.
 *
 * @param pauses for how long, in ms
 */
export async function standstill(
  how: Standstill,
  { pauses, rate }: { readonly pauses: readonly number[]; readonly rate: number },
  note: (text: string) => void,
): Promise<Report> {
  const report = new Report(how === "stopped" ? "SIGSTOP, SIGCONT" : "blocked event loop");
  const all: Found = {
    declared: [],
    back: [],
    called: [],
    failed: [],
    accused: [],
    died: [],
    reborn: [],
    hearsay: [],
    stale: [],
  };
  await withFaultNodes(async (nodes) => {
    for (const [at, ms] of pauses.entries()) {
      note(`${at + 1} of ${pauses.length}, ${ms} ms`);
      await once(nodes, nodes[at % nodes.length]!, how, ms, rate, all);
    }
  });
  report.tell("standstills", pauses.map((ms) => `${ms / 1000} s`).join(", "));
  report.times("until both others declared it dead", all.declared);
  report.none("failed calls that began after that", all.failed);
  report.none("others declared dead", all.died);
  report.none("others it accused", all.accused);
  report.none("nodes back under the old incarnation", all.reborn);
  report.times("from going on to one view, under a new incarnation", all.back, BACK);
  report.times("from going on to its first call", all.called);
  report.tell("calls it began after their callers had given up, at most", Math.max(...all.stale));
  report.tell("accusations among the others", all.hearsay.length);
  return report;
}

async function once(
  nodes: readonly NodeProcess[],
  victim: NodeProcess,
  how: Standstill,
  ms: number,
  rate: number,
  all: Found,
): Promise<void> {
  const others = nodes.filter((node) => node !== victim);
  const { incarnation: old } = await knows(victim, "answers", () => true);
  const load = new OpenLoad(others.map(({ url }) => url), { rate, timeout: PATIENCE });
  const began = Date.now();
  let buried = 0;
  let resumed = 0;
  try {
    if (how === "stopped") victim.process.kill("SIGSTOP");
    else await ask("POST", `${victim.url}/block?ms=${ms}`);
    for (const other of others) {
      await knows(other, "declares it dead", ({ members }) => !members.some(({ id }) => id === victim.name));
    }
    buried = Date.now();
    all.declared.push(buried - began);
    await pause(Math.max(began + ms - Date.now(), 300));
    resumed = Date.now();
    victim.process.kill("SIGCONT");
    for (const other of others) {
      await knows(
        other,
        "sees it again",
        ({ members }) =>
          members.some(({ id, incarnation, status }) =>
            id === victim.name && incarnation > old && status === "ready"
          ),
      );
    }
    await agreed(nodes);
    all.back.push(Date.now() - resumed);
    await until(`${victim.name} has calls again`, () => load.doneBy(victim.name, resumed) > 0);
    all.called.push(Date.now() - resumed);
  } finally {
    victim.process.kill("SIGCONT");
    await load.stop();
  }
  all.failed.push(...load.failed(buried).map(({ failed }) => failed!));
  const seen = await sightings(nodes, began);
  all.died.push(...deaths(seen, [victim.name]));
  for (const { by, id } of accusations(seen)) {
    if (by === victim.name) all.accused.push(`${by} suspected ${id}`);
    else if (id !== victim.name) all.hearsay.push(`${by} suspected ${id}`);
  }
  all.stale.push(seen.filter(({ by, type }) => by === victim.name && type === "stale").length);
  all.reborn.push(
    ...seen.filter(({ at, type, id, incarnation }) =>
      at >= resumed && id === victim.name && incarnation <= old && (type === "joined" || type === "recovered")
    ).map(({ by }) => `${by} took it back`),
  );
}
