import type { FetchInit, FetchReply, LogEntry, Runtime } from "../ports/runtime.ts";
import { createDrain, type Drain } from "./drain.ts";
import { Life, SimulatedHost } from "./life.ts";
import type { NetworkOptions, SimulatedNetwork } from "./network_types.ts";
import { type SeededRandom, seededRandom } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import { simulatedRuntime } from "./simulated_runtime.ts";
import { Network } from "./simulated_network.ts";
import { type Trace, TraceRecorder } from "./trace.ts";

/** What {@linkcode createSimulation} takes. */
export interface SimulationOptions {
  /** Decides everything that is left to chance: a whole number up to 2^53. */
  readonly seed: number;
  /** What a wall clock without skew shows at the beginning, in ms since 1970. @default 1767225600000 (2026) */
  readonly start?: number;
  /** How far wall clocks are off at most, in ms, each node's by a random part of it. @default 0 */
  readonly skew?: number;
  /** How fast or slow clocks go at most, each node's by a random part of it; 0.001 is 1 ms a second. @default 0 */
  readonly drift?: number;
  /** How late a timer runs at most, in ms, each by a random part of it. @default 0 */
  readonly lateness?: number;
  /** Answers what nodes fetch; without it every request is refused. */
  readonly fetch?: (node: string, url: string, init: FetchInit) => Promise<FetchReply>;
  /** Takes what nodes log, beside the trace. */
  readonly log?: (node: string, entry: LogEntry) => void;
  /** How many entries of the trace to keep; all go into its hash. @default 200 */
  readonly keep?: number;
  /** Lets microtasks run to their end after each event; Bun's `drainMicrotasks` is the fastest. */
  readonly drain?: Drain;
}

/** What is still going on in a simulation, on nodes that are alive. */
export interface Pending {
  /** Timers that have not run and were not called off. */
  readonly timers: number;
  /** Work given to `runtime.background` that has not settled. */
  readonly background: number;
  /** Exchanges over the simulated networks whose caller waits. */
  readonly exchanges: number;
}

/** A world of its own: virtual time, chance from a seed, nodes that crash and stand still, networks that lose. */
export interface Simulation {
  readonly seed: number;
  /** Virtual time in ms since the simulation began. */
  readonly time: number;
  /** Chance for the scenario. */
  readonly random: SeededRandom;
  readonly trace: Trace;
  /** The door to this world for a node. A name that is new or has crashed begins a life; else it is the same door. */
  runtime(node: string): Runtime;
  /** A network between nodes. */
  network(options?: NetworkOptions): SimulatedNetwork;
  /** Ends a node's life: its timers and what is on its way to it are gone. Whoever waits for it is reset. */
  crash(node: string): void;
  /** Begins a new life after a crash. The same as {@linkcode Simulation.runtime}, but refuses a living node. */
  restart(node: string): Runtime;
  /** Lets a node stand still: what falls due there waits. */
  pause(node: string): void;
  /** Lets a node go on: what waited happens now, late and in order. */
  resume(node: string): void;
  /** Whether a node is alive; it may stand still. */
  alive(node: string): boolean;
  /** Whether a node stands still. */
  paused(node: string): boolean;
  /** Plans something that belongs to no node, after some ms; answers a function that calls it off. */
  after(ms: number, run: () => void): () => void;
  /** Puts a line into the trace, and into its hash. */
  note(text: string): void;
  /** Lets some ms pass. Rejects with what a timer threw. */
  run(ms: number): Promise<void>;
  /** Lets time pass until a condition holds, which is looked at after each event, at most so many ms; whether it held. */
  until(condition: () => boolean, ms: number): Promise<boolean>;
  /** What is still going on. */
  pending(): Pending;
}

/**
 * Makes a world in which time is virtual and every chance comes from the seed: the same seed gives the same run,
 * event by event, so that a failure can be looked at as often as one likes.
 *
 * @example
 * ```ts
 * import { createSimulation } from "@catga/catga/testing";
 * const simulation = createSimulation({ seed: 1 });
 * const { clock } = simulation.runtime("a");
 * clock.timer(60_000, () => console.log("a minute later"));
 * await simulation.run(60_000);
 * ```
 */
export function createSimulation(options: SimulationOptions): Simulation {
  if (!Number.isSafeInteger(options.seed)) {
    throw new RangeError(`Cannot simulate: the seed is ${options.seed}, but must be a whole number up to 2^53`);
  }
  return new World(options);
}

const START = 1_767_225_600_000;

