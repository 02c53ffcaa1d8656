import { failure, faultOf, systemFault } from "../result.ts";
import type { Behavior } from "../mediator/behavior.ts";
import type { MessageContext } from "../mediator/context.ts";
import type { Context } from "../mediator/types.ts";
import type { RateDecision, RateLimiter } from "./rate_limiter.ts";
import { type RateLimit, RateMeasure } from "./rate_limiter_measure.ts";

/** What {@linkcode rateLimited} takes. */
export interface RateLimitedOptions extends RateLimit {
  /** What counts. */
  readonly limiter: RateLimiter;
  /** Who or what a message counts for, such as a tenant from its headers. @default the type of the contract */
  readonly key?: ((context: Context) => string) | undefined;
  /** How much a message counts. @default 1 */
  readonly cost?: ((context: Context) => number) | undefined;
}

/**
 * Lets messages through at a limited rate, over all nodes, and answers the others `OVERLOADED` without starting the
 * handler; `data.retryAfter` says in how many ms there will be room. While the store cannot be asked, the limiter's
 * `whenDown` decides: by default messages are answered `UNAVAILABLE`, and not started either.
 *
 * @example
 * ```ts
 * import { command, createMediator, handle, type } from "@catga/catga";
 * import { createRateLimiter, rateLimited } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const runtime = systemRuntime();
 * const limiter = createRateLimiter({ store: memoryStore({ clock: runtime.clock }), runtime });
 * const Sign = command("sign", { input: type<string>(), output: type<string>() });
 * const limited = rateLimited({ limiter, rate: 1, per: 1000, key: ({ headers }) => headers["tenant"] ?? "" });
 * const app = createMediator({ handlers: [handle(Sign, (text) => `${text}!`)], behaviors: [limited], runtime });
 * console.log(await app.send(Sign("a")), await app.send(Sign("b")));
 * ```
 */
export function rateLimited(options: RateLimitedOptions): Behavior {
  const { limiter, key, cost } = options;
  new RateMeasure(options);
  return (next, contract) => async (context) => {
    const call = context as MessageContext;
    let decision: RateDecision;
    try {
      decision = await limiter.limit(key?.(context) ?? contract.type, { ...options, cost: cost?.(context) });
    } catch (thrown) {
      const { code, message, retryable } = faultOf(thrown);
      if (!retryable) throw thrown;
      // Whatever became of the counting, the handler was not started.
      const why = `Cannot tell whether "${contract.type}" is asked for too often: ${message}`;
      return failure(systemFault(code === "OVERLOADED" ? code : "UNAVAILABLE", why));
    }
    // It may have been given up meanwhile.
    if (call.cancelled !== undefined) return failure(call.cancelled);
    const { allowed, retryAfter } = decision;
    if (allowed) return next(context);
    const message = `"${contract.type}" is asked for too often: try again in ${Math.ceil(retryAfter)} ms`;
    return failure(systemFault("OVERLOADED", message, { retryAfter }));
  };
}
