import { trouble } from "./trouble.ts";

const NEWLINE = 10;

/**
 * The lines of a body as they come; what follows the last newline is none. Ends the body when its reader stops.
 * Throws a `CatgaError` with `SERIALIZATION` for a line of more than `limit` bytes.
 */
export async function* readLines(body: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    let from = 0;
    for (let end = part.indexOf(NEWLINE); end !== -1; end = part.indexOf(NEWLINE, from)) {
      parts.push(part.subarray(from, end));
      size += end - from;
      if (size > limit) throw tooLong(limit);
      const line = textOf(parts);
      parts = [];
      size = 0;
      from = end + 1;
      yield line;
    }
    if (from < part.length) parts.push(part.subarray(from));
    size += part.length - from;
    if (size > limit) throw tooLong(limit);
  }
}

function textOf(parts: readonly Uint8Array[]): string {
  const utf8 = new TextDecoder();
  let text = "";
  for (const part of parts) text += utf8.decode(part, { stream: true });
  return text + utf8.decode();
}

function tooLong(limit: number): Error {
  return trouble(
    "SERIALIZATION",
    `Cannot read a watch: a line is over the limit of ${limit} bytes. Raise it`,
  );
}
