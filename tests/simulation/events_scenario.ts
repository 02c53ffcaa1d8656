/**
 * Nodes of two releases that decide on the same halls and make effects and rows of what happens, over stores that lose,
 * delay and forget to answer, while nodes crash, stand still and their clocks jump and projections are begun anew. What
 * is answered is judged at once, and all that is kept once everything is well.
 */

import { type CatgaError, unwrap } from "@catga/catga";
import {
  type EventSourced,
  eventSourced,
  type Projection,
  startProjection,
  startReadModel,
  subscribeEvents,
} from "@catga/catga/durable";
import type { EventStore, Runtime, Store } from "@catga/catga/ports";
import {
  type Drain,
  injectFaults,
  type SeededRandom,
  simulate,
  type SimulatedEventStore,
  simulatedEventStore,
  type SimulatedStore,
  simulatedStore,
  type Simulation,
} from "@catga/catga/testing";
import { sleep } from "../../src/internal/sleep.ts";
import { cutOff } from "./cut_off.ts";
import {
  type Hall,
  type HallCommand,
  type HallEvents,
  hallEvents,
  hallOf,
  NO_ROW,
  type Refusal,
  rowAfter,
  rowsOf,
} from "./events_hall.ts";
import { HallJudge, type HallMessage, type Span, tagOf } from "./events_judge.ts";

const FAULTS = 8000;
/** How long it may take, once everything is well, until every call has ended and all is made of all events. */
const SETTLED = 60_000;
const HALLS = ["north", "south", "west"];
/** How many messages may still come again. */
const LATELY = 20;

/** A rule broken on purpose. */
export interface EventsMutant {
  /** What those who decide have for an event store. */
  readonly events?: (events: EventStore) => Partial<EventStore>;
  /** What projections have for an event store. */
  readonly source?: (events: EventStore) => Partial<EventStore>;
  readonly store?: (store: Store) => Partial<Store>;
  /** Commands do not say because of which message they are executed. */
  readonly forgetful?: boolean;
}

export interface EventsScenario {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  readonly mutant?: EventsMutant;
}

/** What came to pass, to show that something did. */
export interface EventsOutcome {
  readonly outcomes: Readonly<Record<string, number>>;
  readonly hash: string;
}

/** Rejects with a `SimulationError` when an event is lost, doubled, decided on another state or passed over. */
export function runEvents({ seed, drain, mutant = {} }: EventsScenario): Promise<EventsOutcome> {
  const replay = (seed: number): string => `SEED=${seed} bun test tests/simulation/events.test.ts`;
  const world = { seed, replay, skew: 3_600_000, drift: 0.0045, lateness: 5, ...(drain && { drain }) };
  return simulate(world, async (simulation) => {
    const town = new Town(simulation, mutant);
    const names = ["a", "b", "c"].slice(0, 2 + simulation.random.below(2));
    for (const name of names) town.start(name);
    town.disturb(names);
    await town.until(() => false, FAULTS);
    town.heal(names);
    if (!await town.until(() => town.isSettled(), SETTLED)) {
      throw new Error(`not settled: ${town.unsettled()}`);
    }
    town.audit();
    town.stop();
    await simulation.run(10_000);
    const { timers } = simulation.pending();
    if (timers > 0) throw new Error(`${timers} timers are still running`);
    return { outcomes: town.outcomes, hash: simulation.trace.hash };
  });
}

/** One life of a node. */
interface Life {
  readonly name: string;
  readonly runtime: Runtime;
  readonly release: number;
  readonly random: SeededRandom;
  readonly halls: EventSourced<Hall, HallCommand, HallEvents, Refusal>;
  readonly projections: readonly Projection[];
  /** What it waits for. */
  readonly open: Set<string>;
  /** The position of the last event of a hall that it was told of. */
  heard: number;
}

class Town {
  readonly outcomes: Record<string, number> = {};
  readonly #simulation: Simulation;
  readonly #mutant: EventsMutant;
  readonly #random: SeededRandom;
  readonly #events: SimulatedEventStore;
  readonly #store: SimulatedStore;
  readonly #judge: HallJudge;
  /** Whether nodes of two releases run beside each other. */
  readonly #isMixed: boolean;
  readonly #stopped: AbortController = new AbortController();
  readonly #healed: AbortController = new AbortController();
  readonly #lives: Map<string, Life> = new Map();
  readonly #messages: HallMessage[] = [];
  readonly #rebuilds: Record<string, number> = { audit: 0, rows: 0 };

