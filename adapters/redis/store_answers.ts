import type { Change } from "../../src/ports/store.ts";
import { transport } from "./faults.ts";
import type { Reply } from "./wire.ts";

/** An entry as a script answers it. */
export interface Listed {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
  /** In how many ms its time is over; `undefined` for never. */
  readonly left: number | undefined;
}

/** Entries by key, and what was the last revision then. */
export interface Listing {
  readonly last: number;
  readonly more: boolean;
  readonly entries: readonly Listed[];
}

/** A change, and in how many ms the time of what was put is over. */
export interface Told {
  readonly change: Exclude<Change, { readonly type: "ready" }>;
  readonly left: number | undefined;
}

/** What has changed since, if that is known. */
export type News =
  | { readonly type: "unknown" }
  | {
    readonly type: "known";
    readonly till: number;
    readonly more: boolean;
    readonly changes: readonly Told[];
  };

/** What came of a write. */
export type WriteAnswer =
  | { readonly type: "done"; readonly revision: number; readonly before: number }
  | { readonly type: "conflict"; readonly found: number | "absent" }
  | { readonly type: "full" };

export function listingOf(what: string, reply: Reply): Listing {
  const [last, more, entries] = listOf(what, reply);
  return {
    last: numberOf(what, last),
    more: more !== 0,
    entries: listOf(what, entries).map((entry) => listedOf(what, entry)),
  };
}

export function newsOf(what: string, reply: Reply): News {
  const [type, till, more, changes] = listOf(what, reply);
  if (type === "unknown") return { type };
  if (type !== "known") throw unfit(what);
  return {
    type,
    till: numberOf(what, till),
    more: more !== 0,
    changes: listOf(what, changes).map((each): Told => {
      const parts = listOf(what, each);
      if (parts.length === 2) {
        const [revision, key] = parts;
        const change = {
          type: "delete",
          key: textOf(what, key),
          revision: numberOf(what, revision),
        } as const;
        return { change, left: undefined };
      }
      const { left, ...entry } = listedOf(what, parts);
      return { change: { type: "put", entry }, left };
    }),
  };
}

export function writeOf(what: string, reply: Reply): WriteAnswer {
  const [type, one, before] = listOf(what, reply);
  if (type === "full") return { type };
  const revision = numberOf(what, one);
  if (type === "conflict") return { type, found: revision === 0 ? "absent" : revision };
  if (type === "done") return { type, revision, before: numberOf(what, before) };
  throw unfit(what);
}

export function numberOf(what: string, reply: Reply | undefined): number {
  if (typeof reply !== "number") throw unfit(what);
  return reply;
}

export function textOf(what: string, reply: Reply | undefined): string {
  if (typeof reply !== "string") throw unfit(what);
  return reply;
}

export function listOf(what: string, reply: Reply | undefined): readonly Reply[] {
  if (!Array.isArray(reply)) throw unfit(what);
  return reply;
}

function listedOf(what: string, reply: Reply | undefined): Listed {
  const [revision, key, value, left] = listOf(what, reply);
  const ms = numberOf(what, left);
  return {
    key: textOf(what, key),
    value: textOf(what, value),
    revision: numberOf(what, revision),
    left: ms < 0 ? undefined : ms,
  };
}

function unfit(what: string): Error {
  return transport(what, "the script answered something else than it does; it may have been done");
}
