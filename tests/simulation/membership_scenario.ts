/** Nodes that do nothing but know each other, while things go wrong; then everything heals, and all views are one. */

import { createMediator, handle, query, type } from "@catga/catga";
import {
  type ClusterEvent,
  type ClusterView,
  joinCluster,
  type Node,
  type Timing,
} from "@catga/catga/cluster";
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
import type { Mutant } from "./mutants.ts";

const Ask = query("ask", { input: type<void>(), output: type<void>() });

/** How long things go wrong, and how long after that the views may differ, in ms. */
const FAULTS = 8000;
const HEALED = 2000;

export interface MembershipOptions {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  /** What may go wrong. @default FAULT_KINDS */
  readonly kinds?: readonly FaultKind[];
  /** Breaks a rule on purpose. */
  readonly mutant?: Mutant | undefined;
}

/** Kinds of faults that keep nobody from hearing or answering. */
const HARMLESS: readonly string[] = ["jump", "drift"];

/**
 * Rejects with a `SimulationError` when the views are not one in time, or one goes back, or somebody is accused
 * though nothing went wrong but clocks.
 */
export function runMembership(options: MembershipOptions): Promise<FaultPlan> {
  const { seed, drain, kinds = FAULT_KINDS, mutant } = options;
  const replay = (seed: number): string => `SEED=${seed} bun test tests/simulation/membership.test.ts`;
  const world = {
    seed,
    replay,
    skew: 3_600_000,
    drift: 0.01,
    lateness: 4,
    ...(drain === undefined ? {} : { drain }),
  };
  return simulate(world, async (simulation) => {
    const names = ["a", "b", "c", "d", "e", "f", "g"].slice(0, simulation.random.between(3, 8) | 0);
    const village = new Village(simulation, { latency: [0.2, 5] }, "fast", mutant);
    for (const name of names) village.start(name);
    const plan = injectFaults(simulation, {
      network: village.network,
      nodes: names,
      ms: FAULTS,
      restart: (name) => village.start(name),
      kinds,
    });
    village.innocent = Object.keys(plan).every((kind) => HARMLESS.includes(kind));
    await village.run(FAULTS);
    if (!await village.until(() => village.agreed(names), HEALED)) {
      throw new Error(`no agreement ${HEALED} ms after the last fault: ${village.shown()}`);
    }
    return plan;
  });
}

/** Nodes of one simulation, and what their views said. */
export class Village {
  readonly network: SimulatedNetwork;
  readonly nodes: Map<string, Node> = new Map();
  readonly events: (readonly [node: string, event: ClusterEvent])[] = [];
  /** Whether nobody has a reason to accuse anybody. */
  innocent: boolean = false;
  readonly #simulation: Simulation;
  readonly #mutant: Mutant | undefined;
  readonly #timing: Timing | "fast" | "default" | "relaxed";
  readonly #views: Map<string, ClusterView> = new Map();
  #broken: string | undefined;

  constructor(
    simulation: Simulation,
    conditions: { readonly latency: readonly [number, number]; readonly loss?: number },
    timing: Timing | "fast" | "default" | "relaxed",
    mutant?: Mutant,
  ) {
    this.#simulation = simulation;
    this.#timing = timing;
    this.#mutant = mutant;
    this.network = simulation.network(conditions);
  }

  start(name: string): void {
    const runtime = this.#simulation.runtime(name);
    const app = createMediator({ handlers: [handle(Ask, () => {})], runtime });
    const backend = this.#mutant?.(this.network.backend) ?? this.network.backend;
    this.nodes.delete(name);
    this.#views.delete(name);
    void joinCluster(app, { node: name, endpoint: `sim:${name}`, backend, timing: this.#timing }).then(
      (node) => {
        this.nodes.set(name, node);
        void this.#watch(name, node);
      },
    );
  }

  /** Whether all nodes see all, ready, with one digest. */
  agreed(names: readonly string[]): boolean {
    const views = names.map((name) => this.#views.get(name));
    return views.every((view, at) =>
      view !== undefined && view.digest === views[0]!.digest && view.members.length === names.length &&
      this.nodes.get(names[at]!)!.members().every(({ status, reachable, suspected }) =>
        status === "ready" && reachable && !suspected
      )
    );
  }

  shown(): string {
    return [...this.nodes].map(([name, node]) =>
      `${name}: ${
        node.members().map(({ id, status, reachable, suspected }) =>
          `${id} ${suspected ? "suspected" : reachable ? status : "unreachable"}`
        ).join(", ")
      } (${this.#views.get(name)?.digest})`
    ).join("; ");
  }

  async run(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  async until(condition: () => boolean, ms: number): Promise<boolean> {
    const held = await this.#simulation.until(() => this.#broken !== undefined || condition(), ms);
    if (this.#broken !== undefined) throw new Error(this.#broken);
    return held;
  }

  async #watch(name: string, node: Node): Promise<void> {
    for await (const view of node.watch()) {
      const before = this.#views.get(name);
      if (this.nodes.get(name) !== node) return;
      this.#views.set(name, view);
      for (const event of view.events) this.events.push([name, event]);
      const accused = view.members.find(({ suspected, reachable }) => suspected || !reachable) ??
        view.events.flatMap((event) => event.type === "faulted" ? [event.member] : [])[0];
      if (this.innocent && accused !== undefined) {
        this.#broken = `${name} accused ${accused.id}, though nothing went wrong but clocks`;
      }
      if (before !== undefined && view.version <= before.version) {
        this.#broken = `a view of ${name} went from version ${before.version} to ${view.version}`;
      }
    }
  }
}
