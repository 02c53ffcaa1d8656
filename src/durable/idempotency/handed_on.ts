import { namedHeader } from "../../internal/named_header.ts";
import { IDEMPOTENCY_KEY } from "./call_key.ts";

/**
 * Headers as they go to another node: without the `idempotency-key` that only came along from the message that this one
 * is sent because of. It names that one, and over there nobody could tell.
 */
export function handedOn(
  headers: Readonly<Record<string, string>> | undefined,
  inherited: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> | undefined {
  const key = namedHeader(inherited, IDEMPOTENCY_KEY);
  if (key === undefined || namedHeader(headers, IDEMPOTENCY_KEY) !== key) return headers;
  const rest = Object.entries(headers!).filter(([name]) => name.toLowerCase() !== IDEMPOTENCY_KEY);
  return rest.length === 0 ? undefined : Object.fromEntries(rest);
}
