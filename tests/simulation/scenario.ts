/**
 * Five nodes call each other while frames are lost, doubled and late, links are cut, nodes stand still, crash and
 * come back. Then everything heals, and everything must work again and end clean.
 */

import type { Backend } from "@catga/catga/ports";
import {
  type Drain,
  FAULT_KINDS,
  type FaultKind,
  type FaultPlan,
  injectFaults,
  simulate,
  type SimulatedNetwork,
  type Simulation,
} from "@catga/catga/testing";
import { type Name, names } from "./contracts.ts";
import { type Call, Ledger } from "./ledger.ts";
import { CALL_TIMEOUT, SimulatedNode, WORK_PAUSE } from "./simulated_node.ts";

/** How long things go wrong, in ms. */
const FAULTS = 14_000;
/** How long the nodes may take to see each other again, in ms: they are silent dead after 5 s, and then some beats. */
const RECOVERY = 12_000;
/** How long what was under way may take to end, in ms: a frame takes 6 s at most, and then its calls 4 s. */
const QUIET = 11_000;
/** How long leaving may take, in ms: 8 s for calls in flight, twice 1 s for what is said, and some. */
const LEAVING = 10_200;

export interface ScenarioOptions {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  /** Kinds of faults to leave out. */
  readonly without?: readonly FaultKind[];
  /** Breaks a rule on purpose. */
  readonly mutate?: ((backend: Backend) => Backend) | undefined;
}

export interface ScenarioReport {
  readonly hash: string;
  readonly plan: FaultPlan;
  /** Virtual time in ms. */
  readonly time: number;
  /** Entries of the trace. */
  readonly events: number;
  /** How many calls ended how. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** Rejects with a `SimulationError` when a rule is broken. */
export function runSeed(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seed, drain } = options;
  const replay = (seed: number): string => `SEED=${seed} bun test tests/simulation/cluster.test.ts`;
  const world = {
    seed,
    replay,
    skew: 3_600_000,
    drift: 0.01,
    lateness: 4,
    ...(drain === undefined ? {} : { drain }),
  };
  return simulate(world, (simulation) => new Scenario(simulation, options).run());
}

class Scenario {
  readonly #simulation: Simulation;
  readonly #options: ScenarioOptions;
  readonly #network: SimulatedNetwork;
  readonly #backend: Backend;
  readonly #ledger: Ledger = new Ledger();
  readonly #nodes: Map<Name, SimulatedNode> = new Map();
  #lives = 0;

  constructor(simulation: Simulation, options: ScenarioOptions) {
    this.#simulation = simulation;
    this.#options = options;
    this.#network = simulation.network({ latency: [0.2, simulation.random.between(1, 20)] });
    this.#backend = options.mutate?.(this.#network.backend) ?? this.#network.backend;
  }

