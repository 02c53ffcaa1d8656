import {
  type Failure,
  failure,
  type Fault,
  faultOf,
  isResult,
  ok,
  type Result,
  systemFault,
  unwrap,
} from "../result.ts";
import { isTrusted } from "../schema.ts";
import { isThenable } from "../internal/thenable.ts";
import type { Runtime } from "../ports/runtime.ts";
import { type Behavior, compose } from "./behavior.ts";
import type { MessageContext } from "./context.ts";
import type { Registration } from "./handle.ts";
import type { Context, Step } from "./types.ts";
import { checkInput } from "./validate.ts";

/** Whether nothing stands between a message and its handler. */
export function isBare({ contract, behaviors: own }: Registration, behaviors: readonly Behavior[]): boolean {
  return behaviors.length + own.length === 0 && isTrusted(contract.input);
}

/** Everything between a message and its handler, put together once: behaviors, check of the body, handler. */
export function pipelineOf(
  registration: Registration,
  behaviors: readonly Behavior[],
  runtime: Runtime,
): Step {
  const { contract } = registration;
  const failed = failureOf(registration, runtime);
  const broke = (thrown: unknown) => Promise.resolve(failed(thrown));
  const inner = checkInput(handlerStep(registration, runtime), contract, broke);
  const layers = [...behaviors, ...registration.behaviors];
  const ending = endable(inner);
  const composed = compose(ending, layers, contract, runtime, failed);
  // Without a layer that takes part there is nobody to tell.
  return composed === ending ? inner : composed;
}

/** Ends for the behaviors around it when the message is cancelled, though the handler may go on. */
function endable(step: Step): Step {
  return (context) => {
    const message = context as MessageContext;
    if (!message.cancellable) return step(context);
    return new Promise((resolve) => {
      const stop = message.whenCancelled((fault) => resolve(failure(fault)));
      const handling = step(context);
      message.begun(handling);
      handling.then((result) => {
        stop();
        resolve(result);
      });
    });
  };
}

/** One handler of an event. What it answers matters only if it is a promise. */
export function hearerOf(
  registration: Registration,
  behaviors: readonly Behavior[],
  runtime: Runtime,
): (body: unknown, context: Context) => unknown {
  if (isBare(registration, behaviors)) return registration.handler;
  const step = pipelineOf(registration, behaviors, runtime);
  return (_body, context) => step((context as MessageContext).fork()).then(unwrap);
}

/** Calls the handler and makes a result of whatever comes of it. */
function handlerStep(registration: Registration, runtime: Runtime): Step {
  const { handler } = registration;
  const failed = failureOf(registration, runtime);
  // In small functions, since engines inline no others.
  const resulting = (answer: unknown): Promise<Result<unknown, Fault>> =>
    answer instanceof Promise ? answer.then(settled, failed) : ended(answer, failed);
  const broke = (thrown: unknown) => Promise.resolve(failed(thrown));
  return (context) => {
    try {
      return resulting(handler(context.body, context));
    } catch (thrown) {
      return broke(thrown);
    }
  };
}

function ended(answer: unknown, failed: (thrown: unknown) => Failure): Promise<Result<unknown, Fault>> {
  return isThenable(answer)
    ? Promise.resolve(answer).then(settled, failed)
    : Promise.resolve(settled(answer));
}

/** Makes a result of what a handler returned. */
export function settled(value: unknown): Result<unknown, Fault> {
  return isResult(value) ? shown(value) : ok(value);
}

function shown(result: Result<unknown, Fault>): Result<unknown, Fault> {
  return result.ok ? result : failure(outward(result.error ?? faultOf(result.error)));
}

/** Makes a failure of what a handler threw, and tells the log, since the cause goes no further. */
export function failureOf(
  registration: Registration,
  runtime: Runtime,
): (thrown: unknown) => Failure {
  // Whoever publishes logs the failures of an event's handlers.
  const logged = registration.contract.kind !== "event" && registration.contract.kind !== "reliable";
  return (thrown) => {
    const fault = outward(faultOf(thrown));
    if (logged && fault.code === "INTERNAL") logFailure(registration, fault, runtime);
    return failure(fault);
  };
}

/** Tells the log that a handler failed. */
export function logFailure(registration: Registration, fault: Fault, runtime: Runtime): void {
  const { contract, name } = registration;
  runtime.log({
    level: "error",
    event: "handler.failed",
    message: `${name} failed to handle "${contract.type}": ${fault.code} ${fault.message}`,
    fields: { type: contract.type, handler: name, code: fault.code, cause: fault.cause },
  });
}

const NOT_STARTED: ReadonlySet<string> = new Set(["UNAVAILABLE", "OVERLOADED", "NO_HANDLER", "VALIDATION"]);

/**
 * The fault as the caller may take it. A handler that passes on the failure of a call it made has itself been
 * started, which these codes would deny.
 */
export function outward(fault: Fault): Fault {
  if (!NOT_STARTED.has(fault.code)) return fault;
  const inner = systemFault(
    "INTERNAL",
    `A call made by the handler failed: ${fault.message}`,
    undefined,
    fault,
  );
  return { ...inner, retryable: fault.retryable };
}
