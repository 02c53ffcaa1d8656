import { seededRandom } from "@catga/catga/testing";
import { pause } from "./cluster.ts";
import { accusations, agreed, deaths, sightings, withFaultNodes } from "./fault_cluster.ts";
import { OpenLoad } from "./open_load.ts";
import { Report } from "./report.ts";

/** How long a node may be back to one view after its last stop, in ms. */
const BACK = 3000;

/** Stops one node after the other again and again for moments, as a starved machine does. */
export async function stutter(
  { runs, lasts, rate, seed }: {
    readonly runs: number;
    /** How long each run takes, in ms. */
    readonly lasts: number;
    readonly rate: number;
    readonly seed: number;
  },
  note: (text: string) => void,
): Promise<Report> {
  const report = new Report("stuttering node");
  const random = seededRandom(seed);
  const accused: string[] = [];
  const died: string[] = [];
  const back: number[] = [];
  let stops = 0;
  let own = 0;
  let hearsay = 0;
  await withFaultNodes(async (nodes) => {
    for (let run = 0; run < runs; run++) {
      note(`${run + 1} of ${runs}`);
      const victim = nodes[run % nodes.length]!;
      const load = new OpenLoad(nodes.map(({ url }) => url), { rate });
      const began = Date.now();
      let ended = 0;
      try {
        for (; Date.now() < began + lasts; stops++) {
          victim.process.kill("SIGSTOP");
          await pause(random.between(50, 600));
          victim.process.kill("SIGCONT");
          await pause(random.between(5, 150));
        }
        ended = Date.now();
        await agreed(nodes);
        back.push(Date.now() - ended);
      } finally {
        victim.process.kill("SIGCONT");
        await load.stop();
      }
      const seen = await sightings(nodes, began);
      const all = accusations(seen);
      accused.push(
        ...all.filter(({ by }) => by === victim.name).map(({ by, id }) => `${by} suspected ${id}`),
      );
      hearsay += all.filter(({ by, id }) => by !== victim.name && id !== victim.name).length;
      died.push(...deaths(seen, [victim.name]));
      own += seen.filter(({ type, id }) => type === "faulted" && id === victim.name).length;
    }
  });
  report.tell("stops", `${stops} in ${runs * lasts / 1000} s, seed ${seed}`);
  report.none("others declared dead", died);
  report.none("others it accused", accused);
  report.tell("times another node declared it dead", own);
  report.tell("accusations among the others", hearsay);
  report.times("from the last stop to one view", back, BACK);
  return report;
}
