import type { HonoRequest } from "hono";
import { parseJson, UnsafeJsonError } from "../../src/internal/safe_json.ts";
import type { Problem } from "../client/mod.ts";
import { refusal } from "./problem.ts";

/** What a request carried, or why it was refused. */
export type Read = { readonly json: unknown; readonly refused?: undefined } | { readonly refused: Problem };

/** Reads a JSON body of at most so many bytes; a request without a body has `undefined`. */
export async function readJson(request: HonoRequest, limit: number): Promise<Read> {
  const { raw } = request;
  const { headers } = raw;
  const said = headers.get("content-length");
  if (said !== null && !/^\d{1,15}$/.test(said)) return refuse(400, "The content length is not a number");
  if (said !== null && Number(said) > limit) return tooLarge(limit);
  const chunked = headers.has("transfer-encoding");
  if (said === "0" && !chunked) return { json: undefined };
  if (said === null && !chunked && raw.body === null) return { json: undefined };

  let bytes: Uint8Array | undefined;
  try {
    const held = (said !== null && !chunked) || raw.bodyUsed;
    bytes = held ? await readWhole(request, limit) : await readCounted(raw, limit);
  } catch {
    return refuse(400, "The body broke off");
  }
  if (bytes === undefined) return tooLarge(limit);
  if (bytes.length === 0) return { json: undefined };
  return wrongKind(headers) ?? parse(bytes);
}

/** The server holds a body to the length it says; any other that comes here is in memory already. */
async function readWhole(request: HonoRequest, limit: number): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  return bytes.length > limit ? undefined : bytes;
}

async function readCounted(request: Request, limit: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = (request.body as ReadableStream<Uint8Array> | null)?.getReader();
  if (reader === undefined) return new Uint8Array(0);
  while (true) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > limit) {
      void reader.cancel().catch(() => {});
      return undefined;
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** JSON and nothing a form could send: another site can make a browser post those. */
function wrongKind(headers: Headers): Read | undefined {
  const coding = headers.get("content-encoding");
  if (coding !== null && coding.toLowerCase() !== "identity") {
    return refuse(415, "The body must not be compressed");
  }
  const [kind = "", ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";");
  if (!/^application\/(?:[\w.!#$&^-]{1,64}\+)?json$/.test(kind.trim())) {
    return refuse(415, "The body must be application/json");
  }
  const charset = parameters.map((each) => each.trim()).find((each) => each.startsWith("charset="))?.slice(8);
  const fits = charset === undefined || charset === "utf-8" || charset === "utf8" || charset === '"utf-8"';
  return fits ? undefined : refuse(415, "The body must be in UTF-8");
}

function parse(bytes: Uint8Array): Read {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return refuse(400, "The body is not UTF-8");
  }
  try {
    return { json: parseJson(text) };
  } catch (thrown) {
    const hostile = thrown instanceof UnsafeJsonError;
    return refuse(400, hostile ? `The body is refused: ${thrown.message}` : "The body is not JSON");
  }
}

function tooLarge(limit: number): Read {
  return refuse(413, `The body has more than ${limit} bytes`);
}

function refuse(status: number, detail: string): Read {
  return { refused: refusal(status, detail) };
}
