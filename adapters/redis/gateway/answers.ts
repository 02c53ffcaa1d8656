import { Buffer } from "node:buffer";
import type { Answered } from "./link.ts";

/** A reply of Redis as it came: bytes, whole numbers, nothing, lists, and short texts such as `OK`. */
export type RawReply = Buffer | string | number | null | Error | readonly RawReply[];

/** How an answer is written. */
export type Format = "json" | "base64" | "resp2";

/** What stands for an answer in JSON. */
export type Shown = { readonly result: unknown } | { readonly error: string };

/** An answer as an object with `result` or `error`. */
export function shown(answered: Answered, format: Format): Shown {
  return "error" in answered ? answered : { result: value(answered.reply, format === "base64") };
}

function value(reply: RawReply, base64: boolean): unknown {
  if (reply === null || typeof reply === "number") return reply;
  if (typeof reply === "string") return base64 && reply !== "OK" ? btoa(reply) : reply;
  if (Buffer.isBuffer(reply)) return reply.toString(base64 ? "base64" : "utf8");
  if (reply instanceof Error) return value(Buffer.from(reply.message), base64);
  return reply.map((part) => value(part, base64));
}

/** Answers as Redis itself writes them (RESP2), one after the other. */
export function asResp2(answers: readonly Answered[]): Uint8Array {
  const parts: Buffer[] = [];
  const line = (text: string): void => void parts.push(Buffer.from(`${text}\r\n`));
  const write = (reply: RawReply): void => {
    if (reply === null) line("$-1");
    else if (typeof reply === "number") line(`:${reply}`);
    else if (typeof reply === "string") line(`+${reply}`);
    else if (reply instanceof Error) line(`-${reply.message}`);
    else if (Buffer.isBuffer(reply)) {
      line(`$${reply.length}`);
      parts.push(reply);
      line("");
    } else {
      line(`*${reply.length}`);
      reply.forEach(write);
    }
  };
  for (const answered of answers) {
    if ("error" in answered) line(`-${answered.error}`);
    else write(answered.reply);
  }
  return Buffer.concat(parts);
}
