import { CatgaError, type SystemCode, systemFault } from "../../result.ts";
import { canonicalJson } from "../../internal/canonical_json.ts";
import { namedHeader } from "../../internal/named_header.ts";
import type { Contract } from "../../message/contract.ts";
import type { Signer } from "../../ports/runtime.ts";

/** The header that names a call in the place of its contract's key. */
export const IDEMPOTENCY_KEY = "idempotency-key";

/** What keys begin with. */
const PREFIX = "idempotency/";
/** How long the name of a call may be, and what a call carries as JSON, in characters. */
const NAME = 4096;
const BODY = 2 ** 22;

/** What of a call tells it from others. */
export interface CallFacts {
  readonly contract: Contract;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>> | undefined;
  /** The headers of the message that this one was sent because of. */
  readonly inherited: Readonly<Record<string, string>> | undefined;
}

/** How a call is known again. */
export interface CallKey {
  /** Where in the store it is kept. */
  readonly key: string;
  /** The hash of what it carries. */
  readonly payload: string;
}

/**
 * The key of a call: what its own header says, else what the policy makes of the body, else all of the body; under the
 * contract's name and the tenant. Everything but the contract's name is hashed, so no name is too long or says more
 * than it should. Rejects with `VALIDATION` where calls could not be told apart.
 */
export async function callKey(facts: CallFacts, crypto: Signer, tenantHeader: string): Promise<CallKey> {
  const { contract, body, headers } = facts;
  const { type } = contract;
  const tenant = namedHeader(headers, tenantHeader);
  if (tenant === null) throw refusal(type, `it has more than one header "${tenantHeader}"`);
  const text = attempt(type, () => canonicalJson(body, BODY));
  if (text === undefined) {
    throw refusal(type, "not all of its body is plain data as JSON knows it, or it is too large");
  }
  const payload = await crypto.hash(text);
  const [source, name] = nameOf(facts) ?? ["body", payload];
  const identity = JSON.stringify([tenant ?? null, source, name]);
  return { key: `${PREFIX}${type}/${await crypto.hash(identity)}`, payload };
}

/** What the sender or the policy calls it; `undefined` if neither does. */
function nameOf(facts: CallFacts): readonly [source: "header" | "key", name: string] | undefined {
  const { contract: { type, idempotency }, body } = facts;
  const header = ownHeader(facts);
  if (header === null) throw refusal(type, `it has more than one header "${IDEMPOTENCY_KEY}"`);
  if (header !== undefined) return ["header", checked(type, header)];
  const key = idempotency?.key;
  return key === undefined ? undefined : ["key", checked(type, attempt(type, () => key(body)))];
}

/** The header, unless it only came along from the message that this one was sent because of: it names that one. */
function ownHeader({ headers, inherited }: CallFacts): string | undefined | null {
  const own = namedHeader(headers, IDEMPOTENCY_KEY);
  return own === namedHeader(inherited, IDEMPOTENCY_KEY) ? undefined : own;
}

function checked(type: string, name: unknown): string {
  if (typeof name === "string" && name.length > 0 && name.length <= NAME) return name;
  const found = typeof name === "string" ? `${name.length} characters` : `no text but ${typeof name}`;
  throw refusal(type, `its key has ${found}, but must have 1 to ${NAME}`);
}

function attempt<T>(type: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw refusal(type, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function refusal(type: string, why: string): CatgaError {
  const code: SystemCode = "VALIDATION";
  const message = `Cannot tell whether "${type}" is a repetition: ${why}`;
  return new CatgaError(systemFault(code, message));
}