  constructor(simulation: Simulation, mutant: EventsMutant) {
    this.#simulation = simulation;
    this.#mutant = mutant;
    this.#random = simulation.random.fork("town");
    const latency = [0.2, this.#random.between(1, 30)] as const;
    const drift = this.#random.between(-0.004, 0.004);
    this.#events = simulatedEventStore(simulation, { latency, drift });
    this.#store = simulatedStore(simulation, { latency, drift: -drift });
    this.#judge = new HallJudge(this.#events, this.#store);
    this.#isMixed = this.#random.chance(0.4);
  }

  start(name: string, release: number = this.#isMixed ? 1 + this.#random.below(2) : 2): void {
    const runtime = this.#simulation.runtime(name);
    const random = this.#random.fork(`${name} ${this.#simulation.time}`);
    const plain = this.#events.open(runtime);
    const events = changed(plain, this.#mutant.events?.(plain));
    const store = this.#judged(this.#store.open(runtime));
    const snapshots = { store, every: 1 + random.below(6), version: release };
    const halls = eventSourced("hall", {
      decider: hallOf(release),
      events: hallEvents(release),
      store: events,
      runtime,
      snapshots: random.chance(0.7) ? snapshots : undefined,
      cache: random.pick([0, 1, 2, 1000]),
      tries: 1 + random.below(10),
      patience: random.between(500, 5000),
    });
    const source = changed(plain, this.#mutant.source?.(plain));
    const projections = this.#project(name, { release, runtime, random, events: source, store });
    const life: Life = { name, runtime, release, random, halls, projections, open: new Set(), heard: 0 };
    this.#lives.set(name, life);
    for (let workers = 3; workers > 0; workers--) this.#forever(life, 200, () => this.#command(life));
    this.#forever(life, 300, () => this.#look(life));
    this.#forever(life, 1000, () => this.#readRows(life));
    void this.#subscribe(life, source);
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
    });
    const rate = (most: number): number => random.chance(0.5) ? most * random.fraction() : 0;
    for (const server of [this.#events, this.#store]) {
      // In some seeds hardly anything goes well.
      const much = random.chance(0.2) ? 4 : 1;
      server.change({
        refused: rate(0.1 * much),
        lost: rate(0.1),
        unanswered: rate(0.2 * much),
        slow: rate(0.1),
        silence: random.chance(0.5) ? [20, 200] : [500, 3000],
      });
      cutOff(simulation, server, names, { random, times: 6, ms: FAULTS });
    }
    this.#store.change({ broken: rate(0.2) });
    this.#events.change({ short: rate(1) });
    for (let times = random.below(4); times > 0; times--) {
      simulation.after(random.between(0, FAULTS), () => this.#rebuild(random.pick(names), random.below(2)));
    }
    for (let times = random.below(6); times > 0; times--) {
      simulation.after(random.between(0, FAULTS), () => this.#noise(random.pick(names)));
    }
  }

  /** All is well, and nodes of the first release make way for the second. */
  heal(names: readonly string[]): void {
    this.#events.heal();
    this.#store.heal();
    this.#healed.abort();
    for (const name of names) {
      if (this.#lives.get(name)!.release === 2) continue;
      this.#simulation.crash(name);
      this.start(name, 2);
    }
  }

  isSettled(): boolean {
    return this.unsettled().length === 0;
  }

  unsettled(): string[] {
    const last = this.#judge.log.at(-1)?.position ?? 0;
    const lives = [...this.#lives.values()].flatMap(({ name, open, heard }) => [
      ...[...open].map((call) => `${name} waits for ${call}`),
      ...(heard < last ? [`${name} was told to ${heard} of ${last}`] : []),
    ]);
    return [...lives, ...(this.#judge.isCaughtUp() ? [] : ["the projections are behind"])];
  }

  audit(): void {
    this.#judge.audit(this.#messages, this.#rebuilds);
    if (this.#judge.broken !== undefined) throw new Error(this.#judge.broken);
    this.#count("events", this.#judge.log.length);
  }

  stop(): void {
    this.#stopped.abort();
    for (const { projections } of this.#lives.values()) {
      for (const projection of projections) void projection.stop();
    }
  }

  /** Lets time pass until a condition holds, which is looked at now and then. Throws what was found to be wrong. */
  async until(condition: () => boolean, ms: number): Promise<boolean> {
    for (let left = ms; left > 0; left -= 100) {
      await this.#simulation.run(100);
      if (this.#judge.broken !== undefined) throw new Error(this.#judge.broken);
      if (condition()) return true;
    }
    return false;
  }

  #project(
    owner: string,
    at: Pick<Life, "release" | "runtime" | "random"> & { readonly events: EventStore; readonly store: Store },
  ): readonly Projection[] {
    const { release, runtime, random, events, store } = at;
    const options = {
      from: { hall: hallEvents(release) },
      events,
      store,
      runtime,
      owner,
      batch: 1 + random.below(16),
      poll: random.between(100, 1000),
      ttl: 1000,
      patience: random.between(500, 5000),
    };
    const audit = startProjection("audit", {
      ...options,
      handle: async ({ position }, { generation, signal }) => {
        this.#judge.begins(generation, position);
        if (random.chance(0.2)) await sleep(runtime.clock, random.between(1, 150), signal);
        if (random.chance(0.03)) throw new Error("It breaks");
        this.#count("effects");
        this.#judge.ends(generation, position);
      },
    });
    const rows = startReadModel("rows", { ...options, initial: NO_ROW, key: rowsOf, evolve: rowAfter });
    return [audit, rows];
  }

  async #command(life: Life): Promise<void> {
    const { random, runtime, halls, release } = life;
    const message = this.#message(random, release);
    const { n, hall, caused, answers } = message;
    // Now and then a message comes again and wants something else.
    const isOther = message.command.type === "take" && answers.length > 0 && random.chance(0.1);
    const { count = 0 } = message.command as { readonly count?: number };
    const command = isOther ? { type: "take", order: n, count: 1 + count % 4 } as const : message.command;
    const at = answers.push("unknown") - 1;
    const ended = new AbortController();
    const stop = random.chance(0.1)
      ? runtime.clock.timer(random.between(1, 2000), () => ended.abort())
      : () => {};
    const context = caused && this.#mutant.forgetful !== true ? { context: { id: `m${n}` } } : {};
    const meta = { tag: tagOf(message, command) };
    await this.#asked(life, hall, `command ${meta.tag}`, async (span) => {
      const result = await halls.execute(hall, command, { ...context, meta, signal: ended.signal });
      stop();
      this.#judge.executed(message, command, release, span(), result);
      const happened = result.ok && result.value.events.length > 0;
      answers[at] = result.ok ? (happened ? "done" : "nothing") : result.error.code;
      this.#count(result.ok && result.value.repeated ? "repeated" : answers[at]);
      if (happened && random.chance(0.2)) await this.#awaitRow(life, hall, unwrap(result).position);
    });
  }

  /** A message that came before, or a new one. */
  #message(random: SeededRandom, release: number): HallMessage {
    const before = this.#messages.slice(-LATELY)
      .filter(({ caused, command }) => caused && (release === 2 || command.type !== "clean"));
    if (before.length > 0 && random.chance(0.3)) return random.pick(before);
    const n = this.#messages.length + 1;
    const what = random.fraction();
    const taken = this.#messages.filter(({ command, answers }) =>
      command.type === "take" && (answers.includes("done") || answers.includes("TRANSPORT"))
    );
    const given = taken.length > 0 && what < 0.4 ? random.pick(taken.slice(-LATELY)) : undefined;
    const command: HallCommand = given !== undefined
      ? { type: "give", order: given.n }
      : what < 0.9
      ? { type: "take", order: n, count: 1 + random.below(4) }
      : what < 0.95 || release === 1
      ? { type: "look" }
      : { type: "clean" };
    const hall = given?.hall ?? random.pick(HALLS);
    const message = { n, hall, command, caused: random.chance(0.7), answers: [] };
    this.#messages.push(message);
    return message;
  }

  /** Whoever has waited for a position finds a row that knows of it, unless it is begun anew meanwhile. */
  async #awaitRow({ projections, runtime }: Life, hall: string, position: number): Promise<void> {
    const rows = projections[1] as ReturnType<typeof startReadModel<never, typeof NO_ROW>>;
    const { g } = this.#judge.progress("rows");
    if (!await rows.reached(position, { timeout: 3000 })) return this.#count("not reached");
    const row = await rows.get(hall).catch(() => null);
    if (row === null || this.#judge.progress("rows").g !== g || !this.#runs(runtime)) return;
    this.#count("reached");
    const possible = [...this.#judge.log.filter((event) => event.position > position)].map((event) =>
      event.position
    );
    const wanted = [position, ...possible].map((at) => JSON.stringify(this.#judge.row(hall, at)));
    if (!wanted.includes(JSON.stringify(row))) {
      this.#judge.fail(`the row of "${hall}" had reached ${position}, and is ${JSON.stringify(row)}`);
    }
  }

  /** Reads a state, or what has happened. */
  async #look(life: Life): Promise<void> {
    const { random, halls, release } = life;
    const hall = random.pick(HALLS);
    const known = this.#judge.log.filter(({ entity }) => entity === hall);
    const one = known.length === 0 ? undefined : random.pick(known);
    const what = random.below(4);
    const options = what === 1
      ? { version: random.below(known.length + 2) }
      : what === 2
      ? { at: (one?.at ?? 0) + random.pick([-1, 0, 0.5]) }
      : {};
    await this.#asked(life, hall, `look ${JSON.stringify(options)}`, async (span) => {
      try {
        if (what === 3) {
          const from = 1 + random.below(known.length + 1);
          const told = await Array.fromAsync(halls.history(hall, { from }));
          this.#judge.told(hall, span(), { from }, told.map(({ version }) => version));
        } else {
          const loaded = await halls.load(hall, options);
          this.#judge.loaded(hall, release, span(), options, loaded);
        }
        this.#count("looked");
      } catch (thrown) {
        const { code, retryable } = thrown as CatgaError;
        if (!retryable && !(code === "SERIALIZATION" && release === 1)) this.#judge.fail(`${thrown}`);
      }
    });
  }

  async #readRows(life: Life): Promise<void> {
    const rows = life.projections[1] as ReturnType<typeof startReadModel<never, typeof NO_ROW>>;
    for (const { key, position, state } of await rows.list().catch(() => [])) {
      this.#judge.rowRead(key, position, state);
    }
  }

