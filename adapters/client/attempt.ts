import { type Fault, systemFault } from "../../src/result.ts";
import type { Clock } from "../../src/ports/runtime.ts";

/** One request under way: what may end it, and what it then ended with. */
export class Attempt {
  readonly type: string;
  readonly #clock: Clock;
  readonly #timeout: number;
  readonly #outer: AbortSignal | undefined;
  readonly #controller = new AbortController();
  readonly #abort = (): void => this.#give("CANCELLED", "was given up by its caller");
  #stop: (() => void) | undefined;
  #fault: Fault | undefined;

  constructor(type: string, clock: Clock, timeout: number, outer: AbortSignal | undefined) {
    this.type = type;
    this.#clock = clock;
    this.#timeout = timeout;
    this.#outer = outer;
    if (outer?.aborted) this.#abort();
    outer?.addEventListener("abort", this.#abort, { once: true });
    this.wait();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What ended it from this side, if something did. */
  get fault(): Fault | undefined {
    return this.#fault;
  }

  /** Starts to count the time anew. */
  wait(): void {
    this.pause();
    if (this.#timeout === Infinity || this.#fault !== undefined) return;
    this.#stop = this.#clock.timer(
      this.#timeout,
      () => this.#give("TIMEOUT", `was not answered in ${this.#timeout} ms`),
    );
  }

  /** Stops to count the time. */
  pause(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  /** Lets go of everything; a request still open is given up. */
  end(): void {
    this.pause();
    this.#outer?.removeEventListener("abort", this.#abort);
    this.#controller.abort();
  }

  /** The same wait, but over at once when the attempt is: not every client heeds its signal. */
  race<T>(wait: Promise<T>): Promise<T> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      const lost = (): void => reject(signal.reason);
      if (signal.aborted) lost();
      signal.addEventListener("abort", lost, { once: true });
      const off = (): void => signal.removeEventListener("abort", lost);
      wait.then((value) => (off(), resolve(value)), (thrown) => (off(), reject(thrown)));
    });
  }

  /** The fault for what a request threw: a refused connection never reached a handler, anything else may have. */
  failed(thrown: unknown): Fault {
    if (this.#fault !== undefined) return this.#fault;
    return isRefused(thrown)
      ? systemFault(
        "UNAVAILABLE",
        `Cannot send "${this.type}": the server refused the connection`,
        undefined,
        thrown,
      )
      : systemFault(
        "TRANSPORT",
        `The connection broke while "${this.type}" was under way`,
        undefined,
        thrown,
      );
  }

  #give(code: "CANCELLED" | "TIMEOUT", what: string): void {
    this.#fault ??= systemFault(code, `"${this.type}" ${what}; it may have run`);
    this.#controller.abort();
  }
}

const REFUSED: readonly unknown[] = ["ECONNREFUSED", "ConnectionRefused", "ENOTFOUND", "EAI_AGAIN"];

/** By code alone: a text such as "Connection refused" may be that of a request which the platform sent twice. */
function isRefused(thrown: unknown, depth = 0): boolean {
  const { code, cause } = Object(thrown) as { code?: unknown; cause?: unknown };
  return REFUSED.includes(code) || (cause !== undefined && depth < 4 && isRefused(cause, depth + 1));
}
