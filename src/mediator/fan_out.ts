import { failure, type Fault, faultOf, ok, type Result, systemFault } from "../result.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { MessageContext, Served } from "./context.ts";
import type { Registration } from "./handle.ts";
import { logFailure } from "./pipeline.ts";

/** One handler of an event. */
export interface Hearer {
  readonly registration: Registration;
  /** Runs it; what it answers matters only if it is a promise or a failure. */
  readonly hear: (context: MessageContext) => unknown;
}

/** The handlers of one event. */
export interface Audience extends Served {
  readonly hearers: readonly Hearer[];
  readonly runtime: Runtime;
  /** The answer when there is nothing to say, made once. */
  readonly done: Promise<Result<void>>;
}

/** What one handler of an event failed with. */
export interface HandlerFailure {
  readonly handler: string;
  readonly code: string;
  readonly message: string;
}

/** Starts all handlers of an event, then waits for those that did not finish at once. */
export function fanOut(audience: Audience, context: MessageContext): Promise<Result<void>> {
  const { hearers } = audience;
  let round: Round | undefined;
  for (let at = 0; at < hearers.length; at++) {
    const hearer = hearers[at]!;
    let answer: unknown;
    try {
      answer = hearer.hear(context);
    } catch (thrown) {
      (round ??= new Round(audience)).fail(hearer, faultOf(thrown));
      continue;
    }
    if (answer !== undefined) (round ??= new Round(audience)).take(hearer, answer);
  }
  return round === undefined ? audience.done : round.finish();
}

/** The handlers of one publish that are not done yet, and those that failed. */
class Round {
  readonly #audience: Audience;
  #waiting = 0;
  #failures: HandlerFailure[] | undefined;
  #resolve: ((result: Result<void>) => void) | undefined;
  readonly #finished = (): void => {
    if (--this.#waiting === 0) this.#resolve?.(this.#result());
  };

  constructor(audience: Audience) {
    this.#audience = audience;
  }

  take(hearer: Hearer, answer: unknown): void {
    if (answer instanceof Promise) {
      this.#waiting++;
      answer.then(this.#finished, (thrown) => {
        this.fail(hearer, faultOf(thrown));
        this.#finished();
      });
    } else if (typeof (answer as PromiseLike<unknown> | null)?.then === "function") {
      this.take(hearer, Promise.resolve(answer));
    }
  }

  fail({ registration }: Hearer, fault: Fault): void {
    logFailure(registration, fault, this.#audience.runtime);
    (this.#failures ??= []).push({ handler: registration.name, code: fault.code, message: fault.message });
  }

  finish(): Promise<Result<void>> {
    if (this.#waiting > 0) return new Promise((resolve) => this.#resolve = resolve);
    return this.#failures === undefined ? this.#audience.done : Promise.resolve(this.#result());
  }

  #result(): Result<void> {
    const { contract, hearers } = this.#audience;
    if (this.#failures === undefined || contract.kind === "event") return ok(undefined);
    const message = `${this.#failures.length} of ${hearers.length} handlers of "${contract.type}" failed`;
    return failure(systemFault("INTERNAL", message, { failures: this.#failures }));
  }
}