/** The simulation behind the interface. */
export class World implements Simulation {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly trace: TraceRecorder;
  readonly scheduler: Scheduler;
  readonly #options: SimulationOptions;
  readonly #chance: SeededRandom;
  readonly #hosts: Map<string, SimulatedHost> = new Map();
  readonly #runtimes: Map<string, Runtime> = new Map();
  readonly #lives: WeakMap<Runtime, Life> = new WeakMap();
  readonly #networks: Network[] = [];

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.seed = options.seed;
    this.#chance = seededRandom(options.seed);
    this.random = this.#chance.fork("scenario");
    this.trace = new TraceRecorder(options.keep ?? 200);
    this.scheduler = new Scheduler(this.#chance.fork("order"), options.drain ?? createDrain());
  }

  get time(): number {
    return this.scheduler.time;
  }

  runtime(node: string): Runtime {
    const host = this.#hosts.get(node) ?? new SimulatedHost(node, this.#hosts.size);
    this.#hosts.set(node, host);
    return host.life.alive ? this.#runtimes.get(node)! : this.#begin(host);
  }

  network(options: NetworkOptions = {}): SimulatedNetwork {
    const network = new Network(this, options, this.#chance.fork(`network ${this.#networks.length}`));
    this.#networks.push(network);
    return network;
  }

  crash(node: string): void {
    const host = this.#living(node, "crash");
    this.trace.add(this.time, "crash", node, "", host.life.incarnation);
    host.life.alive = false;
    host.paused = false;
    host.deferred.length = 0;
    for (const network of this.#networks) network.crashed(host.life);
  }

  restart(node: string): Runtime {
    if (this.alive(node)) throw new RangeError(`Cannot restart "${node}": it is alive`);
    return this.runtime(node);
  }

  pause(node: string): void {
    const host = this.#living(node, "pause");
    if (host.paused) return;
    this.trace.add(this.time, "pause", node);
    host.paused = true;
  }

  resume(node: string): void {
    const host = this.#living(node, "resume");
    if (!host.paused) return;
    this.trace.add(this.time, "resume", node, "", host.deferred.length);
    host.paused = false;
    this.scheduler.release(host.deferred.splice(0));
  }

  alive(node: string): boolean {
    return this.#hosts.get(node)?.life.alive ?? false;
  }

  paused(node: string): boolean {
    return this.#hosts.get(node)?.paused ?? false;
  }

  after(ms: number, run: () => void): () => void {
    const event = this.scheduler.plan(undefined, this.time + Math.max(ms, 0), () => {
      this.trace.add(this.time, "plan", "");
      run();
    });
    return () => this.scheduler.cancel(event);
  }

  note(text: string): void {
    this.trace.add(this.time, "note", "", "", 0, text);
  }

  async run(ms: number): Promise<void> {
    await this.scheduler.advance(this.time + ms, () => false);
  }

  until(condition: () => boolean, ms: number): Promise<boolean> {
    return this.scheduler.advance(this.time + ms, condition);
  }

  pending(): Pending {
    const lives = [...this.#hosts.values()].map((host) => host.life).filter((life) => life.alive);
    return {
      timers: lives.reduce((sum, life) => sum + life.timers, 0),
      background: lives.reduce((sum, life) => sum + life.background, 0),
      exchanges: this.#networks.reduce((sum, network) => sum + network.exchanges().length, 0),
    };
  }

  /** The life that a runtime was made for. */
  lifeOf(runtime: Runtime): Life | undefined {
    return this.#lives.get(runtime);
  }

  #begin(host: SimulatedHost): Runtime {
    const life = new Life(host, host.life.incarnation + 1);
    host.life = life;
    this.trace.add(this.time, "start", host.name, "", life.incarnation);
    const { start = START, skew = 0, drift = 0, lateness = 0 } = this.#options;
    // A machine keeps its wall clock over a crash of the process; the monotonic one starts anywhere.
    const machine = this.#chance.fork(`machine ${host.name}`);
    const random = this.#chance.fork(`life ${host.name} ${life.incarnation}`);
    const setting = {
      wall: start + Math.round(machine.between(-skew, skew)),
      drift: machine.between(-drift, drift),
      mono: random.below(1_000_000),
      lateness,
    };
    const runtime = simulatedRuntime(this.#driver, life, setting, random);
    this.#runtimes.set(host.name, runtime);
    this.#lives.set(runtime, life);
    return runtime;
  }

  #living(node: string, verb: string): SimulatedHost {
    const host = this.#hosts.get(node);
    if (host?.life.alive !== true) throw new RangeError(`Cannot ${verb} "${node}": no such node is alive`);
    return host;
  }
}
