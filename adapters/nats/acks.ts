import { CatgaError, systemFault } from "../../src/result.ts";
import type { Link } from "./link.ts";

/** How long the server may take to say that it has them, in ms. */
const PATIENCE = 3000;
/** How many are sent without waiting for more: their sender goes on while the server takes the next. */
const ENOUGH = 64;
/** How many round trips may be under way before what comes waits for one of them to end. */
const ROUNDS = 4;

/** Acknowledgements on their way: those of a turn are settled by one round trip, or a few where they are many. */
export class Acks {
  readonly #link: Link;
  #round: PromiseWithResolvers<void> | undefined;
  #count = 0;
  #under = 0;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Sends one; resolves when the server has it, rejects with `TRANSPORT` or `UNAVAILABLE`. */
  send(subject: string, payload: Uint8Array): Promise<void> {
    // Before the client plans to write, so that all of a turn is one write.
    const round = this.#open();
    return this.tell(subject, payload) ? this.#join(round) : Promise.reject(this.#away());
  }

  /** Sends one, without a word about what came of it; whether the server was reached. */
  tell(subject: string, payload: string | Uint8Array): boolean {
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
    return this.#link.up ? this.#join(this.#open()) : Promise.reject(this.#away());
  }

  #open(): PromiseWithResolvers<void> {
    if (this.#round === undefined) {
      this.#round = Promise.withResolvers();
      queueMicrotask(this.#go);
    }
    return this.#round;
  }

  #join(round: PromiseWithResolvers<void>): Promise<void> {
    if (++this.#count >= ENOUGH) this.#flush();
    return round.promise;
  }

  readonly #go = (): void => {
    if (this.#count === 0) this.#round = undefined;
    else if (this.#under < ROUNDS) this.#flush();
  };

  #flush(): void {
    const round = this.#round!;
    this.#round = undefined;
    this.#count = 0;
    this.#under++;
    const fail = (why: string) => (cause?: unknown): void =>
      round.reject(
        new CatgaError(
          systemFault("TRANSPORT", `NATS did not say that it has them: ${why}`, undefined, cause),
        ),
      );
    const stop = this.#link.runtime.clock.timer(PATIENCE, fail(`no answer came within ${PATIENCE} ms`));
    round.promise.catch(() => {}).finally(() => {
      stop();
      this.#under--;
      this.#go();
    });
    this.#link.connection.flush().then(round.resolve, fail("the connection was lost"));
  }

  #away(): CatgaError {
    return new CatgaError(systemFault("UNAVAILABLE", "NATS is not reached just now"));
  }
}
