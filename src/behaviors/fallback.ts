import { type Fault, ok } from "../result.ts";
import type { Contract, ParsedOf } from "../message/contract.ts";
import type { OutputOf } from "../message/message.ts";
import type { Behavior } from "../mediator/behavior.ts";
import type { Awaitable, Context } from "../mediator/types.ts";

/**
 * Answers with something else when a contract fails in a way that may heal (unreachable, overloaded, out of time).
 * The contract's own failures pass as they are; a throw of `answer` is `INTERNAL`. Takes no part for other contracts.
 *
 * @param answer makes the answer from what the call failed with and its body, which is as it was sent where
 *   something refused it before it was checked; `validate()` around this behavior checks it first
 *
 * @example
 * ```ts
 * import { query, type } from "@catga/catga";
 * import { fallback } from "@catga/catga/behaviors";
 * const GetPrice = query("price.get", { input: type<{ sku: string }>(), output: type<number | null>() });
 * const withoutPrice = fallback(GetPrice, () => null);
 * ```
 */
export function fallback<C extends Contract<"command" | "query">>(
  contract: C,
  answer: (fault: Fault, body: ParsedOf<C>, context: Context) => Awaitable<OutputOf<ReturnType<C>>>,
): Behavior {
  return (next, wrapped) => {
    if (wrapped.type !== contract.type) return next;
    return async (context) => {
      const result = await next(context);
      if (result.ok || !result.error.retryable) return result;
      return ok(await answer(result.error, context.body as ParsedOf<C>, context));
    };
  };
}
