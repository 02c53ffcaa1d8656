/**
 * Nodes that schedule messages and call them off, over a store that loses, delays and forgets to answer, while nodes
 * crash, stand still and their clocks jump; then everything heals, and each message must have come.
 */

import { type CatgaError, reliableEvent, type } from "@catga/catga";
import { type Schedules, startScheduler } from "@catga/catga/durable";
import type { Runtime, Store } from "@catga/catga/ports";
import {
  type Drain,
  injectFaults,
  type SeededRandom,
  simulate,
  type SimulatedStore,
  simulatedStore,
  type Simulation,
} from "@catga/catga/testing";
import { sleep } from "../../src/internal/sleep.ts";

const FAULTS = 150_000;
const HEALED = 20_000;
const CALM = 190_000;
const MINUTE = 60_000;

const Rung = reliableEvent("rung", { data: type<string>() });

/** A rule broken on purpose. */
export interface ScheduleMutant {
  readonly store: (store: Store) => Partial<Store>;
}

export interface ScheduleScenario {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  readonly mutant?: ScheduleMutant;
}

/** What came to pass, to show that something did. */
export interface ScheduleOutcome {
  readonly outcomes: Readonly<Record<string, number>>;
  readonly hash: string;
}

/** Rejects with a `SimulationError` when a firing is lost, early, has two names or comes though it was called off. */
export function runSchedule({ seed, drain, mutant }: ScheduleScenario): Promise<ScheduleOutcome> {
  const replay = (seed: number): string => `SEED=${seed} bun test tests/simulation/schedule.test.ts`;
  // Half of the seeds have clocks that are right, so that it can be seen when something comes early.
  const skew = seed % 2 === 0 ? 0 : 600_000;
  const world = { seed, replay, skew, drift: skew === 0 ? 0 : 0.0045, lateness: 5, ...(drain && { drain }) };
  return simulate(world, async (simulation) => {
    const diary = new Diary(simulation, skew === 0, mutant);
    const names = ["a", "b", "c"].slice(0, 2 + simulation.random.below(2));
    for (const name of names) diary.start(name);
    diary.disturb(names);
    await simulation.run(FAULTS);
    diary.heal();
    // Clocks are right again: what was scheduled by one that was ahead comes later.
    for (const name of names) simulation.setClock(name, { skew: 0, drift: 0 });
    await simulation.run(skew * 2 + MINUTE + HEALED);
    diary.audit();
    await diary.calm(CALM);
    diary.stop();
    await simulation.run(30_000);
    const { timers } = simulation.pending();
    if (timers > 0) throw new Error(`${timers} timers are still running`);
    return { outcomes: diary.outcomes, hash: simulation.trace.hash };
  });
}

/** What somebody knows of what he scheduled. */
interface Plan {
  readonly id: string;
  answer: string;
  cancelled: string | undefined;
}

class Diary {
  readonly outcomes: Record<string, number> = {};
  readonly #simulation: Simulation;
  readonly #isPunctual: boolean;
  readonly #store: SimulatedStore;
  readonly #mutant: ScheduleMutant | undefined;
  readonly #random: SeededRandom;
  readonly #stopped: AbortController = new AbortController();
  readonly #healed: AbortController = new AbortController();
  readonly #plans: Plan[] = [];
  /** How often each firing was delivered. */
  readonly #told: Map<string, number> = new Map();
  readonly #schedulers: Map<string, Schedules> = new Map();
  #broken: string | undefined;

  constructor(simulation: Simulation, isPunctual: boolean, mutant: ScheduleMutant | undefined) {
    this.#simulation = simulation;
    this.#isPunctual = isPunctual;
    this.#mutant = mutant;
    this.#random = simulation.random.fork("diary");
    this.#store = simulatedStore(simulation, { latency: [0.2, this.#random.between(1, 30)] });
  }

