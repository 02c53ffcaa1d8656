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

/** Wraps a step in behaviors, the first one outermost. */
export function compose(
  step: Step,
  behaviors: readonly Behavior[],
  contract: Contract,
  runtime: Runtime,
): Step {
  return behaviors.reduceRight((next, behavior) => behavior(next, contract, runtime), step);
}
