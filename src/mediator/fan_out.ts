import { failure, type Fault, faultOf, ok, type Result, systemFault } from "../result.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { MessageContext, Served } from "./context.ts";
import type { Registration } from "./handle.ts";
import { logFailure, outward } from "./pipeline.ts";
import type { Context } from "./types.ts";

/** One handler of an event. What it answers matters only if it is a promise. */
export interface Hearer {
  readonly registration: Registration;
  readonly hear: (body: unknown, context: Context) => unknown;
}

/** The handlers of one event. */
export interface Audience extends Served {
  readonly hearers: readonly Hearer[];
  readonly timeout: number | undefined;
  readonly runtime: Runtime;
  /** The answer when there is nothing to say, made once. */
  readonly done: Promise<Result<void>>;
}

/** What one handler of an event failed with. */
export interface HandlerFailure {
  /** The handler's name. */
  readonly handler: string;
  /** The code of its fault. */
  readonly code: string;
  /** The message of its fault. */
  readonly message: string;
}

/** Starts all handlers of an event, then waits for those that did not finish at once. */
export function fanOut(audience: Audience, context: MessageContext): Promise<Result<void>> {
  const { hearers } = audience;
  let answers: (Promise<unknown> | undefined)[] | undefined;
  for (let at = 0; at < hearers.length; at++) {
    let promise: Promise<unknown> | undefined;
    try {
      promise = promiseOf(hearers[at]!.hear(context.body, context));
    } catch (thrown) {
      promise = Promise.reject(thrown);
    }
    if (promise === undefined) continue;
    if (hearers.length === 1) return alone(audience, promise);
    (answers ??= new Array(hearers.length))[at] = promise;
  }
  return answers === undefined ? audience.done : together(audience, answers);
}

/** Tells one handler of an event; a failure is its own, whatever kind of event it is. */
export function tellOne(
  audience: Audience,
  at: number,
  context: MessageContext,
): Promise<Result<void, Fault>> {
  const { registration, hear } = audience.hearers[at]!;
  const failed = (thrown: unknown): Result<void, Fault> => {
    const fault = hear === registration.handler ? outward(faultOf(thrown)) : faultOf(thrown);
    logFailure(registration, fault, audience.runtime);
    return failure(fault);
  };
  try {
    const answer = promiseOf(hear(context.body, context));
    return answer === undefined ? audience.done : answer.then(done, failed);
  } catch (thrown) {
    return Promise.resolve(failed(thrown));
  }
}

function promiseOf(answer: unknown): Promise<unknown> | undefined {
  if (answer === undefined || answer instanceof Promise) return answer;
  return typeof (answer as PromiseLike<unknown> | null)?.then === "function"
    ? Promise.resolve(answer)
    : undefined;
}

const DONE: Result<void> = ok(undefined);
const done = (): Result<void> => DONE;

function alone(audience: Audience, answer: Promise<unknown>): Promise<Result<void>> {
  return answer.then(done, (thrown) => resultOf(audience, [failureOf(audience, 0, thrown)]));
}

/** Waits for all. Rejections are told apart only once there is one, so that the usual way needs few closures. */
function together(audience: Audience, answers: (Promise<unknown> | undefined)[]): Promise<Result<void>> {
  return new Promise((resolve) => {
    let waiting = 0;
    let failures: HandlerFailure[] | undefined;
    const finished = (): void => {
      if (--waiting === 0) resolve(failures === undefined ? DONE : resultOf(audience, failures));
    };
    const failed = (): void => {
      if (failures === undefined) tell(failures = []);
      finished();
    };
    const tell = (told: HandlerFailure[]): void => {
      answers.forEach((answer, at) => {
        waiting++;
        answer!.then(finished, (thrown) => {
          told.push(failureOf(audience, at, thrown));
          finished();
        });
      });
    };
    for (let at = 0; at < answers.length; at++) {
      const answer = answers[at];
      if (answer === undefined) continue;
      waiting++;
      answer.then(finished, failed);
    }
  });
}

function failureOf({ hearers, runtime }: Audience, at: number, thrown: unknown): HandlerFailure {
  const { registration } = hearers[at]!;
  const fault = faultOf(thrown);
  logFailure(registration, fault, runtime);
  return { handler: registration.name, code: fault.code, message: fault.message };
}

function resultOf({ contract, hearers }: Audience, failures: readonly HandlerFailure[]): Result<void> {
  if (contract.kind === "event") return DONE;
  const message = `${failures.length} of ${hearers.length} handlers of "${contract.type}" failed`;
  return failure(systemFault("INTERNAL", message, { failures }));
}
