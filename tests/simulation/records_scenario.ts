/**
 * Nodes that move money between records by events, over a store and a queue that lose, delay and forget to answer, while
 * nodes crash, stand still and their clocks jump; then everything heals, and the ledger must be right.
 */

import { type CatgaError, reliableEvent, type } from "@catga/catga";
import { inbox, records, type Relay, startRelay } from "@catga/catga/durable";
import type { Queue, Store } from "@catga/catga/ports";
import {
  type Drain,
  injectFaults,
  type SeededRandom,
  simulate,
  type SimulatedQueue,
  simulatedQueue,
  type SimulatedStore,
  simulatedStore,
  type Simulation,
} from "@catga/catga/testing";
import { sleep } from "../../src/internal/sleep.ts";
import { json } from "../../src/wire/json.ts";
import { decodeParcel } from "../../src/wire/parcel.ts";
import { cutOff } from "./cut_off.ts";

const FAULTS = 8000;
/** How long a message may wait to be told once it is there and everything is well (G6), or its relay has crashed. */
const TOLD = 5000;
/** How long it may take then until nothing is left of it, and all is booked. */
const TIDY = 15_000;
const BOOKED = 30_000;
const ACCOUNTS = ["ann", "bob", "cat", "dan"];
const GROUP = "bank/book";
const LISTENER = "audit/listen";
const FUNDS = 100;
/** After these, nothing has happened. */
const NOTHING_DONE = ["UNAVAILABLE", "OVERLOADED"];

const Sent = reliableEvent("sent", { data: type<{ n: number; to: string; amount: number }>() });

interface Account {
  readonly balance: number;
  /** The numbers of the transfers that went out and came in, in order. */
  readonly sent: readonly number[];
  readonly got: readonly number[];
}

const NEW: Account = { balance: FUNDS, sent: [], got: [] };

interface BankNode {
  readonly relay: Relay;
  readonly pay: () => Promise<void>;
  /** How many transfers it is at. */
  paying: number;
}

/** A rule broken on purpose. */
export interface RecordsMutant {
  /** What those who change records have for a store. */
  readonly store?: (store: Store) => Partial<Store>;
  /** What a relay has for a store. */
  readonly relayStore?: (store: Store) => Partial<Store>;
  readonly queue?: (queue: Queue) => Partial<Queue>;
  /** The handler does not say because of what it changes a record. */
  readonly forgetful?: boolean;
}

export interface RecordsScenario {
  readonly seed: number;
  readonly drain?: Drain | undefined;
  readonly mutant?: RecordsMutant;
}

/** What came to pass, to show that something did. */
export interface RecordsOutcome {
  readonly outcomes: Readonly<Record<string, number>>;
  readonly hash: string;
}

/** Rejects with a `SimulationError` when money or an event is lost, doubled, made up or out of order. */
export function runRecords({ seed, drain, mutant = {} }: RecordsScenario): Promise<RecordsOutcome> {
  const replay = (seed: number): string => `SEED=${seed} bun test tests/simulation/records.test.ts`;
  const world = { seed, replay, skew: 3_600_000, drift: 0.0045, lateness: 5, ...(drain && { drain }) };
  return simulate(world, async (simulation) => {
    const bank = new Bank(simulation, mutant);
    await bank.open();
    const names = ["a", "b", "c"].slice(0, 2 + simulation.random.below(2));
    for (const name of names) bank.start(name);
    bank.disturb(names);
    await simulation.run(FAULTS);
    bank.heal();
    if (!await simulation.until(() => bank.isTold(), TIDY)) {
      throw new Error(`not all is told ${TIDY} ms after the last fault: ${bank.untold().join(" ")}`);
    }
    await bank.bereave(names);
    if (!await simulation.until(() => bank.isBooked(), BOOKED)) throw new Error("not all is booked in time");
    await simulation.run(5000);
    await bank.audit();
    bank.stop();
    await simulation.run(10_000);
    const { timers } = simulation.pending();
    if (timers > 0) throw new Error(`${timers} timers are still running`);
    return { outcomes: bank.outcomes, hash: simulation.trace.hash };
  });
}

class Bank {
  readonly outcomes: Record<string, number> = {};
  readonly #simulation: Simulation;
  readonly #store: SimulatedStore;
  readonly #queue: SimulatedQueue;
  readonly #mutant: RecordsMutant;
  readonly #random: SeededRandom;
  readonly #stopped: AbortController = new AbortController();
  readonly #healed: AbortController = new AbortController();
  /** What came of each transfer, as whoever asked for it knows. */
  readonly #answers: Map<number, string> = new Map();
  /** The latest life of each node. */
  readonly #nodes: Map<string, BankNode> = new Map();
  /** Since when each message that is not told could have been. */
  readonly #waiting: Map<string, number> = new Map();
  #transfers = 0;

