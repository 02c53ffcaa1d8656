import type { Message } from "../message/message.ts";
import type { Origin } from "../mediator/context.ts";
import { handedOn } from "../durable/idempotency/handed_on.ts";
import type { WireMessage } from "../wire/envelope.ts";

/** A message as it goes out, with what its origin hands on. */
export function wireOf(
  { type, body }: Message,
  origin: Origin | undefined,
  id: string | undefined,
): WireMessage {
  const parent = origin?.parent;
  const correlationId = origin?.correlationId ?? parent?.correlationId;
  const causationId = origin?.causationId ?? parent?.id;
  const inherited = parent?.headersIfAny;
  const headers = inherited === undefined
    ? origin?.headers
    : handedOn(origin?.headers ?? inherited, inherited);
  return { type, id, body, correlationId, causationId, headers };
}

const NO_SIGNALS: readonly AbortSignal[] = [];

/** What a call is given up by: the caller's own signal, and that of the message it is sent because of. */
export function signalsOf(origin: Origin | undefined): readonly AbortSignal[] {
  if (origin === undefined) return NO_SIGNALS;
  const inherited = origin.parent?.cancellable ? origin.parent.signal : undefined;
  if (origin.signal === undefined && inherited === undefined) return NO_SIGNALS;
  return [origin.signal, inherited].filter((signal) => signal !== undefined);
}
