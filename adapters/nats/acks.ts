import { createTurn } from "../../src/internal/turn.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import type { Link } from "./link.ts";

/** How long the server may take to say that it has them, in ms. */
const PATIENCE = 3000;

/** Acknowledgements on their way: all of a turn are settled by one round trip. */
export class Acks {
  readonly #link: Link;
  readonly #turn: () => void;
  #round: PromiseWithResolvers<void> | undefined;
  #count = 0;
  #flushing = false;

  constructor(link: Link) {
    this.#link = link;
    this.#turn = createTurn(() => this.#count, () => this.#flush());
  }

  /** Sends one; resolves when the server has it, rejects with `TRANSPORT` or `UNAVAILABLE`. */
  send(subject: string, payload: string): Promise<void> {
    return this.tell(subject, payload) ? this.flush() : Promise.reject(this.#away());
  }

  /** Sends one, without a word about what came of it; whether the server was reached. */
  tell(subject: string, payload: string): boolean {
    if (!this.#link.up) return false;
    try {
      this.#link.connection.publish(subject, payload);
      return true;
    } catch {
      return false;
    }
  }

  /** Resolves when the server has all that was sent until now. */
  flush(): Promise<void> {
    if (!this.#link.up) return Promise.reject(this.#away());
    this.#count++;
    if (this.#round === undefined) {
      this.#round = Promise.withResolvers();
      if (!this.#flushing) this.#turn();
    }
    return this.#round.promise;
  }

  /** One round trip at a time: what comes meanwhile shares the next. */
  #flush(): void {
    const round = this.#round!;
    this.#round = undefined;
    this.#count = 0;
    this.#flushing = true;
    const fail = (why: string) => (cause?: unknown): void =>
      round.reject(
        new CatgaError(
          systemFault("TRANSPORT", `NATS did not say that it has them: ${why}`, undefined, cause),
        ),
      );
    const stop = this.#link.runtime.clock.timer(PATIENCE, fail(`no answer came within ${PATIENCE} ms`));
    round.promise.catch(() => {}).finally(() => {
      stop();
      this.#flushing = false;
      if (this.#round !== undefined) this.#turn();
    });
    this.#link.connection.flush().then(round.resolve, fail("the connection was lost"));
  }

  #away(): CatgaError {
    return new CatgaError(systemFault("UNAVAILABLE", "NATS is not reached just now"));
  }
}
