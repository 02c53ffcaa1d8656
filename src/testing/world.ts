import { CatgaError, systemFault } from "../result.ts";
import type { FetchInit, FetchReply, LogEntry, Runtime } from "../ports/runtime.ts";
import { createDrain } from "./drain.ts";
import type { QueuedEvent } from "./event_queue.ts";
import { Life, SimulatedHost } from "./life.ts";
import type { NetworkOptions, SimulatedNetwork } from "./network_types.ts";
import { type SeededRandom, seededRandom } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import { type ClockDriver, MachineClock, SimulatedClock } from "./simulated_clock.ts";
import { type RuntimeDriver, simulatedRuntime } from "./simulated_runtime.ts";
import { Network, type NetworkWorld } from "./simulated_network.ts";
import type { ClockChange, Pending, Simulation, SimulationOptions } from "./simulation_types.ts";
import { TraceRecorder } from "./trace.ts";

const START = 1_767_225_600_000;

/** The simulation behind the interface. */
export class World implements Simulation, RuntimeDriver, ClockDriver, NetworkWorld {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly trace: TraceRecorder;
  readonly #scheduler: Scheduler;
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
    this.#scheduler = new Scheduler(this.#chance.fork("order"), options.drain ?? createDrain());
  }

  get bounds(): Simulation["bounds"] {
    const { skew = 0, drift = 0 } = this.#options;
    return { skew, drift };
  }

  get time(): number {
    return this.#scheduler.time;
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
    this.#scheduler.release(host.deferred.splice(0));
  }

  setClock(node: string, { skew, drift }: ClockChange): void {
    const host = this.#hosts.get(node);
    const { clock } = host ?? {};
    if (clock === undefined) throw new RangeError(`Cannot set the clock of "${node}": there is no such node`);
    if (drift !== undefined && !(drift > -1 && drift < Infinity)) {
      throw new RangeError(`Cannot set the clock of "${node}": its drift is ${drift}, but must be above -1`);
    }
    const { start = START } = this.#options;
    const wall = skew === undefined ? clock.at(this.time) : start + this.time + skew;
    clock.set(this.time, wall, drift ?? clock.drift);
    this.trace.add(this.time, "clock", node, "", 0, `${Math.floor(wall)} ${clock.drift}`);
    if (drift !== undefined && host!.life.alive) host!.life.clock!.keepPace();
  }

  alive(node: string): boolean {
    return this.#hosts.get(node)?.life.alive ?? false;
  }

  paused(node: string): boolean {
    return this.#hosts.get(node)?.paused ?? false;
  }

  after(ms: number, run: () => void): () => void {
    const event = this.#scheduler.plan(undefined, this.time + Math.max(ms, 0), () => {
      this.trace.add(this.time, "plan", "");
      run();
    });
    return () => this.#scheduler.cancel(event);
  }

  note(text: string): void {
    this.trace.add(this.time, "note", "", "", 0, text);
  }

  async run(ms: number): Promise<void> {
    await this.#scheduler.advance(this.time + ms, () => false);
  }

  until(condition: () => boolean, ms: number): Promise<boolean> {
    return this.#scheduler.advance(this.time + ms, condition);
  }

  pending(): Pending {
    const lives = [...this.#hosts.values()].map((host) => host.life).filter((life) => life.alive);
    return {
      timers: lives.reduce((sum, life) => sum + life.timers, 0),
      background: lives.reduce((sum, life) => sum + life.background, 0),
      exchanges: this.#networks.reduce((sum, network) => sum + network.exchanges().length, 0),
    };
  }

  plan(life: Life | undefined, time: number, run: () => void): QueuedEvent {
    return this.#scheduler.plan(life, time, run);
  }

  cancel(event: QueuedEvent): void {
    this.#scheduler.cancel(event);
  }

  timerRan(life: Life): void {
    this.trace.add(this.time, "timer", life.host.name);
  }

  log(life: Life, entry: LogEntry): void {
    if (!life.alive) return;
    const { level, event, message } = entry;
    this.trace.add(this.time, "log", life.host.name, "", 0, `${level} ${event}: ${message}`);
    this.#options.log?.(life.host.name, entry);
  }

  fetch(life: Life, url: string, init: FetchInit): Promise<FetchReply> {
    const { name } = life.host;
    if (this.#options.fetch !== undefined) return this.#options.fetch(name, url, init);
    const message =
      `Cannot fetch ${url} from "${name}": the simulation has no fetch; give it one in its options`;
    return Promise.reject(new CatgaError(systemFault("UNAVAILABLE", message)));
  }

  /** The life that a runtime was made for. */
  lifeOf(runtime: Runtime): Life | undefined {
    return this.#lives.get(runtime);
  }

  #begin(host: SimulatedHost): Runtime {
    const life = new Life(host, host.life.incarnation + 1);
    host.life = life;
    this.trace.add(this.time, "start", host.name, "", life.incarnation);
    // A machine keeps its wall clock over a crash of the process; the monotonic one starts anywhere.
    const machine = host.clock ??= this.#machineClock(host.name);
    const random = this.#chance.fork(`life ${host.name} ${life.incarnation}`);
    const setting = { mono: random.below(1_000_000), lateness: this.#options.lateness ?? 0 };
    life.clock = new SimulatedClock(this, life, machine, setting, random.fork("timers"));
    const runtime = simulatedRuntime(this, life, life.clock, random);
    this.#runtimes.set(host.name, runtime);
    this.#lives.set(runtime, life);
    return runtime;
  }

  #machineClock(name: string): MachineClock {
    const { skew, drift } = this.bounds;
    const random = this.#chance.fork(`machine ${name}`);
    const wall = (this.#options.start ?? START) + Math.round(random.between(-skew, skew));
    return new MachineClock(wall, random.between(-drift, drift));
  }

  #living(node: string, verb: string): SimulatedHost {
    const host = this.#hosts.get(node);
    if (host?.life.alive !== true) throw new RangeError(`Cannot ${verb} "${node}": no such node is alive`);
    return host;
  }
}
