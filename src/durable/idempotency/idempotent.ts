import { type Behavior, once } from "../../mediator/behavior.ts";
import type { Runtime } from "../../ports/runtime.ts";
import { Idempotency, type IdempotencyOptions } from "./idempotency.ts";

/**
 * Lets a command with the policy `idempotency` that comes again get the first answer instead of happening again: also
 * at the same time, on another node and after a crash. Takes no part for other contracts. Put it around `retry`,
 * `timeout` and `validate`.
 *
 * What makes two calls the same is the header `idempotency-key` of the message itself, else the policy's `key`, else
 * the whole body; under the contract and the tenant. Another body under the same key is a `CONFLICT` with
 * `data.reason` `"IDEMPOTENCY_MISMATCH"`. Values and the failures that the contract declares are answers and are kept
 * for the policy's `retention`; all callers get them as they were kept, which is as they travel. Other failures are not
 * kept, so the command may be sent again. An answer that cannot be kept, because it is too large or no data, is
 * `SERIALIZATION` for all. Without the store, calls are answered `UNAVAILABLE` and nothing is handled.
 *
 * A handler runs again where its process ended between its effect and its record, so an effect that must not happen
 * twice belongs into the same write as the mark that it happened.
 *
 * @example
 * ```ts
 * import { command, createMediator, handle, type } from "@catga/catga";
 * import { idempotent } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const Pay = command("pay", {
 *   input: type<{ order: string; amount: number }>(),
 *   output: type<string>(),
 *   idempotency: { key: ({ order }) => order },
 * });
 * const runtime = systemRuntime();
 * const store = memoryStore({ clock: runtime.clock });
 * let payments = 0;
 * const app = createMediator({
 *   handlers: [handle(Pay, () => `payment ${++payments}`)],
 *   behaviors: [idempotent({ store })],
 *   runtime,
 * });
 * const pay = Pay({ order: "7", amount: 10 });
 * console.log(await Promise.all([app.send(pay), app.send(pay)]), payments);
 * ```
 */
export function idempotent(options: IdempotencyOptions): Behavior {
  const made = new WeakMap<Runtime, Idempotency>();
  return once((next, contract, runtime) => {
    if (contract.idempotency === undefined) return next;
    let own = made.get(runtime);
    if (own === undefined) made.set(runtime, own = new Idempotency(runtime, options));
    const idempotency = own;
    return (context) => idempotency.run(context, next);
  });
}