  start(name: string): void {
    const runtime = this.#simulation.runtime(name);
    const plain = this.#store.open(runtime);
    const store = changed(plain, this.#mutant?.store(plain));
    const random = this.#random.fork(`${name} ${this.#simulation.time}`);
    const { signal } = this.#stopped;
    const scheduler = startScheduler({
      store,
      runtime,
      owner: name,
      timeout: 3000,
      deliver: async (_, { id }) => {
        await sleep(runtime.clock, random.between(0, 100));
        if (!this.#healed.signal.aborted && random.chance(0.1)) throw new Error("not now");
        this.#tell(id, runtime);
      },
    });
    this.#schedulers.set(name, scheduler);
    signal.addEventListener("abort", () => void scheduler.stop(), { once: true });
    void (async () => {
      await scheduler.cron("tick", "* * * * *", Rung("tick")).catch(() => {});
      while (!this.#healed.signal.aborted) {
        await this.#plan(scheduler, runtime, random);
        await sleep(runtime.clock, random.between(0, 5000), this.#healed.signal);
      }
    })();
  }

  /** Lets things go wrong; each seed has a part of it. */
  disturb(names: readonly string[]): void {
    const simulation = this.#simulation;
    const random = this.#random.fork("faults");
    injectFaults(simulation, {
      network: simulation.network(),
      nodes: names,
      ms: FAULTS,
      restart: (name) => this.start(name),
      kinds: ["pause", "crash", "jump", "drift"],
      longest: 10_000,
    });
    const rate = (most: number): number => random.chance(0.5) ? most * random.fraction() : 0;
    this.#store.change({
      refused: rate(0.1),
      lost: rate(0.1),
      unanswered: rate(0.2),
      slow: rate(0.1),
      broken: rate(0.2),
      silence: random.chance(0.5) ? [20, 200] : [500, 3000],
    });
    for (let times = random.below(12); times > 0; times--) {
      const node = random.pick(names);
      const at = random.between(0, FAULTS);
      simulation.after(at, () => this.#store.cut(node));
      simulation.after(Math.min(at + random.between(50, 8000), FAULTS), () => this.#store.mend(node));
    }
  }

  heal(): void {
    this.#store.heal();
    this.#healed.abort();
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** What must be so in the end. */
  audit(): void {
    if (this.#broken !== undefined) throw new Error(this.#broken);
    for (const { id, answer, cancelled } of this.#plans) {
      const times = this.#told.get(id) ?? 0;
      const isCalledOff = cancelled === "true";
      this.#count(isCalledOff ? "called off" : answer);
      if (times > 1) this.#count("again", times - 1);
      // Only what was put there twice, since an answer was lost, comes and is called off.
      if (isCalledOff && times > 0) this.#count("came before it was called off");
      if (cancelled === "false" && answer === "done" && times === 0) throw new Error(`"${id}" was neither`);
      if (answer === "done" && cancelled === undefined && times === 0) throw new Error(`"${id}" never came`);
      if (answer === "UNAVAILABLE" && times > 0) throw new Error(`"${id}" came though nothing was done`);
    }
    const left = this.#store.entries().filter(({ key, value }) =>
      key.startsWith("schedules/at/") && value !== "called off"
    );
    if (left.length > 0) throw new Error(`it still keeps ${left.map(({ key }) => key).join(" ")}`);
  }

  /** Everything is well: each minute comes once, and so does what is scheduled. */
  async calm(ms: number): Promise<void> {
    const before = new Set(this.#told.keys());
    const start = this.#simulation.time;
    const [scheduler] = this.#schedulers.values();
    let id: string | undefined;
    void scheduler!.in(ms / 2, Rung("calm"), { name: "calm" }).then((scheduled) => id = scheduled.id);
    await this.#simulation.run(ms);
    const fresh = [...this.#told].filter(([id]) => !before.has(id));
    const again = fresh.find(([, times]) => times > 1);
    if (again !== undefined) throw new Error(`"${again[0]}" came ${again[1]} times though all was well`);
    const ticks = fresh.filter(([id]) => id.startsWith("tick@")).length;
    const minutes = Math.floor((start + ms) / MINUTE) - Math.floor(start / MINUTE);
    if (Math.abs(ticks - minutes) > 1) throw new Error(`${ticks} ticks came in ${minutes} minutes`);
    if (id === undefined || this.#told.get(id) !== 1) {
      throw new Error("what was scheduled in the calm did not come");
    }
  }

  async #plan(scheduler: Schedules, runtime: Runtime, random: SeededRandom): Promise<void> {
    const name = `plan-${this.#plans.length}`;
    const time = Math.floor(runtime.clock.wall() + random.between(-1000, 30_000));
    const plan: Plan = { id: `${name}@${time}`, answer: "unknown", cancelled: undefined };
    this.#plans.push(plan);
    plan.answer = await scheduler.at(time, Rung(name), { name }).then(() => "done", codeOf);
    if (!random.chance(0.4)) return;
    await sleep(runtime.clock, Math.max(time - runtime.clock.wall() + random.between(-2000, 300), 0));
    plan.cancelled = "unknown";
    plan.cancelled = await scheduler.cancel(plan.id).then(String, codeOf);
  }

  #tell(id: string, runtime: Runtime): void {
    this.#told.set(id, (this.#told.get(id) ?? 0) + 1);
    const due = Number(id.split("@")[1]);
    if (this.#isPunctual && runtime.clock.wall() < due) this.#broken ??= `"${id}" came early`;
    const called = this.#plans.find((plan) => plan.id === id);
    if (called?.cancelled === "true") this.#broken ??= `"${id}" came after it was called off`;
  }

  #count(what: string, by = 1): void {
    this.outcomes[what] = (this.outcomes[what] ?? 0) + by;
  }
}

function codeOf(error: CatgaError): string {
  return error.code;
}

/** A port, some of whose methods are others. */
function changed<T extends object>(port: T, change: Partial<T> | undefined): T {
  if (change === undefined) return port;
  return new Proxy(port, {
    get: (target, name) => {
      const own: unknown = Reflect.get(change, name, change);
      if (own !== undefined) return own;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
