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
  readonly #commands: readonly (readonly Call[])[];
  readonly #given = new AbortController();
  #end: () => void = () => {};
  #over = false;

  /** @param commands each by who shares it */
  constructor(
    commands: readonly (readonly Call[])[],
    wire: Wire,
    clock: Clock,
    timeout: number,
    landed: Landed,
  ) {
    this.#commands = commands;
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
    const calls = commands.flat();
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
      resolve(wire.request(commands.map(wordsOf), this.#given.signal))
    ).then(
      (outcomes) =>
        this.#settle((call, at, place) => answer(call, outcomes[at], place, this.#commands[at]!.length)),
      (thrown) => this.#settle((call) => call.reject(saidOf(call.what, thrown))),
    );
  }

  #settle(each: (call: Call, at: number, place: number) => void): void {
    if (this.#over) return;
    this.#over = true;
    for (const [at, calls] of this.#commands.entries()) {
      for (const [place, call] of calls.entries()) {
        call.left = undefined;
        if (!call.over) each(call, at, place);
      }
    }
    this.#end();
  }
}

function wordsOf(calls: readonly Call[]): readonly string[] {
  return [...calls[0]!.head, ...calls.flatMap(({ own }) => own ?? [])];
}

/** @param place which it is of the so many that share its command */
function answer(call: Call, outcome: Outcome | undefined, place: number, many: number): void {
  if (outcome === undefined) return call.reject(transport(call.what, "it has no answer among the others"));
  if ("reply" in outcome) {
    const { reply } = outcome;
    if (call.own === undefined) return call.resolve(reply);
    if (Array.isArray(reply) && reply.length === many) return call.resolve(reply[place]);
    return call.reject(transport(call.what, "the answer is not to this question, so it may have been done"));
  }
  if ("fault" in outcome) return call.reject(saidOf(call.what, outcome.fault));
  const mended = call.mend?.(outcome.error);
  if (mended === undefined) call.reject(refusedBy(outcome.error, call.what));
  else call.resolve(mended);
}
