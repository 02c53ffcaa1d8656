import { WireError } from "../wire/envelope.ts";

/** Word that a command has changed what some queries answer. */
export interface Invalidation {
  readonly types: readonly string[];
  /** Whose answers; those of all if `undefined`. */
  readonly tenant: string | undefined;
}

const NO_TYPES: readonly string[] = [];
const MOST_TYPES = 64;
const LONGEST = 128;

/** The queries whose kept answers go when a command of a contract has succeeded. */
export function invalidationsOf(contract: { readonly invalidates?: Types }): readonly string[] {
  return contract.invalidates === undefined ? NO_TYPES : contract.invalidates.map(({ type }) => type);
}

type Types = readonly { readonly type: string }[] | undefined;

/** The word as items of frames, of at most 64 queries each; for all tenants where one is over 128 UTF-16 units. */
export function encodeInvalidation({ types, tenant }: Invalidation): readonly unknown[] {
  const whose = tenant === undefined || tenant.length > LONGEST ? [] : [tenant];
  const items: unknown[] = [];
  for (let at = 0; at < types.length; at += MOST_TYPES) {
    items.push([types.slice(at, at + MOST_TYPES), ...whose]);
  }
  return items;
}

/** An item of a frame as the word. Throws a {@linkcode WireError} when it is none. */
export function decodeInvalidation(item: unknown): Invalidation {
  const [types, tenant] = Array.isArray(item) ? item as readonly unknown[] : [];
  const fits = Array.isArray(types) && types.length <= MOST_TYPES && types.every(isName) &&
    (tenant === undefined || isName(tenant) || tenant === "");
  if (!fits) throw new WireError("Cannot read the invalidation: it is malformed");
  return { types, tenant: tenant as string | undefined };
}

function isName(value: unknown): boolean {
  return typeof value === "string" && value.length > 0 && value.length <= LONGEST;
}
