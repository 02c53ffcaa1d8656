import { endBody } from "./end_body.ts";

/** A message that comes or has come, such as a `Request` or a `Response`. */
export interface Message {
  readonly headers: { get(name: string): string | null };
  readonly body: AsyncIterable<Uint8Array> | null;
  /** Where the platform has it. */
  arrayBuffer?(): Promise<ArrayBuffer>;
}

/**
 * Reads the body of a message, as a whole where its length was said: a stream costs more than all else that is done
 * with a small one. Answers `undefined` when there was more than `limit` bytes; rejects as the body does.
 */
export async function readMessage(message: Message, limit: number): Promise<Uint8Array | undefined> {
  const { headers, body } = message;
  const length = headers.get("content-length");
  const isCoded = (headers.get("content-encoding") ?? "identity") !== "identity";
  if (length === null || isCoded || message.arrayBuffer === undefined) return await readBody(body, limit);
  if (!(Number(length) <= limit)) {
    endBody(body);
    return undefined;
  }
  const bytes = new Uint8Array(await message.arrayBuffer());
  return bytes.length <= limit ? bytes : undefined;
}

/**
 * Reads a body as it comes and stops at the first byte over the limit, which ends the sender's stream.
 * Answers `undefined` when there was more than `limit` bytes; rejects as the body does.
 */
export async function readBody(
  body: AsyncIterable<Uint8Array> | null,
  limit: number,
): Promise<Uint8Array | undefined> {
  if (body === null) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > limit) return undefined;
    parts.push(part);
  }
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
