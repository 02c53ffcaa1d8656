import { type Fault, faultOf, systemFault } from "../result.ts";
import { backoff } from "../internal/backoff.ts";
import { sleep } from "../internal/sleep.ts";
import type { Delivery } from "../ports/queue.ts";
import type { ConsumerHost } from "./consumer_types.ts";
import { deliveryName } from "./dead_letters_name.ts";
import { DeliveryHistory, type HandOuts, NOTHING } from "./delivery_history.ts";
import type { Grip } from "./grip.ts";

/** What a round needs of its consumer. */
export interface RoundHost extends Omit<ConsumerHost, "queue" | "idle" | "concurrency"> {
  /** Whether others need the place. */
  isFull(): boolean;
  /** It is handled alone. */
  begunAlone(): void;
  /** Something went wrong that is not a handler's fault. */
  warn(event: string, what: string, thrown: unknown): void;
}

/** What came of a round. */
export type RoundEnd = "handled" | "repeated" | "putBack" | "buried";

/** How long to wait between two tries, in ms: twice as long each time, up to the second. */
const DELAY = 100;
const LONGEST = 5000;
/** How often the store is asked before a delivery is put off where others need the place. */
const ASKED = 5;
/** How often a delivery is handed out with nothing heard of it before it is handled alone. */
const UNHEARD = 3;
/** How often a process may end that is alone with a delivery before that is buried unseen. */
const ENDED = 10;
/** How long those that were begun before are waited for, in ms, before one is alone. */
const PATIENCE = 5000;
/** What trying again does not heal. */
const PERMANENT: ReadonlySet<string> = new Set(["VALIDATION", "SERIALIZATION", "NO_HANDLER"]);

