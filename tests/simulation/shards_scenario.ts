/** Nodes that own shards and elect a leader, each by lease, while things go wrong; then everything heals. */

import { command, createMediator, handle, type } from "@catga/catga";
import { type ClusterEvent, joinCluster, type Node } from "@catga/catga/cluster";
import type { Backend, Runtime, Store } from "@catga/catga/ports";
import {
  type Drain,
  FAULT_KINDS,
  injectFaults,
  type SeededRandom,
  simulate,
  type SimulatedNetwork,
  type SimulatedStore,
  simulatedStore,
  type Simulation,
} from "@catga/catga/testing";
import { cutOff } from "./cut_off.ts";

const COUNT = 8;
/** How long things go wrong, and how soon after that everything has its place again, in ms. */
const FAULTS = 6000;
const HEALED = 6000;
/** Clocks drift apart by less than the 1 % that leases allow for, and timers are less late than that. */
const DRIFT = 0.0045;
const LATENESS = 4;

const Put = command("put", {
  input: type<{ readonly key: string; readonly ms: number }>(),
  output: type<string>(),
  shard: { key: ({ key }) => key, count: COUNT, group: "boxes" },
  timeout: 4000,
});

/** A rule broken on purpose. */
export interface ShardMutant {
  readonly store?: (store: Store) => Partial<Store>;
  readonly runtime?: (runtime: Runtime) => Runtime;
  /** What is written to takes every token. */
  readonly unfenced?: boolean;
}

export interface ShardOptions {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  readonly mutant?: ShardMutant;
}

/** What came to pass, to show that something did. */
export interface ShardOutcome {
  readonly handled: number;
  readonly answered: number;
  readonly moves: number;
  readonly terms: number;
  /** Writings with a token that was too old. */
  readonly refused: number;
  readonly hash: string;
}

/** Rejects with a `SimulationError` when two own a shard or lead, or when not all has its place again in time. */
export function runShards({ seed, drain, mutant = {} }: ShardOptions): Promise<ShardOutcome> {
  const world = {
    seed,
    replay: (seed: number): string => `SEED=${seed} bun test tests/simulation/shards.test.ts`,
    skew: 60_000,
    drift: DRIFT,
    lateness: LATENESS,
    ...(drain === undefined ? {} : { drain }),
  };
  return simulate(world, async (simulation) => {
    const depot = new Depot(simulation, mutant, seed % 5 === 0);
    const names = ["a", "b", "c", "d", "e", "f", "g"].slice(0, 3 + simulation.random.below(5));
    for (const name of names) depot.start(name);
    depot.disturb(names);
    depot.load(names);
    await depot.run(FAULTS);
    depot.heal();
    if (!await depot.until(() => depot.settled(names), HEALED)) {
      throw new Error(`not all has its place ${HEALED} ms after the last fault: ${depot.shown()}`);
    }
    const { answered } = depot;
    await depot.run(500);
    if (depot.answered === answered) throw new Error("nothing was answered in 500 ms without a fault");
    depot.stop();
    if (!await depot.until(() => depot.open === 0, 10_000)) {
      throw new Error(`${depot.open} calls have no end: ${depot.shown()}`);
    }
    const left = await depot.leave();
    if (!left) throw new Error("not all nodes have left in time");
    await depot.run(8000);
    depot.assertIdle();
    const { handled, moves, terms, refused } = depot;
    return {
      handled,
      answered: depot.answered,
      moves,
      terms: terms.size,
      refused,
      hash: simulation.trace.hash,
    };
  });
}

/** A handler that is at work. */
interface Working {
  readonly node: string;
  readonly runtime: Runtime;
  readonly token: number;
  readonly signal: AbortSignal;
}

/** The nodes, the store, what is written to, and what must always be so. */
class Depot {
  handled = 0;
  answered = 0;
  refused = 0;
  moves = 0;
  /** Who led each term. */
  readonly terms: Map<number, string> = new Map();
  readonly #simulation: Simulation;
  readonly #mutant: ShardMutant;
  readonly #soft: boolean;
  readonly #random: SeededRandom;
  readonly #server: SimulatedStore;
  readonly #network: SimulatedNetwork;
  readonly #nodes: Map<string, Node> = new Map();
  readonly #working: Set<Working>[] = Array.from({ length: COUNT }, () => new Set());
  /** The highest token that began to handle, and the highest that has written, for each shard. */
  readonly #begun: number[] = new Array<number>(COUNT).fill(0);
  readonly #written: number[] = new Array<number>(COUNT).fill(0);
  readonly #seenTerms: Map<Node, number> = new Map();
  /** How many calls of each life of a node have no end yet. */
  readonly #open: Map<Node, number> = new Map();
  /** Until when each node last stood still, in ms; what was held back happens after that at the same time. */
  readonly #stood: Map<string, number> = new Map();
  #looks = 0;
  #stopped = false;
  #broken: string | undefined;

