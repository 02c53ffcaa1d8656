import type { FetchInit, FetchReply, LogEntry, Runtime } from "../ports/runtime.ts";
import type { Drain } from "./drain.ts";
import type { NetworkOptions, SimulatedNetwork } from "./network_types.ts";
import type { SeededRandom } from "./random.ts";
import type { Trace } from "./trace.ts";

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

/** How a node's clocks are set. */
export interface ClockChange {
  /** How far its wall clock is off from now on, in ms; it stays as it is if left out. */
  readonly skew?: number | undefined;
  /** How much faster than virtual time its clocks go from now on, above -1; as before if left out. */
  readonly drift?: number | undefined;
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
  /** What everything that is left to chance comes from. */
  readonly seed: number;
  /** Virtual time in ms since the simulation began. */
  readonly time: number;
  /** How far wall clocks are off at most, and how fast or slow clocks go, by the options. */
  readonly bounds: { readonly skew: number; readonly drift: number };
  /** Chance for the scenario. */
  readonly random: SeededRandom;
  /** What has happened. */
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
  /** Sets a machine's clocks, also while its node is down: the wall clock jumps, the monotonic one goes on. */
  setClock(node: string, change: ClockChange): void;
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
