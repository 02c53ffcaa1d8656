import type { Runtime } from "../../src/ports/runtime.ts";
import { CommandTurns, type Mend, type TurnsOptions } from "./commander_turns.ts";
import { notSent, transport } from "./faults.ts";
import { type Script, sourceOf } from "./scripts.ts";
import { digestOf } from "./scripts_digest.ts";
import type { Reply, Wire } from "./wire.ts";

/** What {@linkcode Commander.send} and {@linkcode Commander.run} take. */
export interface CommandOptions {
  /** Gives up waiting; what was asked for may have been done. */
  readonly signal?: AbortSignal | undefined;
  /** What failures say cannot be done. @default "run", or "send", and a name */
  readonly what?: string | undefined;
}

/**
 * Sends commands to Redis: those of one turn of the event loop in one request, in their order. Nothing is sent twice.
 *
 * All methods reject with a `CatgaError`: `UNAVAILABLE` when provably nothing was done, `TRANSPORT` when it may have
 * been (no answer in time, or one that does not fit), `OVERLOADED` when Redis or its gateway takes no more, `CANCELLED`
 * when the signal aborted, `VALIDATION` for texts that are not well-formed Unicode, `INTERNAL` for any other error of
 * Redis, which may have come in the middle of a script. No message says what was sent.
 */
export interface Commander extends AsyncDisposable {
  /** The door to time and chance. */
  readonly runtime: Runtime;
  /** How many commands have left so far. */
  readonly sent: number;
  /** Sends one command that is safe to be misread: its answer cannot prove that it is to this question. */
  send(command: readonly (string | number)[], options?: CommandOptions): Promise<Reply>;
  /**
   * Runs a script at one instant. The answer is what it returns, and provably to this run: a gateway that mixes
   * answers up, keeps old ones or converts them is found out as `TRANSPORT`.
   */
  run(
    script: Script,
    keys: readonly string[],
    args?: readonly (string | number)[],
    options?: CommandOptions,
  ): Promise<Reply>;
}

/** What {@linkcode createCommander} takes. */
export interface CommanderOptions extends Partial<TurnsOptions> {
  /** The door to time and chance. */
  readonly runtime: Runtime;
}

/** Makes a commander that sends by a wire. Disposing it waits for what is under way and closes the wire. */
export function createCommander(wire: Wire, options: CommanderOptions): Commander {
  const { runtime, timeout = 5000, requests = 8, batch = 256, runs = 64, limit = 10_000 } = options;
  const bounds: TurnsOptions = { timeout, requests, batch, runs, limit };
  for (const [name, value] of Object.entries(bounds)) {
    if (!(value >= 1)) throw new RangeError(`Cannot use Redis: ${name} is ${value}, but must be 1 or more`);
  }
  const turns = new CommandTurns(wire, runtime.clock, bounds);
  const start = runtime.random.u32() * TAGS;
  let tags = 0;

  return {
    runtime,
    get sent() {
      return turns.sent;
    },
    send: async (command, { signal, what } = {}) => {
      const words = textsOf(command, what ?? "send a command");
      return await turns.call({ head: words, what: what ?? `send ${nameOf(words)}`, signal });
    },
    run: async (script, keys, args = [], { signal, what = `run ${script.name}` } = {}) => {
      // As digits, so that it shows when texts are read as JSON somewhere.
      const tag = String(start + tags++ % TAGS);
      const named = neverAlone(keys);
      const over = textsOf([named.length, ...named], what);
      const own = textsOf([...args, tag], what);
      const ask = (by: string, program: string, mend?: Mend): Promise<Reply> =>
        script.each === undefined
          ? turns.call({ head: [by, program, ...over, ...own], what, signal, mend })
          : turns.call({ head: [by, program, ...over], own, what, signal, mend });
      let answer = await ask("EVALSHA", digestOf(script), isUnknown);
      if (answer === UNKNOWN) answer = await ask("EVAL", sourceOf(script));
      if (!Array.isArray(answer) || answer[0] !== tag) {
        throw transport(what, "the answer is not to this question, so it may have been done");
      }
      return (answer as readonly Reply[])[1] ?? null;
    },
    [Symbol.asyncDispose]: () => turns[Symbol.asyncDispose](),
  };
}

/** How many runs have another tag: with a start of 32 bits it stays a safe integer. */
const TAGS = 2 ** 20;
/** In the place of an answer: the server does not know the script, so nothing was done. */
const UNKNOWN = "NOSCRIPT";

function isUnknown(error: string): typeof UNKNOWN | undefined {
  return error.startsWith("NOSCRIPT") ? UNKNOWN : undefined;
}

/**
 * One key with another that is never there: while its slot moves, a cluster refuses a script with both, where it would
 * lead one with the first to the server that has not got all of it yet.
 */
function neverAlone(keys: readonly string[]): readonly string[] {
  return keys.length === 1 ? [keys[0]!, `${keys[0]}:never`] : keys;
}

function nameOf([name = ""]: readonly string[]): string {
  return /^[\w.]{1,32}$/.test(name) ? name.toUpperCase() : "a command";
}

function textsOf(words: readonly (string | number)[], what: string): string[] {
  return words.map((word) => {
    if (typeof word === "number" && Number.isFinite(word)) return String(word);
    if (typeof word === "string" && word.isWellFormed()) return word;
    throw notSent("VALIDATION", what, "an argument is neither well-formed Unicode nor a finite number");
  });
}
