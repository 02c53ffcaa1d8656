import { type Host, Origin } from "../mediator/context.ts";
import type { ReceivedMessage } from "../wire/envelope.ts";

/**
 * Where a message from another node comes from, for its context.
 *
 * @param host what its handler sends through
 * @param now the time by the runtime's `clock.mono()`, in ms
 */
export function originOf(message: ReceivedMessage, host: Host, now: number): Origin {
  const origin = new Origin();
  origin.host = host;
  origin.id = message.id;
  origin.correlationId = message.correlationId;
  origin.causationId = message.causationId;
  origin.headers = message.headers;
  origin.deadline = message.remaining < 0 ? Infinity : now + message.remaining;
  origin.watched = true;
  return origin;
}
