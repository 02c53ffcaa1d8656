import { failure, type Fault, type Result } from "../result.ts";
import { snapshot } from "../internal/snapshot.ts";
import { Origin } from "../mediator/context.ts";

/** The origin of a call for all who wait: with what it hands on, without what would end it for one of them. */
export function originOf(origin: Origin | undefined, refresh: boolean): Origin {
  const own = new Origin();
  const parent = origin?.parent;
  own.host = origin?.host;
  if (!refresh) own.id = origin?.id;
  own.correlationId = origin?.correlationId ?? parent?.correlationId;
  own.causationId = origin?.causationId ?? parent?.id;
  own.headers = origin?.headers ?? parent?.headersIfAny;
  own.bounded = true;
  return own;
}

/** A failure for all who wait, that none of them can change. */
export function frozenFailure(result: { readonly error: Fault }, limit: number): Result<unknown, Fault> {
  const { code, message, data, retryable, cause } = result.error;
  const copy = snapshot(data, limit);
  const kept = copy === undefined ? data : copy.value;
  return Object.freeze(
    failure(
      Object.freeze({ code, message, data: kept, retryable, ...(cause === undefined ? {} : { cause }) }),
    ),
  );
}