  constructor(simulation: Simulation, mutant: RecordsMutant) {
    this.#simulation = simulation;
    this.#mutant = mutant;
    this.#random = simulation.random.fork("bank");
    const latency = [0.2, this.#random.between(1, 30)] as const;
    this.#store = simulatedStore(simulation, { latency, drift: this.#random.between(-0.004, 0.004) });
    this.#queue = simulatedQueue(simulation, { latency });
  }

  async open(): Promise<void> {
    const queue = this.#queue.open(this.#simulation.runtime("auditor"));
    let begun = 0;
    for (const group of [GROUP, LISTENER]) void queue.subscribe("sent", group).then(() => begun++);
    await this.#simulation.until(() => begun === 2, 1000);
  }

  start(name: string): void {
    const runtime = this.#simulation.runtime(name);
    const { store: change, relayStore, queue: changeQueue } = this.#mutant;
    const plain = this.#store.open(runtime);
    const store = changed(plain, change?.(plain));
    const line = this.#queue.open(runtime);
    const queue = changed(line, changeQueue?.(line));
    const relay = startRelay({ store: changed(plain, relayStore?.(plain)), queue, runtime, owner: name });
    const marks = inbox(plain, { runtime });
    const random = this.#random.fork(`${name} ${this.#simulation.time}`);
    const timeout = random.between(500, 5000);
    const accounts = records<Account>("accounts", { store, runtime, relay, inbox: marks, timeout });
    const { signal } = this.#stopped;
    signal.addEventListener("abort", () => void relay.stop(), { once: true });

    const book = async (): Promise<void> => {
      for (const delivery of await queue.pull("sent", GROUP, { max: 4, lease: 2000, wait: 500, signal })) {
        const { id, body } = decodeParcel(json, delivery.payload);
        const { to, n, amount } = body as { to: string; n: number; amount: number };
        if (!await marks.seen(GROUP, id)) {
          const context = { id, delivery: { group: GROUP, attempt: delivery.attempt } };
          const take = ({ balance, sent, got }: Account = NEW): Account => ({
            balance: balance + amount,
            sent,
            got: [...got, n],
          });
          await accounts.update(to, take, this.#mutant.forgetful ? {} : { context });
          await marks.done(GROUP, id);
        } else this.#count("repeated");
        await delivery.ack();
      }
    };
    const pay = async (): Promise<void> => {
      const n = ++this.#transfers;
      life.paying++;
      const from = random.pick(ACCOUNTS);
      const to = random.pick(ACCOUNTS.filter((other) => other !== from));
      const amount = 1 + random.below(9);
      this.#answers.set(n, "unknown");
      const give = (
        { balance, sent, got }: Account = NEW,
        tx: { publish(event: ReturnType<typeof Sent>): void },
      ): Account => {
        tx.publish(Sent({ n, to, amount }));
        return { balance: balance - amount, sent: [...sent, n], got };
      };
      const answer = await accounts.update(from, give, { context: { id: `transfer-${n}` } })
        .then(() => "done", (error: CatgaError) => error.code);
      life.paying--;
      this.#answers.set(n, answer);
      this.#count(answer);
    };
    const life: BankNode = { relay, pay, paying: 0 };
    this.#nodes.set(name, life);
    const forever = async (work: () => Promise<void>, rest: () => number): Promise<void> => {
      while (!signal.aborted) {
        await work().catch(() => {});
        await sleep(runtime.clock, rest(), signal);
      }
    };
    void forever(book, () => random.between(0, 50));
    void (async () => {
      while (!this.#healed.signal.aborted) {
        await pay();
        await sleep(runtime.clock, random.between(0, 300), this.#healed.signal);
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
    });
    const rate = (most: number): number => random.chance(0.5) ? most * random.fraction() : 0;
    for (const server of [this.#store, this.#queue]) {
      server.change({
        refused: rate(0.1),
        lost: rate(0.1),
        unanswered: rate(0.2),
        slow: rate(0.1),
        silence: random.chance(0.5) ? [20, 200] : [500, 3000],
      });
      cutOff(simulation, server, names, { random, times: 6, ms: FAULTS });
    }
    this.#store.change({ broken: rate(0.2) });
  }

  heal(): void {
    this.#store.heal();
    this.#queue.heal();
    this.#healed.abort();
  }

  /** Whether nobody changes anything and nothing is left to tell. Throws when a message has waited too long. */
  isTold(): boolean {
    const { time } = this.#simulation;
    const open = this.#messages();
    for (const id of this.#waiting.keys()) if (!open.has(id)) this.#waiting.delete(id);
    for (const id of open) {
      const since = this.#waiting.get(id) ?? time;
      this.#waiting.set(id, since);
      this.outcomes["longest"] = Math.max(this.outcomes["longest"] ?? 0, time - since);
      if (time - since > TOLD) throw new Error(`not all is told: ${id} has waited for more than ${TOLD} ms`);
    }
    const paying = [...this.#nodes].some(([name, { paying }]) => paying > 0 && this.#simulation.alive(name));
    return !paying && this.untold().length === 0;
  }

  /** Ends the node that tells, just when there is something to tell; another one has to. */
  async bereave(names: readonly string[]): Promise<void> {
    const simulation = this.#simulation;
    const tells = (name: string): boolean => this.#nodes.get(name)!.relay.backlog().active;
    if (!await simulation.until(() => names.some(tells), TOLD)) throw new Error("no relay holds the lease");
    const teller = names.find(tells)!;
    void this.#nodes.get(this.#random.pick(names))!.pay();
    const isThere = (): boolean => this.#messages().size > 0;
    if (!await simulation.until(isThere, TOLD)) throw new Error("nothing is to be told");
    simulation.crash(teller);
    if (!await simulation.until(() => this.isTold(), TIDY)) throw new Error("not all is told by the other");
    this.#count("bereft");
  }

  /** Marks, and records that have something to tell. */
  untold(): string[] {
    return this.#store.entries().filter(({ key, value }) =>
      key.startsWith("outbox/") || (key.startsWith("records/") && !value.startsWith("[1,[],"))
    ).map(({ key }) => key);
  }

  /** The ids of what records still have to tell. */
  #messages(): Set<string> {
    const records = this.#store.entries().filter(({ key }) => key.startsWith("records/"));
    return new Set(records.flatMap(({ value }) => {
      const [, outbox] = JSON.parse(value.split("\n", 1)[0]!) as [number, [id: string][]];
      return outbox.map(([id]) => id);
    }));
  }

  isBooked(): boolean {
    return this.#queue.pending().every(({ group }) => group !== GROUP);
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** What must be so in the end. */
  async audit(): Promise<void> {
    const accounts = new Map(ACCOUNTS.map((name) => [name, this.#account(name)]));
    const all = [...accounts.values()];
    const sent = all.flatMap((account) => account.sent), got = all.flatMap((account) => account.got);
    const total = all.reduce((sum, { balance }) => sum + balance, 0);
    if (twice(sent) !== undefined) throw new Error(`transfer ${twice(sent)} was paid twice`);
    if (twice(got) !== undefined) throw new Error(`transfer ${twice(got)} was booked twice`);
    const paid = new Set(sent);
    const ghost = got.find((n) => !paid.has(n));
    if (ghost !== undefined) throw new Error(`transfer ${ghost} was booked and never paid`);
    if (got.length !== sent.length) throw new Error(`${sent.length} were paid and ${got.length} booked`);
    if (total !== FUNDS * ACCOUNTS.length) throw new Error(`the accounts sum to ${total}`);
    for (const [n, answer] of this.#answers) {
      if (answer === "done" && !paid.has(n)) {
        throw new Error(`transfer ${n} was said to be done, and was not`);
      }
      if (NOTHING_DONE.includes(answer) && paid.has(n)) {
        throw new Error(`transfer ${n} was answered ${answer}, and done`);
      }
    }
    const heard = await this.#heard();
    for (const [name, { sent }] of accounts) {
      const told = heard.get(`accounts/${name}`) ?? [];
      if (told.join() !== sent.join()) {
        throw new Error(`"${name}" paid ${sent.join()}, and the order that was told is ${told.join()}`);
      }
    }
    this.#count("paid", sent.length);
  }

  #account(name: string): Account {
    const entry = this.#store.entries().find(({ key }) => key === `records/accounts/${name}`);
    const state = entry?.value.split("\n").at(-1);
    return state === undefined || state === "" ? NEW : JSON.parse(state);
  }

  /** The numbers of the transfers by key, as a listener hears of them. */
  async #heard(): Promise<Map<string, number[]>> {
    const queue = this.#queue.open(this.#simulation.runtime("auditor"));
    const heard = new Map<string, number[]>();
    let over = false;
    const listen = async (): Promise<void> => {
      for (;;) {
        const deliveries = await queue.pull("sent", LISTENER, { max: 1000, lease: 60_000 });
        for (const { key = "", payload } of deliveries) {
          const { n } = decodeParcel(json, payload).body as { n: number };
          heard.set(key, [...heard.get(key) ?? [], n]);
        }
        await Promise.all(deliveries.map((delivery) => delivery.ack()));
        if (deliveries.length === 0) return void (over = true);
      }
    };
    void listen();
    await this.#simulation.until(() => over, 100_000);
    return heard;
  }

  #count(what: string, by = 1): void {
    this.outcomes[what] = (this.outcomes[what] ?? 0) + by;
  }
}

function twice(numbers: readonly number[]): number | undefined {
  return numbers.find((n, at) => numbers.indexOf(n) !== at);
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