  /** @param soft whether there is no store, so that two may own a shard or lead while views differ */
  constructor(simulation: Simulation, mutant: ShardMutant, soft: boolean) {
    this.#simulation = simulation;
    this.#mutant = mutant;
    this.#soft = soft;
    this.#random = simulation.random.fork("depot");
    this.#network = simulation.network({ latency: [0.2, 5] });
    const drift = this.#random.between(-DRIFT, DRIFT);
    this.#server = simulatedStore(simulation, { latency: [0.2, this.#random.between(1, 20)], drift });
  }

  start(name: string): void {
    this.#nodes.delete(name);
    const inner = this.#simulation.runtime(name);
    const runtime = this.#mutant.runtime?.(inner) ?? inner;
    const app = createMediator({
      runtime,
      handlers: [handle(Put, ({ ms }, { shard, signal }) => {
        return this.#handle(name, inner, shard!.index, shard!.token, ms, signal);
      })],
    });
    void joinCluster(app, {
      node: name,
      endpoint: `sim:${name}`,
      backend: this.#backend(inner),
      timing: "fast",
      drain: 1000,
      shards: { moves: 4 },
    }).then((node) => {
      this.#nodes.set(name, node);
      void this.#watch(node);
    });
  }

  /** Lets things go wrong; each seed has a part of it. */
  disturb(names: readonly string[]): void {
    const simulation = this.#simulation;
    const random = this.#random.fork("faults");
    injectFaults(simulation, {
      network: this.#network,
      nodes: names,
      ms: FAULTS,
      restart: (name) => this.start(name),
      kinds: FAULT_KINDS,
    });
    const rate = (most: number): number => random.chance(0.5) ? most * random.fraction() : 0;
    this.#server.change({
      refused: rate(0.05),
      lost: rate(0.05),
      unanswered: rate(0.1),
      slow: rate(0.05),
      broken: rate(0.1),
      silence: random.chance(0.5) ? [20, 200] : [500, 3000],
    });
    cutOff(simulation, this.#server, names, { random, times: 5, ms: FAULTS });
    // Some nodes also leave in good order, and come back.
    for (let times = random.below(4); times > 0; times--) {
      const name = random.pick(names);
      simulation.after(random.between(0, FAULTS - 2000), () => this.#replace(name));
    }
  }

  heal(): void {
    this.#server.heal();
  }

  /** Sends from all nodes, until it is stopped. */
  load(names: readonly string[]): void {
    const random = this.#random.fork("load");
    const next = (): void => {
      if (this.#stopped) return;
      const name = random.pick(names);
      const node = this.#nodes.get(name);
      const message = Put({
        key: `k${random.below(40)}`,
        ms: random.chance(0.2) ? random.between(5, 300) : 0,
      });
      if (node !== undefined && this.#runs(name)) {
        this.#count(node, 1);
        void node.send(message).then((result) => {
          this.#count(node, -1);
          if (result.ok) this.answered++;
        });
      }
      this.#simulation.after(random.between(2, 30), next);
    };
    next();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Calls without an end, of nodes that live. */
  get open(): number {
    return [...this.#nodes.values()].reduce((sum, node) => sum + (this.#open.get(node) ?? 0), 0);
  }

  /** Whether every shard is owned by one node and all know it, and one leads and all know that. */
  settled(names: readonly string[]): boolean {
    const nodes = names.map((name) => this.#nodes.get(name));
    if (nodes.some((node) => node?.status !== "ready")) return false;
    const leaders = new Set(nodes.map((node) => `${node!.leader?.id} ${node!.leader?.term}`));
    if (leaders.size !== 1 || nodes[0]!.leader === undefined) return false;
    const maps = new Set<string>();
    let owned = 0;
    for (const node of nodes) {
      const { shards } = node!.inspect();
      if (shards.length !== COUNT || shards.some(({ owner }) => owner === undefined)) return false;
      maps.add(shards.map(({ owner, token }) => `${owner} ${token}`).join());
      owned += shards.filter(({ here, owner }) => here === "owned" && owner === node!.id).length;
    }
    return maps.size === 1 && owned === COUNT;
  }

  shown(): string {
    return [...this.#nodes].map(([name, node]) => {
      const { shards, leader } = node.inspect();
      const owners = shards.map(({ owner, here }) => `${owner}${here === undefined ? "" : `(${here})`}`);
      return `${name} ${node.status} (${
        this.#open.get(node) ?? 0
      } calls): leader ${leader?.id} ${leader?.term}, ${owners.join(" ")}`;
    }).join("; ");
  }

  async leave(): Promise<boolean> {
    let left = 0;
    for (const node of this.#nodes.values()) {
      void node.leave().then(() => left++);
    }
    return await this.until(() => left === this.#nodes.size, 20_000);
  }

  assertIdle(): void {
    // A record of an owner whose lease is over is as good as none.
    const entries = this.#server.entries().filter(({ key }) => !key.startsWith("shards/of/"));
    if (entries.length > 0) throw new Error(`the store still keeps ${JSON.stringify(entries)}`);
    const { timers, background, exchanges } = this.#simulation.pending();
    if (timers + background + exchanges > 0) {
      throw new Error(`${timers} timers, ${background} tasks and ${exchanges} exchanges are still there`);
    }
  }

  async run(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  async until(condition: () => boolean, ms: number): Promise<boolean> {
    const held = await this.#simulation.until(() => this.#look() !== undefined || condition(), ms);
    if (this.#broken !== undefined) throw new Error(this.#broken);
    return held;
  }

  #runs(name: string): boolean {
    return this.#simulation.alive(name) && !this.#simulation.paused(name);
  }

  #replace(name: string): void {
    const node = this.#nodes.get(name);
    if (node === undefined || node.status !== "ready" || !this.#runs(name)) return;
    void node.leave().then(() => {
      if (this.#nodes.get(name) === node && this.#simulation.alive(name)) {
        this.#simulation.crash(name);
        this.start(name);
      }
    });
  }

  #backend(runtime: Runtime): Backend {
    const { backend } = this.#network;
    return {
      ...backend,
      open: ({ self }) => {
        const parts = backend.open({ self, runtime });
        if (this.#soft) return parts;
        return { ...parts, store: changed(this.#server.open(runtime), this.#mutant) };
      },
    };
  }

  /** Works for some ms, then writes with the token of the shard. */
  async #handle(
    node: string,
    runtime: Runtime,
    index: number,
    token: number | undefined,
    ms: number,
    signal: AbortSignal,
  ): Promise<string> {
    this.handled++;
    if (token === undefined) return await sleep(runtime, ms).then(() => node);
    const working: Working = { node, runtime, token, signal };
    if (token < this.#begun[index]!) {
      this.#broken ??= `${node} began with token ${token} of shard ${index} after ${this.#begun[index]}`;
    }
    this.#begun[index] = Math.max(this.#begun[index]!, token);
    for (const other of this.#working[index]!) {
      const runs = this.#runs(other.node) && this.#simulation.runtime(other.node) === other.runtime;
      if (other.token < token && runs && !other.signal.aborted && !this.#stands(other.node)) {
        this.#broken ??= `${node} began on shard ${index} while ${other.node} was not told to stop`;
      }
    }
    this.#working[index]!.add(working);
    if (ms > 0) await sleep(runtime, ms);
    this.#working[index]!.delete(working);
    if (token < this.#written[index]! && this.#mutant.unfenced !== true) {
      this.refused++;
      return "too late";
    }
    if (token < this.#written[index]!) {
      this.#broken ??= `token ${token} of shard ${index} was accepted after ${this.#written[index]}`;
    }
    this.#written[index] = token;
    return node;
  }

  /** Whether a node that runs again still has to do what it missed. */
  #stands(name: string): boolean {
    return this.#stood.get(name) === this.#simulation.time;
  }

  #count(node: Node, by: number): void {
    this.#open.set(node, (this.#open.get(node) ?? 0) + by);
  }

  async #watch(node: Node): Promise<void> {
    for await (const { events } of node.watch()) {
      for (const event of events as readonly ClusterEvent[]) if (event.type === "shardMoved") this.moves++;
    }
  }

  /** What must be so after every event. */
  #look(): string | undefined {
    if (this.#soft) return this.#broken;
    let leader: string | undefined;
    for (const [name, node] of this.#nodes) {
      if (!this.#simulation.alive(name)) continue;
      if (this.#simulation.paused(name)) this.#stood.set(name, Infinity);
      else if (this.#stood.get(name) === Infinity) this.#stood.set(name, this.#simulation.time);
      const now = node.leader;
      if (now?.local !== true) continue;
      if (leader !== undefined) this.#broken ??= `${leader} and ${name} both lead`;
      leader = name;
      const { term } = now;
      const before = this.terms.get(term!);
      if (before !== undefined && before !== name) this.#broken ??= `${before} and ${name} led term ${term}`;
      if (term! < (this.#seenTerms.get(node) ?? 0)) this.#broken ??= `${name} went back to term ${term}`;
      this.#seenTerms.set(node, term!);
      this.terms.set(term!, name);
    }
    if (++this.#looks % 64 === 0) this.#lookAtOwners();
    return this.#broken;
  }

  /** At most one node at a time believes that it owns a shard. */
  #lookAtOwners(): void {
    const owners: (string | undefined)[] = [];
    for (const [name, node] of this.#nodes) {
      if (!this.#simulation.alive(name)) continue;
      for (const { index, here } of node.inspect().shards) {
        if (here === undefined) continue;
        if (owners[index] !== undefined) {
          this.#broken ??= `${owners[index]} and ${name} both own shard ${index}`;
        }
        owners[index] = name;
      }
    }
  }
}

function changed(store: Store, { store: change }: ShardMutant): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
    ...change?.(store),
  };
}

function sleep({ clock }: Runtime, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.timer(ms, resolve));
}