/** One time that a delivery is in the hands of this process, from being handed out to its end. */
export class Round {
  readonly #host: RoundHost;
  readonly #delivery: Delivery;
  readonly #grip: Grip;
  /** Made when it is needed: what goes well the first time has none. */
  #kept: DeliveryHistory | undefined;
  /** What came of the times before. */
  #past: HandOuts = NOTHING;
  #place: "inside" | "alone" | undefined;
  readonly #letIn = (): false => {
    this.leave();
    return false;
  };

  constructor(host: RoundHost, delivery: Delivery, grip: Grip) {
    this.#host = host;
    this.#delivery = delivery;
    this.#grip = grip;
  }

  /**
   * Does all that is to be done; `leave` has to be said when it has settled. Rejects when the delivery is no longer this
   * process's, or nobody can be asked.
   */
  async run(): Promise<RoundEnd> {
    const { marks, markOf, group, attempts } = this.#host;
    const delivery = this.#delivery;
    const grip = this.#grip;
    const id = (marks && markOf?.(delivery)) ?? delivery.id;
    const isRepeated = !deliveryName(delivery.id).isFor(group) ||
      marks !== undefined && await grip.persist(() => marks.seen(group, id));
    if (isRepeated) {
      await this.#finish();
      return "repeated";
    }
    try {
      if (delivery.attempt > 1) await this.#remember();
    } catch (thrown) {
      return await this.#putOff("nobody can say how often it failed", thrown);
    }
    if (this.#past.alone >= ENDED) return await this.#bury(ended(ENDED), this.#past.failed);
    const fault = await this.#tries(this.#place === "alone" ? 1 : attempts);
    if (fault === undefined) {
      if (marks !== undefined) await this.#persist(() => marks.done(group, id));
      await this.#persist(() => delivery.ack());
      if (this.#kept !== undefined) await this.#kept.forget();
      return "handled";
    }
    if (grip.lost) throw grip.signal.reason;
    if (grip.lettingGo) return await this.#giveBack();
    return await this.#failed(fault);
  }

  get #history(): DeliveryHistory {
    return this.#kept ??= new DeliveryHistory(this.#host, this.#delivery, this.#grip.closed);
  }

  /** Finds out what came of the times before, and is alone where nobody knows. */
  async #remember(): Promise<void> {
    const { quarantine, lease, topic, group, runtime, begunAlone } = this.#host;
    const { id, attempt } = this.#delivery;
    await this.#ask(() => this.#history.read());
    const past = this.#past = this.#history.handOuts;
    if (past.alone >= ENDED || this.#history.unheard < UNHEARD) return;
    if (!await quarantine.close(this.#grip.signal, Math.min(lease, PATIENCE))) throw this.#grip.signal.reason;
    this.#place = "alone";
    if (!this.#grip.held) await this.#grip.hold();
    // Written before it begins: it stays if the process ends.
    await this.#ask(() => this.#history.write({ ...past, alone: past.alone + 1 }, 0));
    begunAlone();
    runtime.log({
      level: "warn",
      event: "consumer.alone",
      message:
        `"${id}" of "${topic}" was handed to "${group}" ${this.#history.unheard} times, and nobody said what came of it: it is handled alone`,
      fields: { topic, group, id, attempt, ended: past.alone },
    });
  }

  /** Tries a few times; what the last one failed with. */
  async #tries(attempts: number): Promise<Fault | undefined> {
    const { handle, runtime, quarantine } = this.#host;
    const grip = this.#grip;
    for (let failures = 1;; failures++) {
      if (this.#place === undefined) {
        const waiting = quarantine.enter(grip.signal);
        this.#place = "inside";
        if (waiting !== undefined) {
          await waiting;
          if (grip.signal.aborted) return faultOf(grip.signal.reason);
        }
      }
      if (!grip.held) await grip.hold();
      const result = await handle(this.#delivery, grip.signal);
      if (result.ok) return undefined;
      if (failures >= attempts || PERMANENT.has(result.error.code) || grip.signal.aborted) {
        return result.error;
      }
      this.leave();
      await sleep(runtime.clock, backoff(failures, DELAY, LONGEST, runtime.random.u32()), grip.signal);
      if (grip.signal.aborted) return result.error;
    }
  }

  /** Counts the round, and then puts the delivery back: who crashes in between has not lost the count. */
  async #failed(fault: Fault): Promise<RoundEnd> {
    const { failed, alone } = this.#past;
    const delay = PERMANENT.has(fault.code) ? undefined : this.#host.redeliver[failed];
    if (delay === undefined) return await this.#bury(fault, failed + 1);
    this.#past = { failed: failed + 1, heard: this.#delivery.attempt, alone };
    try {
      await this.#ask(() => this.#history.write(this.#past, delay));
    } catch (thrown) {
      return await this.#putOff("nobody can be told that it failed", thrown);
    }
    await this.#persist(() => this.#delivery.retry(delay));
    return "putBack";
  }

  async #bury(fault: Fault, attempts: number): Promise<RoundEnd> {
    const { bury, topic, group, runtime } = this.#host;
    const { id, attempt } = this.#delivery;
    try {
      await this.#ask(() => bury(this.#delivery, fault, { attempts, handedOut: attempt }));
    } catch (thrown) {
      this.#past = { ...this.#past, failed: attempts };
      return await this.#putOff("it cannot become a dead letter", thrown);
    }
    await this.#finish();
    runtime.log({
      level: "error",
      event: "consumer.buried",
      message: `"${id}" of "${topic}" is a dead letter of "${group}": ${fault.code} ${fault.message}`,
      fields: { topic, group, id, attempts, handedOut: attempt, code: fault.code },
    });
    return "buried";
  }

  /** Gives it back for a while, since something is away that is needed. */
  async #putOff(what: string, thrown: unknown): Promise<RoundEnd> {
    const { redeliver, warn } = this.#host;
    if (this.#grip.lost) throw thrown;
    if (this.#grip.lettingGo) return await this.#giveBack();
    const delay = Math.max(redeliver.at(-1) ?? 0, LONGEST);
    warn("consumer.put_off", `"${this.#delivery.id}" is put off: ${what}`, thrown);
    this.leave();
    await this.#history.givenBack(this.#past, delay);
    await this.#persist(() => this.#delivery.retry(delay));
    return "putBack";
  }

  /** Gives it back at once; that nothing was wrong is said meanwhile, as the process may have little time left. */
  async #giveBack(): Promise<RoundEnd> {
    const said = this.#history.givenBack(this.#past, 0);
    await this.#persist(() => this.#delivery.retry(0));
    await said;
    return "putBack";
  }

  async #finish(): Promise<void> {
    await this.#persist(() => this.#delivery.ack());
    await this.#history.forget();
  }

  /** Asks until it goes well, but not for ever where others wait. */
  #ask(work: () => Promise<void>): Promise<void> {
    const { isFull } = this.#host;
    return this.#grip.persist(
      work,
      (failures) => failures >= ASKED && (this.#place === "alone" || isFull()),
    );
  }

  /** Does something until it goes well; nobody has to wait for that. */
  #persist(work: () => Promise<void>): Promise<void> {
    return this.#grip.persist(work, this.#letIn);
  }

  /** Lets others in, or be alone. */
  leave(): void {
    const { quarantine } = this.#host;
    if (this.#place === "alone") quarantine.open();
    if (this.#place === "inside") quarantine.leave();
    this.#place = undefined;
  }
}

function ended(times: number): Fault {
  const message = `Its process ended ${times} times while nothing else was handled there`;
  return systemFault("INTERNAL", message);
}
