import { end, type NodeProcess, pause, runtimes, start, startAgain, until } from "./cluster.ts";
import { Who } from "./nats_node.ts";
import { type OnNats, onNats } from "./nats_outage.ts";
import { freePorts } from "../support/ports.ts";
import { Report } from "./report.ts";

const HOUR = 3_600_000;
/** How far the clocks of the three nodes are off, in ms. */
const SKEWS = [0, HOUR, -HOUR];
/** How soon calls go around a node that was killed, and a late node knows all, in ms. */
const AROUND = 1000;
const KNOWN = 2000;
/** What takes longer did not go to a node that is there, in ms; and how long it is watched. */
const SLOW = 250;
const WATCHED = 4000;

/** Kills nodes on NATS under calls, with clocks hours apart, and lets late ones join. */
export async function routing(
  { rounds }: { readonly rounds: number },
  note: (text: string) => void,
): Promise<Report> {
  const report = new Report("nodes on NATS in the fast profile, with clocks an hour apart");
  const around: number[] = [];
  const known: number[] = [];
  const failed: string[] = [];
  await onNats({}, async (parts) => {
    const { nodes, here } = parts;
    const isWhole = (): boolean =>
      here.members().filter(({ status, reachable }) => status === "ready" && reachable).length === 4;
    for (let round = 0; round < rounds; round++) {
      note(`${round} of ${rounds}`);
      await until("all are known", isWhole);
      const victim = nodes[round % nodes.length]!;
      const { lasted, codes } = await killed(victim, parts);
      around.push(lasted);
      failed.push(...codes);
      await startAgain(victim);
      await until("it is back", isWhole);
      known.push(await late(victim, parts, round % 2 === 0 ? HOUR : -HOUR));
    }
  }, SKEWS);
  report.times("calls go around a node that was killed after", around, AROUND);
  report.times("a late node knows all after", known, KNOWN);
  report.tell("calls that failed with it", `${failed.length} (${[...new Set(failed)].join(", ") || "none"})`);
  return report;
}

/** Kills a node under calls: until when they still went to it, in ms after that, and how they failed. */
async function killed(
  victim: NodeProcess,
  { here }: OnNats,
): Promise<{ readonly lasted: number; readonly codes: readonly string[] }> {
  let lasted = 0;
  const codes: string[] = [];
  const calls: Promise<void>[] = [];
  victim.process.kill("SIGKILL");
  const since = performance.now();
  while (performance.now() - since < WATCHED) {
    const began = performance.now();
    calls.push(
      here.send(Who()).then((answer) => {
        if (!answer.ok) codes.push(answer.error.code);
        if (!answer.ok || performance.now() - began > SLOW) lasted = Math.max(lasted, began - since);
      }),
    );
    await pause(5);
  }
  await Promise.all(calls);
  return { lasted, codes };
}

/** Lets a node join whose clock is off, and says how long it took to know all others, in ms. */
async function late(like: NodeProcess, { nodes }: OnNats, skew: number): Promise<number> {
  const [port] = await freePorts(1);
  const env = {
    ...like.env,
    NODE_ID: "late",
    PORT: String(port),
    SKEW: String(skew),
    EXPECTED: String(nodes.length + 2),
  };
  const process = start([(await runtimes()).bun, like.file], env);
  try {
    let line: string | undefined;
    await until("a late node knows all", () => {
      line = process.lines.find((each) => each.startsWith("knows all after "));
      return line !== undefined;
    });
    return Number(/\d+/.exec(line!)![0]);
  } finally {
    await end(process);
  }
}
