/** Producers and consumers of one Redis, killed and stopped at random: what was acknowledged is there, once and in order. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { records } from "@catga/catga/durable";
import { redis } from "@catga/catga/redis";
import { seededRandom } from "@catga/catga/testing";
import { Report } from "../e2e/report.ts";
import { type Effect, EFFECTS, GROUP, TOPIC } from "./queue_worker.ts";
import { openStand, quiet, sleep, TOKEN } from "./support.ts";

/** What {@linkcode queueKills} takes. */
export interface QueueKillsOptions {
  /** How often a process is killed or stopped, and how often Redis is killed. */
  readonly faults: number;
  readonly serverKills?: number;
  readonly producers: number;
  readonly consumers: number;
  readonly seed: number;
}

type Role = "produce" | "consume";

/** By how much the journal grows between two faults, in bytes: some 30 items are pushed or handled. */
const PROGRESS = 500;

const worker = fileURLToPath(new URL("./queue_worker.ts", import.meta.url));

export async function queueKills(
  { faults, serverKills = 0, producers, consumers, seed }: QueueKillsOptions,
  note: (text: string) => void,
): Promise<Report> {
  const report = new Report(
    `${producers} producers and ${consumers} consumers on Redis, ${faults} killed or stopped` +
      (serverKills === 0 ? "" : `, ${serverKills} kills of Redis`),
  );
  const random = seededRandom(seed);
  const folder = mkdtempSync(join(tmpdir(), "catga-redis-queue-"));
  const journal = join(folder, "journal");
  writeFileSync(journal, "");
  const stand = await openStand();
  const runtime = quiet();
  const storage = redis({ url: stand.url, token: TOKEN }, { runtime, polling: "fast" });
  const living = new Map<ChildProcess, Role>();
  const names = { produce: 0, consume: 0 };
  const begin = (role: Role): Promise<void> => {
    const child = run(stand.url, journal, role, `${role[0]}${names[role]++}`);
    living.set(child, role);
    return new Promise((resolve) => child.stdout!.once("data", () => resolve()));
  };
  const kill = (child: ChildProcess): void => {
    living.delete(child);
    child.kill("SIGKILL");
  };
  try {
    await storage.queue.subscribe(TOPIC, GROUP);
    const roles = [...Array(producers).fill("produce"), ...Array(consumers).fill("consume")] as Role[];
    await Promise.all(roles.map(begin));
    const began = Date.now();
    const counts = { killed: 0, stopped: 0, servers: 0 };
    for (let done = 0; done < faults; done++) {
      const before = statSync(journal).size;
      while (statSync(journal).size < before + PROGRESS) await sleep(10);
      await sleep(random.between(0, 100));
      if (random.below(faults - done) < serverKills - counts.servers) {
        counts.servers++;
        await stand.server.restart();
      }
      const [child, role] = random.pick([...living]);
      if (random.chance(0.6)) {
        kill(child);
        counts.killed++;
        void begin(role);
      } else {
        counts.stopped++;
        process.kill(child.pid!, "SIGSTOP");
        // Often for longer than a lease.
        const resume = (): boolean => living.has(child) && process.kill(child.pid!, "SIGCONT");
        void sleep(random.between(200, 1800)).then(resume);
      }
      note(`${done + 1} of ${faults} faults`);
    }
    for (const [child, role] of [...living]) if (role === "produce") kill(child);
    for (const child of living.keys()) process.kill(child.pid!, "SIGCONT");
    const left = async (): Promise<number> => (await storage.queue.backlog(TOPIC, GROUP)).items;
    for (let looks = 0; looks < 3000 && await left().catch(() => 1) > 0; looks++) await sleep(20);
    const lines = readFileSync(journal, "utf8").split("\n");
    const told = (what: string): Set<string> =>
      new Set(lines.filter((line) => line.startsWith(what)).map((line) => line.slice(what.length)));
    const [pushed, ended] = [told("pushed "), told("end ")];
    report.tell("took", `${((Date.now() - began) / 1000).toFixed(1)} s, seed ${seed}`);
    report.tell("killed, stopped", `${counts.killed}, ${counts.stopped}`);
    const enough = pushed.size > 10 * faults;
    report.promise("acknowledged items", pushed.size, `more than ${10 * faults}`, enough);
    report.promise("items left", await left(), "0", await left() === 0);
    report.none("acknowledged items that nobody handled", [...pushed].filter((id) => !ended.has(id)));
    report.tell("handled again", lines.filter((line) => line.startsWith("end ")).length - ended.size);
    const effects = records<Effect>(EFFECTS, { store: storage.store, runtime });
    const byKey = Map.groupBy(ended, (id) => `${id.split("/")[0]}/${Number(id.split("/")[1]) % 4}`);
    const inexact: string[] = [];
    const disordered: string[] = [];
    for (const [key, ids] of byKey) {
      const { count, wrong } = await effects.get(key) ?? { count: 0, wrong: [] };
      if (count !== ids.length) inexact.push(`${key} has ${count} of ${ids.length}`);
      disordered.push(...wrong);
    }
    report.promise("keys", byKey.size, "more than 4", byKey.size > 4);
    report.none("keys whose effects are not exact", inexact);
    report.none("items that came before a smaller one of their key", disordered);
  } finally {
    for (const child of living.keys()) kill(child);
    await storage[Symbol.asyncDispose]();
    await stand[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
  return report;
}

function run(...args: readonly string[]): ChildProcess {
  const loaders = process.execArgv.filter((arg, at, all) =>
    arg.startsWith("--import") || all[at - 1] === "--import"
  );
  const flags = "Deno" in globalThis ? ["run", "-A", "--no-check"] : loaders;
  return spawn(process.execPath, [...flags, worker, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}
