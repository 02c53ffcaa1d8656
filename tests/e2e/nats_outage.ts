import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMediator } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { nats } from "@catga/catga/nats";
import { systemRuntime } from "@catga/catga/ports";
import { type NatsServer, startNats } from "../nats/server.ts";
import { ask } from "./ask.ts";
import { mixed, type NodeProcess, pause, until, withCluster } from "./cluster.ts";
import { Told, Who } from "./nats_node.ts";
import { Report } from "./report.ts";

/** What nodes on NATS and one more of this process are given. */
export interface OnNats {
  readonly server: NatsServer;
  readonly nodes: readonly NodeProcess[];
  readonly here: Node;
  /** The file in which they write down what they heard. */
  readonly log: string;
}

/** How many calls a node makes in a second, and how long it may before it is measured, in ms. */
const CHATTER = 200;
const WARM = 10_000;
const MB = 2 ** 20;
/** How much more memory a node may take while the server is away, in bytes, and for how long after, in ms. */
const EXTRA = 64 * MB;
const AFTER = 3000;
/** How soon a loss is said, and how soon events are heard again, in ms. */
const ALARM = 5000;
const RESUMED = 10_000;

/** Stops the server for a while, with nodes that go on calling and publishing. */
export async function outage(
  { lasts }: { readonly lasts: number },
  note: (text: string) => void,
): Promise<Report> {
  const report = new Report(`the NATS server away for ${lasts / 1000} s`);
  await onNats({ CHATTER: String(CHATTER) }, async ({ server, nodes, here, log }) => {
    const warm = await most(nodes, WARM);
    const heldBefore = await held(nodes);
    note("away");
    await server.kill();
    const away = await most(nodes, lasts);
    const heldAway = await held(nodes);
    const heard = sizeOf(log);
    await server.restart();
    const since = performance.now();
    await until("events are heard again", () => sizeOf(log) > heard, 60_000);
    const events = performance.now() - since;
    const names: Set<string> = new Set();
    await until("all nodes answer again", async () => {
      const answer = await here.send(Who());
      if (answer.ok) names.add(answer.value);
      return names.size === nodes.length;
    }, 60_000);
    const calls = performance.now() - since;
    const after = await most(nodes, AFTER);
    report.none("nodes that ended", nodes.filter(({ process }) => process.gone).map(({ name }) => name));
    const heldAfter = await held(nodes);
    for (const [at, { name, runtime }] of nodes.entries()) {
      const who = `${name} on ${runtime}`;
      const more = (before: Memory, then: Memory): number => then.held - before.held;
      const extra = Math.max(...[heldAway, heldAfter].map((then) => more(heldBefore[at]!, then[at]!)));
      const found = `${inMb(heldBefore[at]!.held)}, and ${inMb(extra)} more`;
      report.promise(`held by ${who}, without garbage`, found, "64 MB more at most", extra <= EXTRA);
      const peak = Math.max(away[at]!, after[at]!) - warm[at]!;
      const left = heldAfter[at]!.bytes - heldBefore[at]!.bytes;
      report.tell(
        `memory of ${who}`,
        `${inMb(warm[at]!)}, ${inMb(peak)} more at most, ${inMb(left)} more afterwards without garbage`,
      );
    }
    report.times("events heard again in", [events]);
    report.times("all nodes answer again in", [calls]);
  });
  return report;
}

/** Kills the server and begins it again without its files. */
export async function storageLost(
  { rounds }: { readonly rounds: number },
  note: (text: string) => void,
): Promise<Report> {
  const report = new Report(`the files of the NATS server lost ${rounds} times`);
  const alarms: number[] = [];
  const resumed: number[] = [];
  await onNats({}, async ({ server, nodes, here, log }) => {
    let ended = false;
    const publishing = (async () => {
      for (let n = 0; !ended; n++) {
        await here.publish(Told({ n }));
        await pause(10);
      }
    })();
    for (let round = 0; round < rounds; round++) {
      note(`${round} of ${rounds}`);
      await until("events are heard", () => sizeOf(log) > 0);
      await pause(2000);
      const said = alarmsOf(nodes);
      await server.restart({ loseFiles: true });
      const [since, heard] = [performance.now(), sizeOf(log)];
      const alarm = until("the loss is said", () => alarmsOf(nodes) > said, 60_000)
        .then(() => void alarms.push(performance.now() - since));
      await until("events are heard again", () => sizeOf(log) > heard, 60_000);
      resumed.push(performance.now() - since);
      await alarm;
    }
    ended = true;
    await publishing;
    report.none("nodes that ended", nodes.filter(({ process }) => process.gone).map(({ name }) => name));
  });
  report.times("the loss of the queue is said in", alarms, ALARM);
  report.times("events heard again in", resumed, RESUMED);
  return report;
}

/** Starts a server, three nodes on it and one in this process, and ends them when `use` is done. */
export async function onNats(
  env: Readonly<Record<string, string>>,
  use: (parts: OnNats) => Promise<void>,
  skews: readonly number[] = [],
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "catga-"));
  const log = join(folder, "heard.log");
  const server = await startNats();
  try {
    const setup = {
      file: "tests/e2e/nats_node.ts",
      env: (at: number) => ({ ...env, NATS: server.ws, LOG: log, SKEW: String(skews[at] ?? 0) }),
    };
    await withCluster(await mixed(), async (nodes) => {
      const runtime = systemRuntime({ log: () => {} });
      await using backend = await nats(server.ws, { runtime });
      const mediator = createMediator({ handlers: [], runtime });
      const here = await joinCluster(mediator, { node: "here", endpoint: "here", backend, timing: "fast" });
      await use({ server, nodes, here, log });
      await here.leave();
    }, setup);
  } finally {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  }
}

const sizeOf = (file: string): number => existsSync(file) ? statSync(file).size : 0;

function alarmsOf(nodes: readonly NodeProcess[]): number {
  return nodes.flatMap(({ process }) => process.lines).filter((line) => line === "error: nats.queue_lost")
    .length;
}

interface Memory {
  /** What the process takes up, garbage included. */
  readonly bytes: number;
  /** What its program has. */
  readonly held: number;
}

/** What each node has when its garbage was collected. */
function held(nodes: readonly NodeProcess[]): Promise<readonly Memory[]> {
  return Promise.all(
    nodes.map(async ({ url }) => (await ask("GET", `${url}/memory?settled`)).body as Memory),
  );
}

const inMb = (bytes: number): string => `${Math.round(bytes / MB)} MB`;

/** The most memory that each node took up in that time, in bytes. */
async function most(nodes: readonly NodeProcess[], ms: number): Promise<readonly number[]> {
  const found = nodes.map(() => 0);
  for (const end = performance.now() + ms; performance.now() < end; await pause(500)) {
    for (const [at, { url }] of nodes.entries()) {
      const { status, body } = await ask("GET", `${url}/memory`);
      if (status === 200) found[at] = Math.max(found[at]!, (body as Memory).bytes);
    }
  }
  return found;
}
