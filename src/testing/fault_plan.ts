import type { SimulatedNetwork } from "./network_types.ts";
import type { SeededRandom } from "./random.ts";
import type { Simulation } from "./simulation_types.ts";

/**
 * What can go wrong: frames lost, doubled, out of order or very late; a link that is slow for a while, cut in one
 * direction, or a node cut off in both; a node that stands still or crashes; a wall clock that jumps, clocks that go
 * at another pace.
 */
export type FaultKind =
  | "loss"
  | "duplicate"
  | "reorder"
  | "slow"
  | "lag"
  | "cut"
  | "isolate"
  | "pause"
  | "crash"
  | "jump"
  | "drift";

/** Every {@linkcode FaultKind}. */
export const FAULT_KINDS: readonly FaultKind[] = [
  "loss",
  "duplicate",
  "reorder",
  "slow",
  "lag",
  "cut",
  "isolate",
  "pause",
  "crash",
  "jump",
  "drift",
];

/** What {@linkcode injectFaults} takes. */
export interface FaultOptions {
  /** The network that frames are lost on. */
  readonly network: SimulatedNetwork;
  /** The nodes that things may happen to. */
  readonly nodes: readonly string[];
  /**
   * How long things go wrong, in ms from now. Then everything heals: links, nodes that stand still or are down. Clocks
   * stay as they are then.
   */
  readonly ms: number;
  /** Begins a node's new life after a crash: calls `restart` and joins again. Without it, no node crashes. */
  readonly restart?: (node: string) => void;
  /**
   * What may go wrong; each seed has a part of it. Clocks jump and drift within the `skew` and `drift` of the
   * simulation's options. @default FAULT_KINDS
   */
  readonly kinds?: readonly FaultKind[];
  /** How long a cut, a pause or a crash lasts at most, in ms. @default a third of `ms` */
  readonly longest?: number;
}

/** What goes wrong with this seed: how often a frame meets it, or how many times it happens on average. */
export type FaultPlan = Readonly<Partial<Record<FaultKind, number>>>;

/** The highest rates of frames that meet something. */
const RATES = { loss: 0.1, duplicate: 0.2, reorder: 0.3, slow: 0.02 } as const;
/** How many times at most something happens, on average. */
const TIMES = { lag: 8, cut: 10, isolate: 4, pause: 6, crash: 6, jump: 8, drift: 8 } as const;

/**
 * Plans faults in the way of swarm testing: the seed picks which kinds occur and how often, so that some runs have
 * all of them and others many of one kind.
 *
 * @example
 * ```ts
 * import { createSimulation, injectFaults } from "@catga/catga/testing";
 * const simulation = createSimulation({ seed: 3 });
 * const network = simulation.network();
 * for (const node of ["a", "b", "c"]) simulation.runtime(node);
 * const plan = injectFaults(simulation, { network, nodes: ["a", "b", "c"], ms: 10_000 });
 * await simulation.run(10_000);
 * console.log(plan, network.stats);
 * ```
 */
export function injectFaults(simulation: Simulation, options: FaultOptions): FaultPlan {
  const { network, nodes, ms, restart, kinds = FAULT_KINDS, longest = ms / 3 } = options;
  const random = simulation.random.fork("faults");
  const nemesis = new Nemesis(simulation, network, nodes, restart, random);
  const can = canGoWrong(simulation, restart);
  const plan: { [K in FaultKind]?: number } = {};
  // Every kind draws its numbers in any case: leaving one out changes nothing about the others.
  for (const kind of FAULT_KINDS) {
    const enabled = random.chance(0.5) && kinds.includes(kind) && can(kind);
    const part = random.fraction();
    const times = random.fork(kind);
    if (!enabled) continue;
    if (isRate(kind)) {
      plan[kind] = part * RATES[kind];
      network.change({ [kind]: plan[kind] });
      continue;
    }
    plan[kind] = 1 + part * (TIMES[kind] - 1);
    const pause = ms / plan[kind];
    for (let at = pause * times.fraction(); at < ms; at += 2 * pause * times.fraction()) {
      const lasts = Math.min(50 + longest * times.fraction() * times.fraction(), ms - at);
      simulation.after(at, () => nemesis.strike(kind, lasts));
    }
  }
  simulation.note(`faults ${JSON.stringify(plan)}`);
  simulation.after(ms, () => nemesis.heal());
  return plan;
}

