import { seededRandom } from "@catga/catga/testing";
import { allOnline, type NodeProcess, pause, startAgain } from "./cluster.ts";
import { agreed, deaths, knows, type Sighting, sightings, withFaultNodes } from "./fault_cluster.ts";
import type { NodeState } from "./fault_node.ts";
import { OpenLoad } from "./open_load.ts";
import { Report } from "./report.ts";

/** Failed calls that each node may have for a kill besides the calls in flight on the killed one. */
const EACH = 5;

/** Kills nodes under load and starts them again. */
export async function kills(
  { count, rate, seed }: { readonly count: number; readonly rate: number; readonly seed: number },
  note: (text: string) => void,
): Promise<Report> {
  const report = new Report("SIGKILL");
  const random = seededRandom(seed);
  const tooMany: string[] = [];
  const untyped: string[] = [];
  const failures: number[] = [];
  const flights: number[] = [];
  const lasts: number[] = [];
  const returns: number[] = [];
  const leaders: number[] = [];
  const died: string[] = [];
  await withFaultNodes(async (nodes) => {
    const load = new OpenLoad(nodes.map(({ url }) => url), { rate, takes: 100 });
    try {
      for (let kill = 1; kill <= count; kill++) {
        note(`kill ${kill} of ${count}, ${load.failed().length} calls failed`);
        const victim = random.pick(nodes);
        const others = nodes.filter((node) => node !== victim);
        await pause(random.between(300, 800));
        const inside = await Promise.all(others.map((node) => knows(node, "answers", () => true)));
        const flying = inside.reduce((sum, { inFlight }) => sum + (inFlight[victim.name] ?? 0), 0) +
          load.inFlight(victim.url);
        const known = load.calls.length;
        const killed = Date.now();
        victim.process.kill("SIGKILL");
        await victim.process.ended;
        if (inside.every(({ leader }) => leader === victim.name)) {
          await Promise.all(others.map((node) => knows(node, "has another leader", ledByAnother(victim))));
          leaders.push(Date.now() - killed);
        }
        await allOnline(others);
        await pause(300);
        const failed = load.calls.slice(known).filter(({ failed }) => failed !== undefined);
        failures.push(failed.length);
        flights.push(flying);
        lasts.push(Math.max(0, ...failed.map(({ began }) => began - killed)));
        if (failed.length > flying + EACH * others.length) {
          tooMany.push(`${failed.length} failed with ${flying} in flight on ${victim.name}`);
        }
        untyped.push(
          ...failed.filter(({ url, failed }) => url !== victim.url && failed !== "TRANSPORT").map((
            { failed },
          ) => failed!),
        );
        const seen: readonly Sighting[] = await sightings(others, killed);
        died.push(...deaths(seen, [victim.name]));
        const started = Date.now();
        await startAgain(victim);
        await allOnline(nodes);
        await agreed(nodes);
        returns.push(Date.now() - started);
      }
    } finally {
      await load.stop();
    }
    const all = failures.reduce((sum, each) => sum + each, 0);
    report.tell("kills", `${count}, seed ${seed}`);
    report.tell("calls", load.calls.length);
    const found = load.failed().length;
    report.promise("failed calls", found, "by kills alone, and some", found > 0 && found === all);
  });
  report.tell("failed for a kill, at most", `${Math.max(...failures)} (in flight ${Math.max(...flights)})`);
  report.none(`kills with more failures than calls in flight and ${EACH} a caller`, tooMany);
  report.none("failures other than TRANSPORT through the others", untyped);
  report.none("others declared dead", died);
  report.times("from a kill to the begin of the last call that failed", lasts, 1000);
  if (leaders.length > 0) report.times("from a leader's death to the next on both others", leaders);
  report.times("start to one view", returns);
  return report;
}

function ledByAnother({ name }: NodeProcess): (state: NodeState) => boolean {
  return ({ leader }) => leader !== undefined && leader !== name;
}
