import { fromBase64, toBase64 } from "../../internal/base64.ts";
import type { Entry } from "../../ports/store.ts";
import type { Frame } from "../../ports/transport.ts";

/** What is kept under the key of a call: who handles it, or what it was answered with. */
export interface AnswerRecord {
  /** Tells one claim from all others. */
  readonly id: string;
  /** The hash of what the call carries. */
  readonly payload: string;
  /** What it was answered with; `undefined` while it is handled. */
  readonly answer: Frame | undefined;
}

/** A record as the value of an entry: a line about it, then the answer as it is. */
export function encodeRecord({ id, payload, answer }: AnswerRecord): string {
  if (answer === undefined) return `claim ${id} ${payload}\n`;
  return typeof answer === "string"
    ? `text ${id} ${payload}\n${answer}`
    : `bytes ${id} ${payload}\n${toBase64(answer)}`;
}

/** The record in an entry; `undefined` if it is none. */
export function decodeRecord(entry: Entry | undefined): AnswerRecord | undefined {
  if (entry === undefined) return undefined;
  const [line, kind, id, payload] = /^(claim|text|bytes) ([\w-]+) ([\w-]+)\n/.exec(entry.value) ?? [];
  if (line === undefined) return undefined;
  const rest = entry.value.slice(line.length);
  try {
    const answer = kind === "claim" ? undefined : kind === "text" ? rest : fromBase64(rest);
    return { id: id!, payload: payload!, answer };
  } catch {
    return undefined;
  }
}
