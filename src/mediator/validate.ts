import { failure, type Fault, type Result, systemFault } from "../result.ts";
import { type Checked, type Issue, isTrusted } from "../schema.ts";
import { isThenable } from "../internal/thenable.ts";
import type { Contract } from "../message/contract.ts";
import type { MessageContext } from "./context.ts";
import type { Step } from "./types.ts";

/** One thing wrong with a body, as plain data that can travel. */
export interface BodyIssue {
  /** What is wrong. */
  readonly message: string;
  /** Where, from the body down. */
  readonly path: readonly (string | number)[];
}

/** Checks the body with the contract's schema, once, before the step runs; a body that fits goes on as parsed. */
export function checkInput(
  next: Step,
  contract: Contract,
  broke: (thrown: unknown) => Promise<Result<unknown, Fault>> = (thrown) => Promise.reject(thrown),
): Step {
  if (isTrusted(contract.input)) return next;
  const schema = contract.input["~standard"];
  return (context) => {
    const message = context as MessageContext;
    const late = message.later();
    if (late.checked) return next(context);
    // Whatever a schema does against the rules must not be thrown at the caller.
    const proceed = (checked: Checked<unknown>): Promise<Result<unknown, Fault>> => {
      try {
        if (checked.issues !== undefined) return Promise.resolve(failure(unfit(contract, checked.issues)));
        message.body = checked.value;
      } catch (thrown) {
        return broke(thrown);
      }
      late.checked = true;
      // It may have been given up meanwhile.
      return message.cancelled === undefined ? next(context) : Promise.resolve(failure(message.cancelled));
    };
    try {
      const checked = schema.validate(message.body);
      return isThenable(checked) ? Promise.resolve(checked).then(proceed, broke) : proceed(checked);
    } catch (thrown) {
      return broke(thrown);
    }
  };
}

/** The `VALIDATION` fault for what a schema found. */
export function unfit(contract: Contract, issues: readonly Issue[]): Fault {
  const plain = issues.map(plainIssue);
  const first = plain[0];
  const where = first === undefined || first.path.length === 0 ? "the body" : first.path.join(".");
  const message = `Cannot handle "${contract.type}": ${where}: ${
    first?.message ?? "does not fit the schema"
  }`;
  return systemFault("VALIDATION", message, { issues: plain });
}

function plainIssue(issue: Issue): BodyIssue {
  const path = (issue.path ?? []).map((part) => typeof part === "object" ? part.key : part);
  return { message: issue.message, path: path.map((key) => typeof key === "number" ? key : String(key)) };
}
