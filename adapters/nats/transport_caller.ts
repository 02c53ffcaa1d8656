import type { Frame, Receiver } from "../../src/ports/transport.ts";
import { Answer, type AnswerHost } from "./transport_answer.ts";
import type { Outbox, Way } from "./transport_outbox.ts";
import { END, FAILED, type Part, REPLY_BYTES, REPLY_TEXT, UNTAKEN } from "./transport_parts.ts";

/** How many looks a caller may be silent before it counts as gone: what it says may wait behind large frames. */
const SILENT = 10;

/** What answers for a node. */
export interface AnsweringSide {
  readonly outbox: Outbox;
  readonly limit: number;
  readonly window: number;
  answering: number;
  /** It has nothing open any more. */
  forget(caller: AnsweredCaller): void;
}

/** Whoever has calls that are being answered here. */
export class AnsweredCaller implements AnswerHost, Way {
  readonly inbox: string;
  readonly subject: string;
  readonly reply: undefined;
  unsent: Part[] | undefined = undefined;
  readonly #side: AnsweringSide;
  readonly #answers: Map<number, Answer> = new Map();

  constructor(side: AnsweringSide, inbox: string) {
    this.#side = side;
    this.inbox = inbox;
    this.subject = `${inbox}._`;
  }

  get window(): number {
    return this.#side.window;
  }

  get limit(): number {
    return this.#side.limit;
  }

  /** Answers a call, once. */
  answer(seq: number, receiver: Receiver, frame: Frame): void {
    if (this.#answers.has(seq)) return;
    const answer = new Answer(this, seq);
    this.#answers.set(seq, answer);
    this.#side.answering++;
    answer.begin(receiver, frame);
  }

  untaken(seq: number, why: string): void {
    this.#side.outbox.send(this, UNTAKEN, seq, why);
  }

  cancel(seq: number): void {
    this.#answers.get(seq)?.breakOff();
  }

  credit(seq: number, cost: number): void {
    this.#answers.get(seq)?.credit(cost);
  }

  /** It waits for these; what is not known here is not answered any more. */
  waiting(seqs: readonly number[]): void {
    for (const seq of seqs) {
      const answer = this.#answers.get(seq);
      if (answer !== undefined) answer.silent = 0;
      else this.#side.outbox.send(this, FAILED, seq, "it does not answer that any more");
    }
  }

  look(): void {
    for (const answer of [...this.#answers.values()]) if (++answer.silent > SILENT) answer.breakOff();
  }

  breakOff(failed: string | undefined): void {
    for (const answer of [...this.#answers.values()]) answer.breakOff(failed);
  }

  // As the host of its answers.

  replied(answer: Answer, frame: Frame): void {
    this.#side.outbox.send(this, typeof frame === "string" ? REPLY_TEXT : REPLY_BYTES, answer.seq, frame);
  }

  ended(answer: Answer, how: "done" | "gone" | { readonly failed: string }): void {
    this.#answers.delete(answer.seq);
    this.#side.answering--;
    if (this.#answers.size === 0) this.#side.forget(this);
    if (how === "done") this.#side.outbox.send(this, END, answer.seq);
    else if (how !== "gone") this.#side.outbox.send(this, FAILED, answer.seq, how.failed.slice(0, 500));
  }

  /** Whoever waits for them finds out by asking. */
  lost(): void {}
}
