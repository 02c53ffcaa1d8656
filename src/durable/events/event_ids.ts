import { canonicalJson } from "../../internal/canonical_json.ts";
import { hash32 } from "../../internal/hash.ts";
import type { Cause } from "../records/transaction.ts";

/** What the ids of events may begin with: room for a number is left. */
const LONGEST = 120;
/** How long the text of a command may be of which there is a fingerprint. */
const COMMAND = 262_144;

/** What the ids of all events begin with that happen to one entity because of one message, in one handler of it. */
export function causedBy({ id, delivery }: Cause, step: string | undefined): string {
  const parts = [id, delivery?.group, step].map((part) => part?.replace(/[@#~/]/g, (sign) => `~${sign}`));
  const name = `${parts[0]}${parts[1] === undefined ? "" : `@${parts[1]}`}${
    parts[2] === undefined ? "" : `#${parts[2]}`
  }`;
  return name.length <= LONGEST && name.isWellFormed() ? name : digest(name);
}

/** The id of one of the events that happen together. */
export function eventId(base: string, at: number): string {
  return `${base}/${at}`;
}

/** Whether an event is one of those that happened together. */
export function isOneOf(base: string, id: string): boolean {
  return id.startsWith(`${base}/`);
}

/** Tells a command from another; `undefined` for one that is not plain data. */
export function fingerprint(command: unknown): string | undefined {
  const text = canonicalJson(command, COMMAND);
  return text === undefined ? undefined : digest(text);
}

function digest(text: string): string {
  return ["a", "b", "c", "d"].map((salt) => hash32(salt + text).toString(36).padStart(7, "0")).join("");
}
