import type { QueueBacklog } from "../../src/ports/queue.ts";
import { CatgaError, type SystemFault, systemFault } from "../../src/result.ts";
import type { Claim } from "./queue_held.ts";
import type { Settlement } from "./queue_stock.ts";
import { readJson } from "./streams_api.ts";

/** What a member asks of the owner of a group. */
export type Question =
  | {
    readonly verb: "pull";
    readonly max: number;
    readonly lease: number;
    readonly wait: number;
    readonly id: string;
  }
  | { readonly verb: "cancel"; readonly id: string }
  | { readonly verb: "settle"; readonly all: readonly Settlement[] }
  | { readonly verb: "claim"; readonly all: readonly Claim[] }
  | { readonly verb: "subscribe"; readonly idle?: number | undefined }
  | { readonly verb: "unsubscribe" }
  | { readonly verb: "backlog" };

/** A question with the group it is about, as all know it. */
export interface Asked {
  readonly group: string;
  /** Which of the groups that had its name. */
  readonly born: string;
  readonly question: Question;
  /** Pulls whose answers did not come: what they were answered with is to be given back. */
  readonly lost?: readonly string[];
}

/** An item that was handed out. */
export interface HandedItem {
  readonly sequence: number;
  readonly ack: string;
  readonly attempt: number;
  readonly pushed: number;
  readonly body: Uint8Array;
}

/** What an owner answers. */
export interface Answer {
  /** Whether it does not look after the group. */
  readonly moved?: true;
  readonly fault?: SystemFault;
  readonly items?: readonly HandedItem[];
  /** How long the owner waited for them, in ms: from then on they are in hands. */
  readonly waited?: number;
  /** What came of each settlement; `null` where it went well. */
  readonly settled?: readonly (SystemFault | null)[];
  readonly backlog?: QueueBacklog;
}

const NEWLINE = 10;
const encoder: TextEncoder = new TextEncoder();

/** One line of JSON, then the bodies of the items. */
export function encodeAnswer(answer: Answer): Uint8Array {
  const { items = [] } = answer;
  const heads = items.map(({ sequence, ack, attempt, pushed, body }) => (
    { sequence, ack, attempt, pushed, size: body.length }
  ));
  const line = encoder.encode(
    JSON.stringify(answer.items === undefined ? answer : { ...answer, items: heads }) + "\n",
  );
  const bytes = new Uint8Array(items.reduce((sum, { body }) => sum + body.length, line.length));
  bytes.set(line);
  let at = line.length;
  for (const { body } of items) {
    bytes.set(body, at);
    at += body.length;
  }
  return bytes;
}

/** Throws `SERIALIZATION` for what {@linkcode encodeAnswer} never makes. */
export function decodeAnswer(bytes: Uint8Array): Answer {
  const end = bytes.indexOf(NEWLINE);
  const answer = end < 0 ? undefined : readJson(bytes.subarray(0, end));
  if (typeof answer !== "object" || answer === null) throw unreadable();
  const { items } = answer as { items?: readonly (HandedItem & { size: number })[] };
  if (items === undefined) return answer as Answer;
  let at = end + 1;
  const whole = items.map(({ size, ...head }) => ({ ...head, body: bytes.subarray(at, at += size) }));
  if (at !== bytes.length) throw unreadable();
  return { ...answer as Answer, items: whole };
}

/** `undefined` for what no member asks. */
export function decodeAsked(bytes: Uint8Array): Asked | undefined {
  const asked = readJson(bytes) as Partial<Asked> | undefined;
  const fits = typeof asked?.group === "string" && typeof asked.born === "string" &&
    typeof asked.question?.verb === "string";
  return fits ? asked as Asked : undefined;
}

function unreadable(): CatgaError {
  return new CatgaError(systemFault("SERIALIZATION", "Cannot read what the owner of a group answers"));
}
