import {
  type Behavior,
  command,
  type Context,
  createMediator,
  failure,
  type Fault,
  handle,
  type LogEntry,
  type Mediator,
  query,
  type Result,
  type Runtime,
  type SendOptions,
  systemFault,
  type,
} from "@catga/catga";

/** A runtime whose time stands still until it is told to go on. */
export interface FakeRuntime extends Runtime {
  readonly entries: LogEntry[];
  /** The delays of all timers that were ever asked for. */
  readonly asked: number[];
  /** How many timers are still to come. */
  pending(): number;
  /** Lets time pass: timers in order, and after each what waits for it. */
  advance(ms: number): Promise<void>;
}

interface FakeTimer {
  readonly at: number;
  readonly run: () => void;
}

/** Makes a runtime by hand; `u32` is its chance. */
export function fakeRuntime(u32: () => number = () => 2 ** 31): FakeRuntime {
  let now = 1000;
  const timers = new Set<FakeTimer>();
  const asked: number[] = [];
  const entries: LogEntry[] = [];
  const next = (): FakeTimer | undefined => {
    let first: FakeTimer | undefined;
    for (const timer of timers) if (first === undefined || timer.at < first.at) first = timer;
    return first;
  };
  const absent = (): never => {
    throw new Error("The fake runtime has none");
  };
  return {
    clock: {
      mono: () => now,
      wall: () => now,
      timer: (ms, run) => {
        asked.push(ms);
        const timer = { at: now + ms, run };
        timers.add(timer);
        return () => void timers.delete(timer);
      },
    },
    random: { u32 },
    crypto: { hmac: absent, hash: absent },
    fetch: absent,
    background: absent,
    log: (entry) => void entries.push(entry),
    entries,
    asked,
    pending: () => timers.size,
    advance: async (ms) => {
      const until = now + ms;
      await settle();
      for (let timer = next(); timer !== undefined && timer.at <= until; timer = next()) {
        timers.delete(timer);
        now = timer.at;
        timer.run();
        await settle();
      }
      now = until;
    },
  };
}

/** Lets everything happen that waits for no timer. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 64; turns++) await Promise.resolve();
}

const spec = {
  input: type<string>(),
  output: type<unknown>(),
  errors: { OWN: type<{ readonly n: number }>() },
};

/** A query: may be tried again. */
export const Look = query("look", spec);
/** A command: may not. */
export const Act = command("act", spec);
/** A command with a limit of its own. */
export const Timed = command("timed", { ...spec, timeout: 100 });

/** A call that reached its handler. */
export interface Started {
  readonly body: string;
  readonly context: Context;
  answer(value: unknown): void;
  throw(error: unknown): void;
}

/** A mediator whose handlers answer when the test says so. */
export interface Bench {
  readonly app: Mediator;
  readonly runtime: FakeRuntime;
  /** All calls that reached a handler, in order. */
  readonly started: Started[];
  /** What a call came to, or `pending`. */
  send(contract: typeof Look | typeof Act | typeof Timed, body: string, options?: SendOptions): Outcome;
}

/** What a call came to; filled in once it has. */
export interface Outcome {
  result: Result<unknown, Fault> | undefined;
  /** `ok`, the code of the failure, `pending`, or `rejected`, which must never be. */
  code: string;
  readonly done: Promise<string>;
}

/** Puts behaviors around handlers that the test answers for. */
export function bench(behaviors: readonly Behavior[], runtime: FakeRuntime = fakeRuntime()): Bench {
  const started: Started[] = [];
  const handler = (body: string, context: Context): Promise<never> =>
    new Promise((answer, fail) => {
      started.push({ body, context, answer: answer as (value: unknown) => void, throw: fail });
    });
  const handlers = [handle(Look, handler), handle(Act, handler), handle(Timed, handler)];
  const app = createMediator({ handlers, behaviors, runtime });
  const send: Bench["send"] = (contract, body, options) => watch(app.send(contract(body), options));
  return { app, runtime, started, send };
}

/** Follows a call. */
export function watch(call: Promise<Result<unknown, Fault>>): Outcome {
  const done = call.then(
    (result) => {
      outcome.result = result;
      return outcome.code = result.ok ? "ok" : result.error.code;
    },
    () => outcome.code = "rejected",
  );
  const outcome: Outcome = { result: undefined, code: "pending", done };
  return outcome;
}

/** A failure that may heal and that a handler may pass on. */
export const broken = () => failure(systemFault("TRANSPORT", "the line broke"));
