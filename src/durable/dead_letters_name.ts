import { hash32 } from "../internal/hash.ts";
import type { Signer } from "../ports/runtime.ts";

/** What names of deliveries tell. */
export interface DeliveryName {
  /** The name that it was first pushed with. */
  readonly id: string;
  /** How often it was replayed. */
  readonly round: number;
  /** Whether a group should handle it: a replay is for the one whose dead letter it was, and no matter for others. */
  isFor(group: string): boolean;
}

/** The longest id that is kept as it is: with all that is put behind it, it has to fit into a queue. */
const ID = 100;
/** The longest part of a key, so that three of them fit into one. */
const PART = 150;

const REPLAY = /^(.+)~replay\.([1-9]\d{0,8})\.([0-9a-z]{1,7})$/s;

/**
 * Reads the name of a delivery. A replay needs a new one, since queues know ids again; behind the old id it has a mark
 * of how often it was replayed and for which group.
 *
 * @example
 * ```ts
 * import { deliveryName } from "@catga/catga/durable";
 * const { id, round } = deliveryName("7");
 * console.log(id, round); // "7", 0
 * ```
 */
export function deliveryName(id: string): DeliveryName {
  const [whole, original, round, mark] = REPLAY.exec(id) ?? [];
  if (whole === undefined) return { id, round: 0, isFor: () => true };
  return { id: original!, round: Number(round), isFor: (group) => markOf(group) === mark };
}

/** The name of a replay. */
export function replayName(id: string, round: number, group: string): string {
  return `${id}~replay.${round}.${markOf(group)}`;
}

/** An id that names can be made of: itself, or a hash of one that is too long. */
export function shortId(id: string, crypto: Signer): string | Promise<string> {
  return id.length <= ID ? id : shortened(id, crypto);
}

/** A text as a part of a key: reversibly encoded, or a hash of what has no room. */
export function keyPart(text: string, crypto: Signer): string | Promise<string> {
  const encoded = text.isWellFormed() ? encodeURIComponent(text).replaceAll("~", "%7E") : undefined;
  return encoded !== undefined && encoded.length <= PART ? encoded : shortened(text, crypto);
}

async function shortened(text: string, crypto: Signer): Promise<string> {
  return `~${await crypto.hash(JSON.stringify(text))}`;
}

function markOf(group: string): string {
  return hash32(group).toString(36);
}
