import { canonicalJson } from "../../internal/canonical_json.ts";
import { parseJson } from "../../internal/safe_json.ts";

/** The longest text a store takes. */
const TEXT = 262_144;

/** What is kept of a value. */
export interface CacheRecord {
  readonly value: unknown;
  readonly tags: readonly string[];
  /** The revision of the claim that it was computed under: what was invalidated later is not good any more. */
  readonly since: number | undefined;
  /** Whether it is stale once its mark is gone. */
  readonly marked: boolean;
}

/** What is kept under a key: a value, or the claim of who computes it. */
export type CacheEntry =
  | { readonly type: "value"; readonly record: CacheRecord }
  | { readonly type: "claim"; readonly id: string };

/** A value as text; `undefined` for what is no plain data or too long. */
export function encodeValue({ value, tags, since, marked }: CacheRecord): string | undefined {
  if (value === undefined) return undefined;
  return canonicalJson({
    value,
    ...(tags.length === 0 ? {} : { tags }),
    ...(since === undefined ? {} : { since }),
    ...(marked ? { marked } : {}),
  }, TEXT);
}

/** A claim as text. */
export function encodeClaim(id: string): string {
  return JSON.stringify({ claim: id });
}

/** What a text keeps; throws for one that is neither a value nor a claim. */
export function decodeEntry(text: string): CacheEntry {
  const data = parseJson(text) as {
    readonly claim?: unknown;
    readonly value?: unknown;
    readonly tags?: unknown;
    readonly since?: unknown;
    readonly marked?: unknown;
  };
  if (typeof data?.claim === "string") return { type: "claim", id: data.claim };
  const { value, tags = [], since, marked = false } = data;
  const fits = value !== undefined && Array.isArray(tags) && tags.every((tag) => typeof tag === "string") &&
    (since === undefined || Number.isSafeInteger(since)) && typeof marked === "boolean";
  if (!fits) throw new TypeError("It is neither a value nor a claim");
  return { type: "value", record: { value, tags, since: since as number | undefined, marked } };
}
