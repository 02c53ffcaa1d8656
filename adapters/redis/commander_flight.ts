import type { Clock } from "../../src/ports/runtime.ts";
import type { Call } from "./commander_turns.ts";
import { refusedBy, saidOf, transport } from "./faults.ts";
import type { Outcome, Wire } from "./wire.ts";

/** Hears that a request has ended, however. */
export type Landed = (flight: CommandFlight) => void;

/** One request under way. It ends with its answer, when its time is over, or when nobody waits for it. */
export class CommandFlight {
  /** Resolves when it has ended. */
  readonly landed: Promise<void>;
  readonly #calls: readonly Call[];
  readonly #given = new AbortController();
  #end: () => void = () => {};
  #over = false;

  constructor(calls: readonly Call[], wire: Wire, clock: Clock, timeout: number, landed: Landed) {
    this.#calls = calls;
    this.landed = new Promise((resolve) => {
      const stop = clock.timer(timeout, () => {
        this.#settle((call) => call.reject(transport(call.what, `no answer came in ${timeout} ms`)));
        this.#given.abort();
      });
      this.#end = () => {
        stop();
        resolve();
        landed(this);
      };
    });
    let open = calls.length;
    for (const call of calls) {
      call.left = () => {
        if (--open > 0) return;
        this.#settle(() => {});
        this.#given.abort();
      };
    }
    // Not every wire heeds its signal, and some throw at once.
    new Promise<readonly Outcome[]>((resolve) =>
      resolve(wire.request(calls.map(({ words }) => words), this.#given.signal))
    ).then(
      (outcomes) => this.#settle((call, at) => answer(call, outcomes[at])),
      (thrown) => this.#settle((call) => call.reject(saidOf(call.what, thrown))),
    );
  }

  #settle(each: (call: Call, at: number) => void): void {
    if (this.#over) return;
    this.#over = true;
    for (const [at, call] of this.#calls.entries()) {
      call.left = undefined;
      if (!call.over) each(call, at);
    }
    this.#end();
  }
}

function answer(call: Call, outcome: Outcome | undefined): void {
  if (outcome === undefined) return call.reject(transport(call.what, "it has no answer among the others"));
  if ("reply" in outcome) return call.resolve(outcome.reply);
  if ("fault" in outcome) return call.reject(saidOf(call.what, outcome.fault));
  const mended = call.mend?.(outcome.error);
  if (mended === undefined) call.reject(refusedBy(outcome.error, call.what));
  else call.resolve(mended);
}