  async run(): Promise<ScenarioReport> {
    for (const name of names) this.#start(name);
    const plan = injectFaults(this.#simulation, {
      network: this.#network,
      nodes: names,
      ms: FAULTS,
      restart: (node) => this.#start(node as Name),
      kinds: FAULT_KINDS.filter((kind) => this.#options.without?.includes(kind) !== true),
    });
    for (let times = this.#simulation.random.below(4); times > 0; times--) {
      this.#simulation.after(this.#simulation.random.between(2000, FAULTS), () => this.#replace());
    }
    await this.#run(FAULTS);
    await this.#recover();
    await this.#end();
    const { trace, time } = this.#simulation;
    return { hash: trace.hash, plan, time, events: trace.count, outcomes: this.#ledger.outcomes() };
  }

  #start(name: Name): void {
    const life = ++this.#lives;
    const random = this.#simulation.random.fork(`work ${name} ${life}`);
    const runtime = this.#simulation.runtime(name);
    const node = new SimulatedNode(name, life, runtime, this.#backend, this.#ledger, random);
    this.#nodes.set(name, node);
    node.work(() => this.#simulation.time < FAULTS);
  }

  /** Some node leaves in good order, ends its process when it has left, and comes back after a while. */
  #replace(): void {
    const simulation = this.#simulation;
    const name = simulation.random.pick(names);
    const life = this.#nodes.get(name)!;
    const pause = simulation.random.between(0, 3000);
    if (life.node === undefined || !simulation.alive(name) || simulation.paused(name)) return;
    simulation.note(`${name} leaves`);
    // It may stand still meanwhile.
    life.leave(2 * LEAVING, () => {
      if (this.#nodes.get(name) !== life || !simulation.alive(name)) return;
      simulation.crash(name);
      simulation.after(pause, () => this.#start(name));
    });
  }

  /** All nodes see all others again, calls of each kind succeed from everywhere, and nothing hangs. */
  async #recover(): Promise<void> {
    if (!await this.#until(() => this.#agreed(), RECOVERY)) {
      this.#fail(`no agreement after ${RECOVERY} ms: ${this.#views()}`);
    }
    const probes: Call[] = [...this.#nodes.values()].flatMap((node) => node.probe());
    await this.#until(() => probes.every((call) => call.results > 0), CALL_TIMEOUT);
    const failed = probes.find((call) => call.result?.ok !== true);
    if (failed !== undefined) {
      this.#fail(`${failed.name} ${failed.id} failed after all was well: ${JSON.stringify(failed.result)}`);
    }
    await this.#run(2 * WORK_PAUSE);
    if (!await this.#until(() => this.#hanging() === undefined, QUIET)) {
      this.#fail(`there hangs ${this.#hanging()}`);
    }
  }

  /** What should have come to its end by now. */
  #hanging(): string | undefined {
    const old = this.#simulation.time - CALL_TIMEOUT - 100;
    const exchange = this.#network.exchanges().find(({ since }) => since < old);
    if (exchange !== undefined) return `an exchange: ${JSON.stringify(exchange)}`;
    const busy = [...this.#nodes.values()].find(({ node }) => node!.stats().inFlight > 0);
    if (busy !== undefined) return `a call that ${busy.name} answers`;
    const open = [...this.#ledger.calls.values()].find((call) => call.results === 0 && this.#survived(call));
    return open === undefined ? undefined : `a call of ${open.caller}: ${open.name} ${open.id}`;
  }

  /** All leave, and leave nothing behind. */
  async #end(): Promise<void> {
    let left = 0;
    for (const life of this.#nodes.values()) life.leave(LEAVING, () => left++);
    if (!await this.#until(() => left === names.length, 2 * LEAVING)) {
      this.#fail(`${names.length - left} nodes cannot leave`);
    }
    await this.#run(100);
    const { timers, exchanges, background } = this.#simulation.pending();
    if (timers + exchanges + background > 0) {
      this.#fail(
        `left behind: ${timers} timers, ${exchanges} exchanges, ${background} pieces of background work`,
      );
    }
  }

  /** Whether the life that made a call is the node's last. */
  #survived(call: Call): boolean {
    return this.#nodes.get(call.caller as Name)!.made(call.id);
  }

  #agreed(): boolean {
    return this.#views().every((view) => view === this.#expected());
  }

  #expected(): string {
    return [...this.#nodes.values()].map(({ node }) => node).map((node) => `${node?.id} ready`).sort().join();
  }

  #views(): string[] {
    return [...this.#nodes.values()].map(({ node }) =>
      (node?.members() ?? []).map(({ id, status, reachable, suspected }) =>
        `${id} ${suspected ? "suspected" : reachable ? status : "unreachable"}`
      ).join()
    );
  }

  async #run(ms: number): Promise<void> {
    await this.#until(() => false, ms);
  }

  async #until(condition: () => boolean, ms: number): Promise<boolean> {
    const { broken } = this.#ledger;
    const held = await this.#simulation.until(() => broken.length > 0 || condition(), ms);
    if (broken.length > 0) this.#fail(broken[0]!);
    return held;
  }

  #fail(message: string): never {
    throw new Error(message);
  }
}
