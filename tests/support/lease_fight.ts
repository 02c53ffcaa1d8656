/** Processes that fight for one lock, and are killed and stopped while they have it. */

import { expect } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { seededRandom } from "../../src/testing/random.ts";
import { TTL } from "./lease_fighter.ts";

/** How long a process stands still at least, and how much longer at most, in ms: often for longer than a lease. */
const SHORTEST = 0.4 * TTL;
const SPREAD = 1.6 * TTL;
const FAULTS = 20;
/** How long a part of the leases may take, in ms. */
const PATIENCE = 20_000;

export interface LeaseFight {
  /** The file that a process runs: it ends in `fightOn`. Its last argument is a name of its own. */
  readonly worker: URL;
  readonly args: readonly string[];
  /** How many leases there are to be. */
  readonly leases: number;
}

/** Lets two processes fight, and expects that no two effects overlap. */
export async function fightForLock({ worker, args, leases }: LeaseFight): Promise<void> {
  const random = seededRandom(5);
  const children = new Set<ChildProcess>();
  const holders = new Map<number, ChildProcess>();
  const told = { counter: 0, highest: 0, late: 0, faults: 0, beside: 0, wrong: [] as string[] };
  /** Who works under the lock, unless it was ended or stopped. */
  let working: ChildProcess | undefined;

  /** What the lock guards: it takes no token below the highest it has seen. */
  function answer(child: ChildProcess, line: string): void {
    const [what, text, value] = line.split(" ");
    const token = Number(text);
    if (what === "read" && working !== undefined) told.beside++;
    working = undefined;
    if (token < told.highest) {
      if (what === "write") told.late++;
      return void child.stdin!.write("refused\n");
    }
    told.highest = token;
    if (what === "write") {
      if (Number(value) !== told.counter + 1 || holders.get(token) !== child) told.wrong.push(line);
      told.counter = Number(value);
    } else if (holders.set(token, child).size % (leases / FAULTS) === 0) disturb(child);
    else working = child;
    child.stdin!.write(`${told.counter}\n`);
  }

  /** Ends who holds the lock in the middle of its work, or lets it stand still. */
  function disturb(child: ChildProcess): void {
    told.faults++;
    if (random.chance(0.4)) {
      child.kill("SIGKILL");
      children.delete(child);
      run(`after ${told.faults}`);
    } else {
      // On Deno a child process takes one signal by its own method.
      process.kill(child.pid!, "SIGSTOP");
      const pause = SHORTEST + random.below(SPREAD);
      void sleep(pause).then(() => process.kill(child.pid!, "SIGCONT")).catch(() => {});
    }
  }

  function run(name: string): void {
    const loaders = process.execArgv.filter((arg, at, all) =>
      arg.startsWith("--import") || all[at - 1] === "--import"
    );
    const flags = "Deno" in globalThis ? ["run", "-A", "--no-check"] : loaders;
    const child = spawn(process.execPath, [...flags, fileURLToPath(worker), ...args, name], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    children.add(child);
    child.stdin!.on("error", () => {});
    createInterface({ input: child.stdout! }).on("line", (line: string) => answer(child, line));
  }

  try {
    for (const name of ["a", "b"]) run(name);
    for (let part = 1; part <= FAULTS; part++) {
      const reached = part * leases / FAULTS;
      for (let waited = 0; holders.size < reached; waited += 10) {
        if (waited > PATIENCE) throw new Error(`${holders.size} of ${leases} leases were had`);
        await sleep(10);
      }
    }
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
  expect(told.wrong).toEqual([]);
  // A lease may pass while its holder waits for the machine, but not often.
  expect(told.beside).toBeLessThanOrEqual(leases / 25);
  expect(told.faults).toBeGreaterThanOrEqual(FAULTS);
  // Some came back when another had the lock, and were refused.
  expect(told.late).toBeGreaterThan(0);
  expect(new Set(holders.values()).size).toBeGreaterThan(5);
}
