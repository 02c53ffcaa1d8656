import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMediator } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { records } from "@catga/catga/durable";
import { type Backend, type Storage, systemRuntime } from "@catga/catga/ports";
import { seededRandom } from "@catga/catga/testing";
import { mixed, pause, startAgain, until, withCluster } from "./cluster.ts";
import { Counted, SERVICE, Told } from "./delivery_node.ts";
import { type KeeperKind, openKeeper } from "./keeper.ts";
import { Report } from "./report.ts";

/** What {@linkcode deliveries} takes. */
export interface DeliveriesOptions {
  /** How many events of each kind. */
  readonly events: number;
  /** How often a process is killed: one that takes them, and the server that keeps them; and how often one is stopped. */
  readonly kills: number;
  readonly serverKills?: number;
  readonly stops?: number;
  /** What keeps them. @default "file" */
  readonly keeper?: KeeperKind;
  /** How long a delivery stays with a process that was killed, in ms. */
  readonly lease: number;
  readonly seed: number;
}

/** How many events are on their way to the queue at a time, and into how many counters they go. */
const FLIGHT = 128;
const COUNTERS = 64;
/** How often it is tried to publish one. */
const TRIES = 100;
/** A group that takes nothing: what it has is what the queue has stored. */
const WITNESS = "witness";
/** How long it may take after a restart of the server until the next event is heard, in ms. */
const RESUMED = 2000;

/** Publishes what three processes take, and kills those, or the server between. */
export async function deliveries(
  { events, kills, serverKills = 0, stops = 0, keeper: kind = "file", lease, seed }: DeliveriesOptions,
  note: (text: string) => void,
): Promise<Report> {
  const all = kills + serverKills + stops;
  const report = new Report(
    `${events} events of QoS 1 and of QoS 2 on ${kind}, ${kills} kills` +
      (serverKills === 0 ? "" : `, ${serverKills} of the server`) + (stops === 0 ? "" : `, ${stops} stops`),
  );
  const folder = mkdtempSync(join(tmpdir(), "catga-"));
  const LOG = join(folder, "heard.log");
  const random = seededRandom(seed);
  const keeper = await openKeeper(kind);
  const { storage } = keeper;
  const resumed: number[] = [];
  try {
    await storage.queue.subscribe(Told.type, WITNESS);
    await withCluster(await mixed(), async (nodes) => {
      const publisher = await publishing(keeper.backend);
      const began = Date.now();
      let killed = 0;
      let servers = 0;
      let stopped = 0;
      // Events flow for as long as nodes are killed, and some are left for after the last time.
      const allowed = (): number => (killed + 0.5) / all * events;
      const published = publish(publisher, events, allowed, (acknowledged) => {
        note(`${acknowledged} of ${2 * events} published, ${killed} of ${all} killed`);
      });
      const left = async (): Promise<number> => {
        const groups = [[Told.type, "log"], [Counted.type, "count"]] as const;
        const backlogs = groups.map(([topic, name]) => storage.queue.backlog(topic, `${SERVICE}/${name}`));
        return (await Promise.all(backlogs)).reduce((sum, { items }) => sum + items, 0);
      };
      while (killed < all) {
        await pause(random.between(50, 1500));
        if (random.below(all - killed) < serverKills - servers) {
          servers++;
          await keeper.killServer!();
          const since = performance.now();
          const heard = sizeOf(LOG);
          killed++;
          await until("events are heard again", () => sizeOf(LOG) > heard, 60_000);
          resumed.push(performance.now() - since);
          continue;
        }
        const victim = random.pick(nodes);
        if (stops > 0 && random.below(all - killed - serverKills + servers) < stops - stopped) {
          victim.process.kill("SIGSTOP");
          await pause(random.between(lease / 2, lease * 2));
          victim.process.kill("SIGCONT");
          stopped++;
          killed++;
          continue;
        }
        victim.process.kill("SIGKILL");
        await victim.process.ended;
        await startAgain(victim);
        killed++;
      }
      const refused = await published;
      const told = Date.now() - began;
      await until("all was heard", async () => {
        // Its server may still be away.
        const items = await left().catch(() => Infinity);
        note(`${items} left`);
        return items === 0;
      }, 600_000);
      report.tell(
        "took",
        `${Math.round((Date.now() - began) / 1000)} s, publishing ${Math.round(told / 1000)} s`,
      );
      report.none("events that were not stored", refused);
      await publisher.leave();
    }, { file: "tests/e2e/delivery_node.ts", env: () => ({ ...keeper.env, LOG, LEASE: String(lease) }) });
    if (resumed.length > 0) {
      report.times("heard again after a restart of the server in", resumed, RESUMED);
      const late = resumed.filter((ms) => ms > RESUMED).length;
      report.tell("restarts after which it took longer", `${late} of ${resumed.length}`);
    }
    await judge(report, storage, existsSync(LOG) ? readFileSync(LOG, "utf8") : "", events);
  } finally {
    await keeper[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  }
  return report;
}

const sizeOf = (file: string): number => existsSync(file) ? statSync(file).size : 0;

function publishing(backend: Backend): Promise<Node> {
  const mediator = createMediator({ handlers: [], runtime: systemRuntime({ log: () => {} }) });
  return joinCluster(mediator, { node: "publisher", endpoint: "publisher", backend });
}

/** Publishes all; answers what could not be stored. */
async function publish(
  node: Node,
  events: number,
  allowed: () => number,
  note: (acknowledged: number) => void,
): Promise<string[]> {
  const refused: string[] = [];
  let next = 0;
  let acknowledged = 0;
  const work = async (): Promise<void> => {
    while (next < events) {
      if (next >= allowed()) {
        await pause(5);
        continue;
      }
      const n = next++;
      const counter = `c${n % COUNTERS}`;
      for (const event of [Told({ n }), Counted({ n, counter })]) {
        let result = await node.publish(event, { id: `${event.type}-${n}` });
        // Its server may be killed just now; under the same id an event is kept once.
        for (let tries = 0; !result.ok && result.error.retryable && tries < TRIES; tries++) {
          await pause(100);
          result = await node.publish(event, { id: `${event.type}-${n}` });
        }
        if (!result.ok) refused.push(`${event.type} ${n}: ${result.error.code}`);
        if (++acknowledged % 1000 === 0) note(acknowledged);
      }
    }
  };
  await Promise.all(Array.from({ length: FLIGHT }, work));
  return refused;
}

async function judge(report: Report, storage: Required<Storage>, log: string, events: number): Promise<void> {
  const heard = log.split("\n").slice(0, -1).map(Number);
  const once = new Set(heard);
  const lost = Array.from({ length: events }, (_, n) => n).filter((n) => !once.has(n));
  report.none("acknowledged events of QoS 1 that nobody heard", lost.map(String));
  report.tell("heard again", heard.length - once.size);
  const { store, queue } = storage;
  const { items } = await queue.backlog(Told.type, WITNESS);
  report.promise("events of QoS 1 that were stored", items, String(events), items === events);
  const counters = records<number>("counters", { store, runtime: systemRuntime() });
  const wrong: string[] = [];
  let sum = 0;
  for (let at = 0; at < COUNTERS; at++) {
    const count = await counters.get(`c${at}`) ?? 0;
    const wanted = Math.ceil((events - at) / COUNTERS);
    sum += count;
    if (count !== wanted) wrong.push(`c${at} is ${count}, not ${wanted}`);
  }
  report.promise("effects of QoS 2", sum, String(events), sum === events);
  report.none("counters that are wrong", wrong);
  const letters = await store.list("dead-letters/");
  report.none("dead letters", letters.map(({ key }) => key));
}
