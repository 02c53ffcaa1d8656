import { agreed, deaths, type Sighting, sightings, withFaultNodes } from "./fault_cluster.ts";
import { allOnline, type End, pause, startAgain } from "./cluster.ts";
import { OpenLoad } from "./open_load.ts";
import { median, Report } from "./report.ts";

/** The longest that a node may take to end, in ms. */
const EXIT = 10_000;

/** Asks one node after the other to end and starts it again, under load. */
export async function rolling(
  { rounds, rate }: { readonly rounds: number; readonly rate: number },
  note: (text: string) => void,
): Promise<Report> {
  const report = new Report("rolling restarts");
  const exits: number[] = [];
  const returns: number[] = [];
  const ends: End[] = [];
  const seen: Sighting[] = [];
  await withFaultNodes(async (nodes) => {
    const load = new OpenLoad(nodes.map(({ url }) => url), { rate });
    const began = Date.now();
    let elapsed = 0;
    try {
      for (let round = 1; round <= rounds; round++) {
        for (const node of nodes) {
          note(`round ${round} of ${rounds}, ${load.calls.length} calls, ${load.failed().length} failed`);
          await pause(300);
          // What it saw goes with it.
          seen.push(...await sightings([node], 0));
          const asked = Date.now();
          node.process.kill("SIGTERM");
          ends.push(await node.process.ended);
          exits.push(Date.now() - asked);
          const started = Date.now();
          await startAgain(node);
          await allOnline(nodes);
          returns.push(Date.now() - started);
        }
      }
      await agreed(nodes);
      await pause(300);
    } finally {
      elapsed = Date.now() - began;
      await load.stop();
    }
    seen.push(...await sightings(nodes, 0));
    const took = load.calls.map(({ began, ended }) => ended - began);
    report.tell("calls", `${load.calls.length}, ${Math.round(load.calls.length * 1000 / elapsed)} a second`);
    report.times("a call", [median(took)]);
    report.none("failed calls", load.failed().map(({ url, failed }) => `${url}: ${failed}`));
    report.none(
      "ends other than with code 0",
      ends.filter(({ code }) => code !== 0).map(({ code, signal }) => `${signal ?? code}`),
    );
    report.none("nodes declared dead", deaths(seen, []));
    report.times("SIGTERM to the end", exits, EXIT);
    report.times("start to all online", returns);
    report.promise(
      "restarts of a node that had calls",
      nodes.map(({ name }) => load.doneBy(name)).join(", "),
      "each has some",
      nodes.every(({ name }) => load.doneBy(name) > 0),
    );
  });
  return report;
}
