import { fromBase64, toBase64 } from "../../src/internal/base64.ts";
import type { Delivery } from "../../src/ports/queue.ts";

/** An item of a queue that was posted to this node. */
export interface PushedItem extends Pick<Delivery, "id" | "key" | "payload" | "attempt" | "pushed"> {
  /** The topic it was pushed to. */
  readonly topic: string;
  /** The group that it is for. */
  readonly group: string;
  /** How long whoever posts it waits for an answer, in ms. */
  readonly within?: number | undefined;
}

const VERSION = 1;

/** An item as it is posted, in JSON. */
export function writePushed({ payload, ...item }: PushedItem): string {
  const carried = typeof payload === "string" ? { text: payload } : { bytes: toBase64(payload) };
  return JSON.stringify({ version: VERSION, ...item, ...carried });
}

/** The item in a body; `undefined` if there is none. */
export function readPushed(body: string): PushedItem | undefined {
  let found: Readonly<Record<string, unknown>> | null;
  try {
    found = JSON.parse(body);
    if (found?.["version"] !== VERSION) return undefined;
    const { topic, group, id, key, attempt, pushed, within, text, bytes } = found;
    const payload = typeof bytes === "string" ? fromBase64(bytes) : text;
    const texts = [topic, group, id, key ?? ""].every((each) => typeof each === "string");
    if (!texts || !Number.isSafeInteger(attempt) || typeof pushed !== "number") return undefined;
    if (within !== undefined && !(typeof within === "number" && within > 0)) return undefined;
    if (typeof payload !== "string" && !(payload instanceof Uint8Array)) return undefined;
    const item = { topic, group, id, key, payload, attempt, pushed };
    return (within === undefined ? item : { ...item, within }) as PushedItem;
  } catch {
    return undefined;
  }
}
