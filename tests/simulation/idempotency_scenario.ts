/** Nodes that get the same commands again and again while things go wrong; then everything heals. */

import {
  CatgaError,
  command,
  createMediator,
  fail,
  handle,
  type Mediator,
  systemFault,
  type,
} from "@catga/catga";
import { idempotent } from "@catga/catga/durable";
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

const TTL = 1000;
/** How long things go wrong, and how soon after that all is answered, in ms. */
const FAULTS = 8000;
const HEALED = 15_000;
const KEYS = 12;
const COPIES = 4;
/** Clocks drift apart by less than the 1 % that claims allow for. */
const DRIFT = 0.0045;
/** How late a timer runs at most, in ms. */
const LATENESS = 4;

const Pay = command("pay", {
  input: type<{ readonly order: number }>(),
  output: type<string>(),
  errors: { DECLINED: type<string>() },
  idempotency: { key: ({ order }) => `${order}`, retention: 600_000 },
});

/** A rule broken on purpose. */
export interface IdempotencyMutant {
  readonly store?: (store: Store) => Partial<Store>;
  readonly runtime?: (runtime: Runtime) => Runtime;
}

export interface IdempotencySeed {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  readonly mutant?: IdempotencyMutant;
}

/** What came to pass, to show that something did. */
export interface IdempotencyOutcome {
  readonly runs: number;
  /** Runs beyond the first of a key. */
  readonly repeated: number;
  /** Runs that succeeded though another's answer counts. */
  readonly fenced: number;
  readonly answers: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly hash: string;
}

/** Rejects with a `SimulationError` when a key has two answers or handlers, or none in time. */
export function runIdempotency({ seed, drain, mutant = {} }: IdempotencySeed): Promise<IdempotencyOutcome> {
  const world = {
    seed,
    replay: (seed: number): string => `SEED=${seed} bun test tests/simulation/idempotency.test.ts`,
    skew: 3_600_000,
    drift: DRIFT,
    lateness: LATENESS,
    ...(drain === undefined ? {} : { drain }),
  };
  return simulate(world, async (simulation) => {
    const till = new Till(simulation, mutant);
    const names = ["a", "b", "c", "d", "e"].slice(0, 2 + simulation.random.below(4));
    for (const name of names) till.start(name);
    till.disturb(names);
    till.load(names);
    await till.until(() => false, FAULTS);
    till.heal();
    if (!await till.until(() => till.open === 0, HEALED)) {
      throw new Error(`${till.open} callers have no answer ${HEALED} ms after the last fault`);
    }
    await till.until(() => false, 70_000);
    till.assertIdle();
    const { runs, repeated, fenced, answers, outcomes } = till;
    return { runs, repeated, fenced, answers, outcomes, hash: simulation.trace.hash };
  });
}

/** A handler that is at work. */
interface Working {
  readonly node: string;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
}

/** The nodes, their callers, and what must always be so. */
class Till {
  runs = 0;
  repeated = 0;
  fenced = 0;
  answers = 0;
  /** How many callers still want an answer. */
  open = 0;
  readonly outcomes: Record<string, number> = {};
  readonly #simulation: Simulation;
  readonly #mutant: IdempotencyMutant;
  readonly #random: SeededRandom;
  readonly #server: SimulatedStore;
  readonly #nodes: Map<string, { readonly runtime: Runtime; readonly app: Mediator }> = new Map();
  readonly #begun: number[] = new Array<number>(KEYS).fill(0);
  readonly #answer: (string | undefined)[] = new Array<string | undefined>(KEYS).fill(undefined);
  readonly #working: Set<Working>[] = Array.from({ length: KEYS }, () => new Set());
  /** What handlers came to, by key. */
  readonly #effects: Set<string>[] = Array.from({ length: KEYS }, () => new Set());
  #broken: string | undefined;
  #healed = false;

  constructor(simulation: Simulation, mutant: IdempotencyMutant) {
    this.#simulation = simulation;
    this.#mutant = mutant;
    this.#random = simulation.random.fork("till");
    const drift = this.#random.between(-DRIFT, DRIFT);
    this.#server = simulatedStore(simulation, { latency: [0.2, this.#random.between(1, 20)], drift });
  }

  start(name: string): void {
    const own = this.#simulation.runtime(name);
    const runtime = this.#mutant.runtime?.(own) ?? own;
    const random = this.#random.fork(`${name} ${this.#simulation.time}`);
    const store = changed(this.#server.open(own), this.#mutant);
    const app = createMediator({
      handlers: [handle(Pay, ({ order }, { signal }) => this.#pay(name, runtime, order, signal, random))],
      behaviors: [idempotent({ store, ttl: TTL })],
      runtime,
    });
    this.#nodes.set(name, { runtime, app });
  }

  /** Lets things go wrong; each seed has a part of it. */
  disturb(names: readonly string[]): void {
    const random = this.#random.fork("faults");
    injectFaults(this.#simulation, {
      network: this.#simulation.network(),
      nodes: names,
      ms: FAULTS,
      restart: (name) => this.start(name),
      kinds: ["pause", "crash", "jump", "drift"],
    });
    const rate = (most: number): number => random.chance(0.5) ? most * random.fraction() : 0;
    this.#server.change({
      refused: rate(0.1),
      lost: rate(0.1),
      unanswered: rate(0.2),
      slow: rate(0.1),
      broken: rate(0.3),
      silence: random.chance(0.5) ? [20, 200] : [500, 3000],
    });
    for (let times = random.below(8); times > 0; times--) {
      const node = random.pick(names);
      const at = random.between(0, FAULTS);
      this.#simulation.after(at, () => this.#server.cut(node));
      const until = Math.min(at + random.between(50, 4000), FAULTS);
      this.#simulation.after(until, () => this.#server.mend(node));
    }
  }