  /** Hears of every event, none left out. */
  async #subscribe(life: Life, store: EventStore): Promise<void> {
    const { runtime, random, release } = life;
    const after = random.chance(0.5)
      ? 0
      : random.pick([0, ...this.#judge.log.map(({ position }) => position)]);
    const { signal } = this.#stopped;
    const from = { hall: hallEvents(release) };
    const options = { after, batch: 1 + random.below(8), poll: random.between(100, 1000), patience: 1000 };
    life.heard = after;
    try {
      for await (const { position } of subscribeEvents({ from, store, runtime, signal, ...options })) {
        const next = this.#judge.after(life.heard);
        if (position !== next) this.#judge.fail(`told of ${position} instead of ${next}`);
        life.heard = position;
        if (random.chance(0.1)) await sleep(runtime.clock, random.between(1, 100), signal);
      }
    } catch (thrown) {
      const { code } = thrown as CatgaError;
      if (code !== "SERIALIZATION" || release !== 1) this.#judge.fail(`a subscription failed: ${thrown}`);
      this.#count("unread");
    }
  }

  #rebuild(name: string, which: number): void {
    const { projections, runtime } = this.#lives.get(name)!;
    const projection = projections[which]!;
    if (!this.#runs(runtime)) return;
    projection.rebuild().then(() => {
      this.#rebuilds[projection.name]!++;
      this.#count("rebuilt");
    }, () => {});
  }

  /** Something that nobody reads. */
  #noise(name: string): void {
    const { runtime } = this.#lives.get(name)!;
    if (!this.#runs(runtime)) return;
    const event = { id: `${this.#random.u32()}`, type: "noise", data: "{" };
    void this.#events.open(runtime).append("noise", [event]).catch(() => {});
  }

  #forever(life: Life, rest: number, work: () => Promise<void>): void {
    const { signal } = this.#healed;
    const { random, runtime: { clock } } = life;
    void (async () => {
      for (;;) {
        await sleep(clock, random.between(0, rest), signal);
        if (signal.aborted) return;
        await work();
      }
    })();
  }

  /** Asks something about a hall that has to come to an end. */
  async #asked(
    { open }: Life,
    hall: string,
    what: string,
    work: (span: () => Span) => Promise<void>,
  ): Promise<void> {
    const from = this.#judge.version(hall);
    const call = `${what} ${this.#simulation.time}`;
    open.add(call);
    await work(() => ({ from, to: this.#judge.version(hall) }));
    open.delete(call);
  }

  #runs(runtime: Runtime): boolean {
    return [...this.#lives.values()].some((life) =>
      life.runtime === runtime && this.#simulation.alive(life.name)
    );
  }

  /** A store whose checkpoints are judged as soon as they are known to be kept. */
  #judged(plain: Store): Store {
    const store = changed(plain, this.#mutant.store?.(plain));
    return changed(store, {
      put: async (key, value, options) => {
        const revision = await store.put(key, value, options);
        if (key.startsWith("projections/") && key.endsWith("/at")) this.#judge.checkpoint(key, value);
        return revision;
      },
    });
  }

  #count(what: string, by = 1): void {
    this.outcomes[what] = (this.outcomes[what] ?? 0) + by;
  }
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
