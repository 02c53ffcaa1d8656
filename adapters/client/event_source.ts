/** One server-sent event. */
export interface ServerSentEvent {
  /** Its name; `message` if it has none. */
  readonly event: string;
  readonly data: string;
}

/** The longest line and the longest event that are taken, in characters. */
const LIMIT = 1 << 20;

/**
 * Reads server-sent events: names and data, ended by LF or CRLF; ids and retry times are left out. Throws for an event
 * of more than a million characters and for what is not UTF-8.
 */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  let event = "message";
  let data: string[] = [];
  let size = 0;
  for await (const line of lines(chunks)) {
    if (line === "") {
      if (data.length > 0) yield { event, data: data.join("\n") };
      event = "message";
      data = [];
      size = 0;
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "event") event = value;
    if (field !== "data") continue;
    size += value.length + 1;
    if (size > LIMIT) throw new RangeError(`An event has more than ${LIMIT} characters`);
    data.push(value);
  }
}

/** Lines without their ends; what no line end follows is left out. */
async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  let parts: string[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    const text = utf8.decode(chunk, { stream: true });
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      const line = parts.join("") + text.slice(start, end);
      yield line.endsWith("\r") ? line.slice(0, -1) : line;
      parts = [];
      size = 0;
      start = end + 1;
    }
    parts.push(text.slice(start));
    size += text.length - start;
    if (size > LIMIT) throw new RangeError(`A line has more than ${LIMIT} characters`);
  }
}
