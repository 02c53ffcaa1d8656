import type { Message } from "../message/message.ts";
import type { Origin } from "../mediator/context.ts";
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
  return { type, id, body, correlationId, causationId, headers: origin?.headers ?? parent?.headersIfAny };
}

const NO_SIGNALS: readonly AbortSignal[] = [];

/** What a call is given up by: the caller's own signal, and that of the message it is sent because of. */
export function signalsOf(origin: Origin | undefined): readonly AbortSignal[] {
  if (origin === undefined) return NO_SIGNALS;
  const inherited = origin.parent?.cancellable ? origin.parent.signal : undefined;
  if (origin.signal === undefined && inherited === undefined) return NO_SIGNALS;
  return [origin.signal, inherited].filter((signal) => signal !== undefined);
}
