import { failure, type Fault, ok, type Result, systemFault } from "../result.ts";
import type { Contract } from "../message/contract.ts";
import type { Message } from "../message/message.ts";
import type { Host, Origin } from "../mediator/context.ts";
import type { Clock } from "../ports/runtime.ts";
import type { Delivery } from "../ports/queue.ts";
import { IDEMPOTENCY_KEY } from "../durable/idempotency/call_key.ts";
import { namedHeader } from "../internal/named_header.ts";
import { isParcel, originOfParcel, parcelOf } from "../durable/parcels.ts";

/** What handling a command that waited in a queue needs. */
export interface QueuedCommandHost {
  readonly host: Host;
  readonly clock: Clock;
  /** How long handling it once may take, in ms, where its contract does not say. */
  readonly timeout: number;
}

/**
 * Handles a command that waited in a queue, wherever in the cluster it is served. Its id is its idempotency key unless
 * it has one; one of its own failures is an answer like any other, though nobody hears it.
 */
export async function handleQueued(
  contract: Contract,
  delivery: Delivery,
  signal: AbortSignal,
  { host, clock, timeout }: QueuedCommandHost,
): Promise<Result<void, Fault>> {
  const { type } = contract;
  const parcel = parcelOf(delivery, type);
  if (!isParcel(parcel)) return failure(parcel);
  const origin: Origin = originOfParcel(parcel, host, signal, clock.mono() + (contract.timeout ?? timeout));
  if (namedHeader(parcel.headers, IDEMPOTENCY_KEY) === undefined) {
    origin.headers = { ...parcel.headers, [IDEMPOTENCY_KEY]: parcel.id };
  }
  const message = (contract as unknown as (body: unknown) => Message)(parcel.body);
  const result = await host.dispatch(message, origin);
  if (result.ok || Object.hasOwn(contract.errors, result.error.code)) return ok(undefined);
  // Nodes that serve it may come.
  return result.error.code === "NO_HANDLER"
    ? failure(systemFault("UNAVAILABLE", result.error.message))
    : result;
}
