import type { Failure } from "../result.ts";
import type { Contract } from "../message/contract.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Step } from "./types.ts";

/**
 * A layer around a handler. It is called once per contract, at start, with the step it wraps, and gives back the
 * step to run instead; one that takes no part for a contract gives back `next` and costs nothing.
 *
 * @example
 * ```ts
 * import type { Behavior } from "@catga/catga";
 * const audit: Behavior = (next, contract, runtime) => {
 *   if (contract.kind !== "command") return next;
 *   return (context) => {
 *     runtime.log({ level: "info", event: "audit", message: contract.type });
 *     return next(context);
 *   };
 * };
 * ```
 */
export type Behavior = (next: Step, contract: Contract, runtime: Runtime) => Step;

/**
 * Wraps a step in behaviors, the first one outermost.
 *
 * @param failed makes a failure of what a behavior throws, so that those around it see one
 */
export function compose(
  step: Step,
  behaviors: readonly Behavior[],
  contract: Contract,
  runtime: Runtime,
  failed: (thrown: unknown) => Failure,
): Step {
  return behaviors.reduceRight((next, behavior) => {
    const wrapped = behavior(next, contract, runtime);
    return wrapped === next || isCalm(behavior) ? wrapped : neverRejecting(wrapped, failed);
  }, step);
}

function neverRejecting(step: Step, failed: (thrown: unknown) => Failure): Step {
  return (context) => {
    try {
      return step(context).then(undefined, failed);
    } catch (thrown) {
      return Promise.resolve(failed(thrown));
    }
  };
}

const ONCE: unique symbol = Symbol.for("catga.once") as never;

/** Marks a behavior that lets commands with the policy `idempotency` happen once. */
export function once(behavior: Behavior): Behavior {
  return Object.defineProperty(behavior, ONCE, { value: true });
}

/** Whether a behavior lets commands happen once. */
export function isOnce(behavior: Behavior): boolean {
  return (behavior as { [ONCE]?: true })[ONCE] === true;
}

const CALM: unique symbol = Symbol.for("catga.calm") as never;

/** Marks a behavior whose steps neither throw nor reject, so that they need no guard. */
export function calm(behavior: Behavior): Behavior {
  return Object.defineProperty(behavior, CALM, { value: true });
}

function isCalm(behavior: Behavior): boolean {
  return (behavior as { [CALM]?: true })[CALM] === true;
}
