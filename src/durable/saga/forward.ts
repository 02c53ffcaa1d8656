import { failure, type Fault, faultOf, isResult, ok, type Result } from "../../result.ts";
import { createTurn } from "../../internal/turn.ts";
import type { Clock } from "../../ports/runtime.ts";
import { type Ask, type AskHost, Asks, cancelledFault, type StepHost } from "./asks.ts";
import type { Instance } from "./instance.ts";
import { Journal, type JournalHost } from "./journal.ts";
import { keptFault } from "./settle_step.ts";
import type { SagaDefinition } from "./saga.ts";
import type { JournalRecord } from "./saga_record.ts";
import { Scope } from "./scope.ts";

/** How long an instance only waits before it goes out of memory, in ms. */
const PARK = 2000;

/** How running the function ended. */
export type ForwardEnd =
  | { readonly type: "returned"; readonly result: Result<unknown, Fault> }
  | { readonly type: "stuck"; readonly reason: string }
  /** It waits, and nobody needs to have it; it was to stop; another has it. */
  | { readonly type: "parked" | "stopped" | "lost" };

interface Beginning {
  readonly prepare: (() => Promise<void>) | undefined;
  readonly start: () => void;
}

/**
 * Runs the function of an instance. What it asks for is written down before it is done, and with it all that was
 * answered meanwhile; so a step costs one write.
 */
export class Forward implements AskHost, JournalHost {
  readonly id: string;
  readonly clock: Clock;
  readonly host: StepHost;
  readonly #instance: Instance;
  readonly journal: Journal;
  readonly #stop: AbortController = new AbortController();
  readonly #hurry: AbortController = new AbortController();
  readonly #beginnings: Beginning[] = [];
  readonly #asks: Asks;
  readonly #turn: () => void;
  readonly #lost: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #ended: Promise<ForwardEnd>;
  #end!: (end: ForwardEnd) => void;
  #over: ForwardEnd | undefined;
  #kept: number;
  #changed = false;
  #writing: Promise<void> | undefined;
  #parking: (() => void) | undefined;

