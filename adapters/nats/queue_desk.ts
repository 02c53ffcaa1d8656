import type { Msg } from "@nats-io/nats-core";
import { CatgaError, faultOf, type SystemFault } from "../../src/result.ts";
import { settleAll } from "./queue_line.ts";
import type { HeldItem } from "./queue_held.ts";
import type { Reign } from "./queue_reign.ts";
import type { Seat } from "./queue_seat.ts";
import { Moved, type QueueShared } from "./queue_shared.ts";
import { type Answer, type Asked, decodeAsked, encodeAnswer, type Question } from "./queue_wire.ts";

/** How large an answer with items may be, in bytes, unless one alone is larger. */
const LARGEST = 512 * 1024;
/** How many items may go into one answer. */
const MOST = 256;
/** How many may be answered at a time. */
const ASKING = 10_000;
/** How many answers are remembered. */
const ANSWERED = 1024;

/** Answers what members of groups ask that this process looks after. */
export class Desk {
  readonly #shared: QueueShared;
  readonly #seat: (digest: string) => Seat | undefined;
  readonly #pulls: Map<string, AbortController> = new Map();
  /** What gives back what a pull was answered with, for the latest. */
  readonly #answered: Map<string, () => void> = new Map();
  #asking = 0;

  constructor(shared: QueueShared, seat: (digest: string) => Seat | undefined) {
    this.#shared = shared;
    this.#seat = seat;
  }

  /** Never rejects. */
  async take(message: Msg): Promise<void> {
    const asked = decodeAsked(message.data);
    if (asked === undefined) return;
    const { question } = asked;
    for (const id of asked.lost ?? []) this.#giveBack(id);
    if (question.verb === "cancel") return this.#giveBack(question.id);
    const { reply } = message;
    if (reply === undefined || !reply.startsWith(`catga.${this.#shared.link.name}.r.`)) return;
    this.#asking++;
    const answer = await this.#answer(asked);
    this.#asking--;
    if (this.#shared.link.up) this.#shared.link.connection.publish(reply, encodeAnswer(answer));
  }

  async #answer({ group, born, question }: Asked): Promise<Answer> {
    const reign = this.#seat(group)?.finder.reign;
    if (reign === undefined || reign.isOver || reign.record.born !== born || this.#asking > ASKING) {
      return { moved: true };
    }
    try {
      return await this.#do(reign, question);
    } catch (thrown) {
      if (!(thrown instanceof Moved)) {
        return { fault: (CatgaError.is(thrown) ? thrown.toJSON() : faultOf(thrown)) as SystemFault };
      }
      await reign.expiring;
      return { moved: true };
    }
  }

  async #do(reign: Reign, question: Question): Promise<Answer> {
    switch (question.verb) {
      case "pull":
        return await this.#pull(reign, question);
      case "settle":
        return { settled: await settleAll(reign, question.all) };
      case "claim":
        for (const claim of question.all) reign.stock.claim(claim);
        return {};
      case "subscribe":
        await reign.subscribe(question.idle);
        return {};
      case "unsubscribe":
        await reign.end();
        return {};
      case "backlog":
        return { backlog: await reign.backlog() };
      default:
        return { moved: true };
    }
  }

  async #pull(
    reign: Reign,
    { max, lease, wait, id }: Question & { readonly verb: "pull" },
  ): Promise<Answer> {
    const { clock } = this.#shared.link.runtime;
    const began = clock.mono();
    const controller = new AbortController();
    this.#pulls.set(id, controller);
    try {
      const options = { max: Math.min(max, MOST), lease, wait, signal: controller.signal };
      const items = await reign.pull(options, LARGEST);
      this.#remember(id, reign, items);
      return { items, waited: clock.mono() - began };
    } finally {
      this.#pulls.delete(id);
    }
  }

  #remember(id: string, reign: Reign, items: readonly HeldItem[]): void {
    if (items.length === 0) return;
    const all = items.map(({ sequence, ack, attempt, key, id }) => ({ sequence, ack, attempt, key, id }));
    const settlements = all.map((each) => ({ ...each, verb: "retry" as const, ms: 0 }));
    // Where it fails, somebody else looks after the group, or has the item.
    this.#answered.set(id, () => void settleAll(reign, settlements).catch(() => {}));
    if (this.#answered.size <= ANSWERED) return;
    for (const oldest of this.#answered.keys()) {
      this.#answered.delete(oldest);
      return;
    }
  }

  /** Nobody waits for a pull any longer, or its answer did not come. */
  #giveBack(id: string): void {
    this.#pulls.get(id)?.abort();
    this.#answered.get(id)?.();
    this.#answered.delete(id);
  }
}
