import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";
import type { AskOptions, Link } from "./link.ts";

/** What a server's interface says went wrong. */
export interface StreamError {
  readonly code?: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** Codes by which its answers are known. */
export const StreamCode = {
  noConsumer: 10014,
  noMessage: 10037,
  noResources: 10023,
  noStorage: 10047,
  inUse: 10058,
  noStream: 10059,
  overlap: 10065,
  wrongStream: 10060,
  wrongSequence: 10071,
  full: 10077,
} as const;

/** How long the server may take to answer, in ms. */
const PATIENCE = 3000;
const decoder: TextDecoder = new TextDecoder();
/** What needs more room than there is. */
const FULL: readonly number[] = [StreamCode.full, StreamCode.noResources, StreamCode.noStorage];

/** Asks the server's interface for streams and consumers; errors other than those accepted are thrown. */
export async function askApi<T extends object>(
  link: Link,
  what: string,
  body: object = {},
  accepted: readonly number[] = [],
  options: AskOptions = {},
): Promise<T & { readonly error?: StreamError }> {
  const message = await link.ask(`$JS.API.${what}`, JSON.stringify(body), { timeout: PATIENCE, ...options });
  const answer = readJson(message.data) as (T & { readonly error?: StreamError }) | undefined;
  if (answer === undefined) throw streamFault(what, { description: "its answer cannot be read" });
  const { error } = answer;
  if (error !== undefined && !accepted.includes(error.err_code ?? 0)) throw streamFault(what, error);
  return answer;
}

/** Whether an answer says so. */
export function says(answer: { readonly error?: StreamError }, ...codes: readonly number[]): boolean {
  return codes.includes(answer.error?.err_code ?? 0);
}

/** A refusal of the server as one of ours: provably nothing was done. */
export function streamFault(what: string, error: StreamError): CatgaError {
  const { err_code = 0, code = 0, description = "no reason given" } = error;
  const fault: SystemCode = FULL.includes(err_code)
    ? "OVERLOADED"
    : code === 400
    ? "CONFLICT"
    : "UNAVAILABLE";
  const message = `Cannot ${what} on NATS: ${description} (${err_code})`;
  return new CatgaError(systemFault(fault, message, { server: err_code }));
}

/** Whether something failed because its stream or consumer is not there. */
export function isGone(thrown: unknown): boolean {
  const code = CatgaError.is(thrown)
    ? (thrown.data as { readonly server?: number } | undefined)?.server
    : undefined;
  return code === StreamCode.noStream || code === StreamCode.noConsumer;
}

/** What stands in bytes as JSON; `undefined` if none does. */
export function readJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(data));
  } catch {
    return undefined;
  }
}