/** Which kinds are possible at all here. */
function canGoWrong(
  { bounds }: Simulation,
  restart: ((node: string) => void) | undefined,
): (kind: FaultKind) => boolean {
  const never: Partial<Record<FaultKind, boolean>> = {
    crash: restart === undefined,
    jump: bounds.skew === 0,
    drift: bounds.drift === 0,
  };
  return (kind) => never[kind] !== true;
}

function isRate(kind: FaultKind): kind is keyof typeof RATES {
  return kind in RATES;
}

/** Does what the plan says, as far as the nodes let it. */
class Nemesis {
  readonly #simulation: Simulation;
  readonly #network: SimulatedNetwork;
  readonly #nodes: readonly string[];
  readonly #restart: ((node: string) => void) | undefined;
  readonly #random: SeededRandom;
  readonly #clockRandom: SeededRandom;
  readonly #down: Set<string> = new Set();

  constructor(
    simulation: Simulation,
    network: SimulatedNetwork,
    nodes: readonly string[],
    restart: ((node: string) => void) | undefined,
    random: SeededRandom,
  ) {
    this.#simulation = simulation;
    this.#network = network;
    this.#nodes = nodes;
    this.#restart = restart;
    this.#random = random.fork("targets");
    this.#clockRandom = random.fork("clocks");
  }

  strike(kind: Exclude<FaultKind, keyof typeof RATES>, lasts: number): void {
    if (kind === "jump" || kind === "drift") return this.#setClock(kind);
    const node = this.#random.pick(this.#nodes);
    const other = this.#random.pick(this.#nodes);
    const delay = this.#random.between(20, 2000);
    const others = this.#nodes.filter((each) => each !== node);
    if (kind === "lag") this.#network.change({ latency: [delay / 2, delay] }, node, other);
    if (kind === "cut") this.#cutFor(lasts, [[node, other]]);
    if (kind === "isolate") {
      this.#cutFor(
        lasts,
        others.flatMap((each) => [[node, each], [each, node]] as const),
      );
    }
    if (!this.#simulation.alive(node)) return;
    if (kind === "pause" && !this.#simulation.paused(node)) {
      this.#simulation.pause(node);
      this.#simulation.after(lasts, () => this.#resume(node));
    }
    if (kind === "crash") {
      this.#simulation.crash(node);
      this.#down.add(node);
      this.#simulation.after(lasts, () => this.#raise(node));
    }
  }

  heal(): void {
    this.#network.heal();
    for (const node of this.#nodes) this.#resume(node);
    for (const node of [...this.#down]) this.#raise(node);
  }

  #setClock(kind: "jump" | "drift"): void {
    const node = this.#clockRandom.pick(this.#nodes);
    const part = this.#clockRandom.between(-1, 1);
    const { skew, drift } = this.#simulation.bounds;
    this.#simulation.setClock(
      node,
      kind === "jump" ? { skew: Math.round(part * skew) } : { drift: part * drift },
    );
  }

  #cutFor(lasts: number, links: readonly (readonly [from: string, to: string])[]): void {
    for (const [from, to] of links) this.#network.cut(from, to);
    this.#simulation.after(lasts, () => links.forEach(([from, to]) => this.#network.mend(from, to)));
  }

  #resume(node: string): void {
    if (this.#simulation.paused(node)) this.#simulation.resume(node);
  }

  #raise(node: string): void {
    if (this.#down.delete(node)) this.#restart!(node);
  }
}
