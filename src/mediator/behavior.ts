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

/** Wraps a step in behaviors, the first one outermost. Whatever a behavior throws at once comes as a rejection. */
export function compose(
  step: Step,
  behaviors: readonly Behavior[],
  contract: Contract,
  runtime: Runtime,
): Step {
  return behaviors.reduceRight((next, behavior) => {
    const wrapped = behavior(next, contract, runtime);
    return wrapped === next || isCalm(behavior) ? wrapped : neverThrowing(wrapped);
  }, step);
}

function neverThrowing(step: Step): Step {
  return (context) => {
    try {
      return step(context);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  };
}

const CALM: unique symbol = Symbol.for("catga.calm") as never;

/** Marks a behavior whose steps neither throw nor reject unless the step they wrap does. */
export function calm(behavior: Behavior): Behavior {
  return Object.defineProperty(behavior, CALM, { value: true });
}

/** Whether a behavior was marked by {@linkcode calm}. */
export function isCalm(behavior: Behavior): boolean {
  return (behavior as { [CALM]?: true })[CALM] === true;
}