  heal(): void {
    this.#server.heal();
    this.#healed = true;
  }

  /** Callers who send until they have an answer. */
  load(names: readonly string[]): void {
    for (let order = 0; order < KEYS; order++) {
      const at = this.#random.between(0, FAULTS * 0.9);
      for (let copy = 0; copy < COPIES; copy++) {
        this.open++;
        const random = this.#random.fork(`${order} ${copy}`);
        const late = random.chance(0.5) ? random.between(0, 20) : random.between(0, 3000);
        this.#simulation.after(at + late, () => void this.#call(order, names, random));
      }
    }
  }

  async until(condition: () => boolean, ms: number): Promise<boolean> {
    const held = await this.#simulation.until(() => this.#broken !== undefined || condition(), ms);
    if (this.#broken !== undefined) throw new Error(this.#broken);
    return held;
  }

  assertIdle(): void {
    const entries = this.#server.entries().map(({ value }) => value.split(" ")[0]);
    if (entries.length !== KEYS || entries.some((kind) => kind !== "text")) {
      throw new Error(`the store keeps ${JSON.stringify(this.#server.entries())}`);
    }
    const { timers, background } = this.#simulation.pending();
    if (timers + background > 0) throw new Error(`${timers} timers and ${background} works are still there`);
  }

  async #call(order: number, names: readonly string[], random: SeededRandom): Promise<void> {
    for (;;) {
      const name = random.pick(names);
      const { app } = this.#nodes.get(name)!;
      const timeout = random.chance(0.3) ? random.between(50, 1000) : 5000;
      const result = this.#simulation.alive(name)
        ? await Promise.race([app.send(Pay({ order }), { timeout }), this.#pass(timeout + 3000)])
        : undefined;
      const text = result?.ok === true
        ? result.value
        : result?.error.code === "DECLINED"
        ? result.error.data
        : undefined;
      const code = result === undefined ? "silence" : result.ok ? "ok" : result.error.code;
      this.outcomes[code] = (this.outcomes[code] ?? 0) + 1;
      if (typeof text === "string") {
        this.#answered(order, text, name);
        return;
      }
      await this.#pass(random.between(1, 200));
    }
  }

  #pass(ms: number): Promise<undefined> {
    return new Promise((resolve) => this.#simulation.after(ms, () => resolve(undefined)));
  }

  #answered(order: number, text: string, node: string): void {
    this.open--;
    this.answers++;
    this.#answer[order] ??= text;
    this.#simulation.note(`${node} answers ${order} with ${text}`);
    if (this.#answer[order] !== text) {
      this.#broken ??= `${order} was answered with ${text} and ${this.#answer[order]}`;
    }
    if (!this.#effects[order]!.has(text)) {
      this.#broken ??= `${order} was answered with ${text}, which nobody did`;
    }
  }

  async #pay(
    node: string,
    runtime: Runtime,
    order: number,
    signal: AbortSignal,
    random: SeededRandom,
  ): Promise<string | ReturnType<typeof fail<"DECLINED", string>>> {
    const name = `${order}#${++this.#begun[order]!}`;
    this.#simulation.note(`${node} begins ${name}`);
    this.runs++;
    if (this.#begun[order]! > 1) this.repeated++;
    if (this.#answer[order] !== undefined) this.#broken ??= `${name} began after ${order} was answered`;
    const working = { node, runtime, signal };
    for (const other of this.#working[order]!) {
      const runs = this.#simulation.alive(other.node) &&
        this.#nodes.get(other.node)?.runtime === other.runtime &&
        !this.#simulation.paused(other.node);
      if (runs && !other.signal.aborted) {
        this.#broken ??= `${name} began on ${node} while it was handled on ${other.node}`;
      }
    }
    this.#working[order]!.add(working);
    try {
      const ms = random.chance(0.2) ? random.between(0, 4000) : random.between(0, 200);
      const heeds = random.chance(0.5);
      await sleep(runtime, ms, heeds ? signal : undefined);
      if (heeds) signal.throwIfAborted();
      const chance = this.#healed ? 1 : random.fraction();
      if (chance < 0.1) throw new CatgaError(systemFault("TRANSPORT", "something is out of reach"));
      if (chance < 0.15) throw new Error("something broke");
      if (this.#effects[order]!.size > 0) this.fenced++;
      this.#effects[order]!.add(name);
      return order % 3 === 0 ? fail("DECLINED", name) : name;
    } finally {
      this.#working[order]!.delete(working);
    }
  }
}

function changed(store: Store, { store: change }: IdempotencyMutant): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
    ...change?.(store),
  };
}

function sleep({ clock }: Runtime, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const wake = (): void => {
      stop();
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const stop = clock.timer(ms, wake);
    signal?.addEventListener("abort", wake, { once: true });
  });
}
