import { failure, systemFault } from "../result.ts";
import { type Checked, isTrusted } from "../schema.ts";
import type { Behavior } from "../mediator/behavior.ts";
import { checkInput, unfit } from "../mediator/validate.ts";

/** What {@linkcode validate} takes. */
export interface ValidateOptions {
  /** Whether to check what handlers answer too; an answer that does not fit is `INTERNAL`. @default false */
  readonly output?: boolean;
}

/**
 * Checks bodies here instead of at the handler's door, so that a body that does not fit costs the behaviors further
 * in nothing. Takes no part for contracts that trust the compiler with `type()`.
 */
export function validate(options: ValidateOptions = {}): Behavior {
  return (next, contract) => {
    const { output, kind } = contract;
    const checked = checkInput(next, contract);
    if (options.output !== true || output === undefined || isTrusted(output) || kind === "stream") {
      return checked;
    }
    return async (context) => {
      const result = await checked(context);
      if (!result.ok) return result;
      const answer: Checked<unknown> = await output["~standard"].validate(result.value);
      if (answer.issues === undefined) return result;
      const { data } = unfit(contract, answer.issues);
      return failure(
        systemFault("INTERNAL", `The answer to "${contract.type}" does not fit its schema`, data),
      );
    };
  };
}
