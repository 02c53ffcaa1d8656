import { hash32 } from "../internal/hash.ts";
import type { Signer } from "../ports/runtime.ts";

/** What names of deliveries tell. */
export interface DeliveryName {
  /** The name that it was first pushed with. */
  readonly id: string;
  /** How often it was replayed. */
  readonly replays: number;
  /** The revision of the dead letter that it is a replay of; `undefined` if it is none. */
  readonly letter: number | undefined;
  /** Whether a group should handle it: a replay is for the one whose dead letter it was, and no matter for others. */
  isFor(group: string): boolean;
}

/** The longest id that is kept as it is: with all that is put behind it, it has to fit into a queue. */
const ID = 96;
/** The longest part of a key, so that three of them fit into one. */
const PART = 150;

const REPLAY = /^(.+)~replay\.([1-9]\d{0,3})\.([0-9a-z]{1,11})\.([0-9a-z]{1,7})$/s;

/**
 * Reads the name of a delivery. A replay needs a new one, since queues know ids again; behind the old id it says how
 * often it was replayed, which letter it is of and for which group.
 *
 * @example
 * ```ts
 * import { deliveryName } from "@catga/catga/durable";
 * const { id, replays } = deliveryName("7");
 * console.log(id, replays); // "7", 0
 * ```
 */
export function deliveryName(id: string): DeliveryName {
  const [whole, original, replays, letter, mark] = REPLAY.exec(id) ?? [];
  if (whole === undefined) return { id, replays: 0, letter: undefined, isFor: () => true };
  return {
    id: original!,
    replays: Number(replays),
    letter: Number.parseInt(letter!, 36),
    isFor: (group) => markOf(group) === mark,
  };
}

/** How often a delivery can be said to have been replayed. */
const REPLAYS = 9999;

/** The name of a replay of a letter: another for each letter, the same for each try. */
export function replayName({ id, group, replays, revision }: Replayed): string {
  const count = Math.min(replays + 1, REPLAYS);
  return `${id}~replay.${count}.${revision.toString(36)}.${markOf(group)}`;
}

/** What of a letter goes into the name of its replay. */
interface Replayed {
  readonly id: string;
  readonly group: string;
  readonly replays: number;
  readonly revision: number;
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