  constructor(instance: Instance, host: StepHost) {
    this.id = instance.id;
    this.clock = host.runtime.clock;
    this.host = host;
    this.#instance = instance;
    this.#kept = instance.record.journal.length;
    this.journal = new Journal([...instance.record.journal], this);
    this.#turn = createTurn(() => this.journal.size, () => this.#flush());
    this.#ended = new Promise((resolve) => this.#end = resolve);
    this.#asks = new Asks(this);
    if (this.isCancelled) this.#hurry.abort();
  }

  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  get hurry(): AbortSignal {
    return this.#hurry.signal;
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  get isCancelled(): boolean {
    return this.#instance.record.cancel === true;
  }

  /** Runs it until it ends one way or the other. When it has, no step is under way any more. */
  async run({ run }: SagaDefinition): Promise<ForwardEnd> {
    const body = this.#instance.record.body as never;
    // The function may throw at once.
    const called = async (): Promise<unknown> => await run(body, new Scope(this.#asks));
    called().then(
      (value) => isResult(value) ? value : ok(value),
      (thrown: unknown) => failure(faultOf(thrown)),
    ).then((result) => this.#finish({ type: "returned", result }));
    let end = await this.#ended;
    this.journal.freeze();
    this.#parking?.();
    for (const until of this.#asks.untils) until.close();
    if (end.type !== "returned" || !end.result.ok) this.#hurry.abort();
    await Promise.race([this.#writing, this.#lost.promise]);
    while (this.#asks.flying.size > 0 && this.#over?.type !== "lost") {
      await Promise.race([...this.#asks.flying, this.#lost.promise]);
    }
    end = this.#over ?? end;
    if (end.type !== "returned") return end;
    // It was stopped while steps were under way.
    if (this.records.some(({ kind, order }) => kind === "step" && order === undefined)) {
      return { type: "stopped" };
    }
    if (this.journal.repeated) return end;
    return { type: "stuck", reason: diverged("it ended before it asked for all that it asked for") };
  }

  /** The journal as it may be written. */
  get records(): JournalRecord[] {
    return this.journal.records.slice(0, this.#kept);
  }

  /** Nothing more is begun; what is under way comes to its end. */
  end(): void {
    this.#finish({ type: "stopped" });
    this.#stop.abort();
    this.#hurry.abort();
  }

  /** Another has it. */
  lose(): void {
    this.#finish({ type: "lost" });
    this.#over = { type: "lost" };
    this.#stop.abort();
    this.#hurry.abort();
    this.#lost.resolve();
  }

  /** Somebody asks that it ends: what it asks for from now on fails. */
  cancelled(): void {
    this.#asks.cancelled();
    this.#hurry.abort();
  }

  diverged(reason: string): void {
    this.#finish({ type: "stuck", reason: diverged(reason) });
  }

  told(): void {
    this.#turnSoon();
  }

  ask({ record, tell, refuse, start, prepare }: Ask): void {
    if (this.#over !== undefined) return;
    if (this.isCancelled && this.journal.repeated) return refuse(cancelledFault(this.id, record.key));
    let asked: ReturnType<Journal["ask"]>;
    try {
      asked = this.journal.ask(record);
    } catch (thrown) {
      return refuse(thrown);
    }
    if (asked === undefined) return;
    const { record: kept, index } = asked;
    if (kept.order !== undefined) return this.journal.settle(kept, () => tell(kept));
    if (kept !== record) return start(kept, index, false);
    this.#beginnings.push({
      prepare: prepare && (() => prepare(index)),
      start: () => start(record, index, true),
    });
    this.#changed = true;
    this.#turnSoon();
  }

  changed(): void {
    this.#changed = true;
  }

  stuck(reason: string): void {
    this.#finish({ type: "stuck", reason });
  }

  #turnSoon(): void {
    this.#parking?.();
    this.#parking = undefined;
    if (this.#over === undefined) this.#turn();
  }

  #flush(): void {
    if (this.#writing !== undefined) return;
    this.#writing = this.#writeAll().then(() => {
      this.#writing = undefined;
      this.#restSoon();
    });
    this.host.runtime.background(this.#writing);
  }

  async #writeAll(): Promise<void> {
    while (this.#changed && this.#over === undefined) {
      this.#changed = false;
      const beginnings = this.#beginnings.splice(0);
      const { length } = this.journal.records;
      await Promise.all(beginnings.map(({ prepare }) => prepare?.()));
      if (this.#over !== undefined) return;
      const before = this.#kept;
      this.#kept = length;
      if (!await this.#write()) return this.lose();
      // What it does not begin any more it has not asked for.
      if (this.#over !== undefined) this.#kept = before;
      else for (const { start } of beginnings) start();
    }
  }

  async #write(): Promise<boolean> {
    try {
      return await this.#instance.write((record) => record.journal = this.records);
    } catch (thrown) {
      this.#finish({ type: "stuck", reason: `It cannot be kept: ${keptFault(faultOf(thrown)).message}` });
      return true;
    }
  }

  /** Goes out of memory after a while, if all that it does is wait. */
  #restSoon(): void {
    const now = this.clock.mono();
    const isIdle = this.#over === undefined && !this.#changed && this.journal.idle &&
      this.#asks.flying.size === 0 &&
      this.#asks.untils.size > 0 && [...this.#asks.untils].every(({ due }) => due - now > PARK);
    if (isIdle) this.#parking = this.clock.timer(PARK, () => this.#finish({ type: "parked" }));
  }

  #finish(end: ForwardEnd): void {
    // Whatever else has happened, what nobody can decide is said.
    if (this.#over?.type === "returned" && end.type === "stuck") this.#over = end;
    this.#over ??= end;
    this.#end(this.#over);
  }
}

function diverged(reason: string): string {
  return `Its code is not what it began with: ${reason}; register that as an earlier version, then resume or cancel it`;
}
