import { queueCancelled } from "../../src/ports/queue_faults.ts";
import { CatgaError, type SystemFault, systemFault } from "../../src/result.ts";
import type { OwnerFinder } from "./queue_finder.ts";
import type { Reign } from "./queue_reign.ts";
import { Moved, type QueueShared } from "./queue_shared.ts";
import type { Settlement } from "./queue_stock.ts";
import { type Answer, type Asked, decodeAnswer, type Question } from "./queue_wire.ts";

/** How much longer than it waits an owner may take to answer, in ms. */
const PATIENCE = 2000;
/** How often the owner is looked for before it is given up. */
const TRIES = 100;
/** How many answers that did not come are remembered. */
const LOST = 64;

/** An answer as it came. */
export interface Answered extends Omit<Answer, "waited"> {
  /** Since when its items are in hands at the earliest, by the monotonic clock. */
  readonly since?: number;
}

/** The way to the owner of a group: this process, or another that is asked. */
export class OwnerLine {
  readonly #shared: QueueShared;
  readonly #finder: OwnerFinder;
  readonly #group: string;
  /** The pulls whose answers did not come. */
  #lost: readonly string[] = [];

  constructor(shared: QueueShared, finder: OwnerFinder, group: string) {
    this.#shared = shared;
    this.#finder = finder;
    this.#group = group;
  }

  /** Whether something has to be said to the owner yet. */
  get isUsed(): boolean {
    return this.#lost.length > 0;
  }

  /**
   * Does something here, where this process is the owner, or asks who is; finds it anew when it has changed.
   *
   * @param born which of the groups that had its name it is about; where that is gone rejects with `NO_HANDLER`
   */
  async run<T extends Answered | void>(
    signal: AbortSignal | undefined,
    here: (reign: Reign) => Promise<T>,
    question: Question,
    wait = 0,
    born?: string,
  ): Promise<T> {
    for (let tries = 0; tries < TRIES; tries++) {
      if (signal?.aborted) throw queueCancelled(`${question.verb} "${this.#group}"`);
      const owner = await this.#finder.find(question.verb === "subscribe");
      if (born !== undefined && born !== this.#finder.born) throw this.#finder.missing();
      try {
        if (typeof owner !== "string") return await here(owner);
        const answer = await this.#ask(owner, question, wait, signal);
        if (answer.fault !== undefined) throw new CatgaError(answer.fault);
        if (answer.moved === undefined) return answer as T;
        await this.#finder.moved(owner);
      } catch (thrown) {
        if (!(thrown instanceof Moved)) throw thrown;
        await this.#finder.moved(owner);
      }
    }
    throw new CatgaError(systemFault("UNAVAILABLE", `Cannot find out who looks after "${this.#group}"`));
  }

  async #ask(
    owner: string,
    question: Question,
    wait: number,
    signal: AbortSignal | undefined,
  ): Promise<Answered> {
    const { link } = this.#shared;
    const { digest, born } = this.#finder;
    const subject = `catga.${link.name}.qm.${owner}`;
    const lost = this.#lost;
    const asked: Asked = { group: digest, born, question, ...(lost.length === 0 ? {} : { lost }) };
    const since = link.runtime.clock.mono();
    try {
      const answer = await link.ask(subject, JSON.stringify(asked), { timeout: wait + PATIENCE, signal });
      this.#finder.heard();
      this.#lost = this.#lost.filter((id) => !lost.includes(id));
      const { waited, ...rest } = decodeAnswer(answer.data);
      return { ...rest, ...(waited === undefined ? {} : { since: since + waited }) };
    } catch (thrown) {
      if (question.verb === "pull") this.#lose(subject, question.id, signal);
      if (!CatgaError.is(thrown) || thrown.code === "CANCELLED" || !link.up) throw thrown;
      await this.#finder.unheard(thrown.code === "UNAVAILABLE");
      throw new Moved();
    }
  }

  /** Nobody waits for an answer any longer: what it may hold is for others. */
  #lose(subject: string, id: string, signal: AbortSignal | undefined): void {
    const { link } = this.#shared;
    this.#lost = [...this.#lost.slice(-LOST), id];
    if (!signal?.aborted || !link.up) return;
    const question: Question = { verb: "cancel", id };
    const { digest: group, born } = this.#finder;
    link.connection.publish(subject, JSON.stringify({ group, born, question }));
  }
}

/** Settles some, each for itself. */
export function settleAll(
  reign: Reign,
  all: readonly Settlement[],
): Promise<readonly (SystemFault | null)[]> {
  const settled = all.map(async (settlement) => {
    try {
      await reign.settle(settlement);
      return null;
    } catch (thrown) {
      if (CatgaError.is(thrown)) return thrown.toJSON() as SystemFault;
      throw thrown;
    }
  });
  return Promise.all(settled);
}
