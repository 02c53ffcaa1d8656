import type { Signer } from "../../src/ports/runtime.ts";

/** The headers of a signed request, by lower-case name. */
export const HEADERS = {
  id: "webhook-id",
  time: "webhook-timestamp",
  signature: "webhook-signature",
} as const;

/** How long a secret has to be, in characters, and how old or early a request may be, in s. */
const SHORTEST = 24;
const TOLERANCE = 300;

/**
 * The headers that sign a body, as Standard Webhooks 1.0.0 has it (https://www.standardwebhooks.com). To other
 * implementations the secret is `whsec_` and its UTF-8 in base64.
 *
 * @param now in ms since 1970
 */
export async function signPush(
  crypto: Signer,
  secret: string,
  id: string,
  now: number,
  body: string,
): Promise<Readonly<Record<string, string>>> {
  const time = String(Math.floor(now / 1000));
  const signature = `v1,${await macOf(crypto, secret, id, time, body)}`;
  return { [HEADERS.id]: id, [HEADERS.time]: time, [HEADERS.signature]: signature };
}

/** Whether a request was signed with one of the secrets, within five minutes of now. */
export async function isSignedPush(
  crypto: Signer,
  secrets: readonly string[],
  headers: { get(name: string): string | null },
  now: number,
  body: string,
): Promise<boolean> {
  const [id, time, given] = [HEADERS.id, HEADERS.time, HEADERS.signature].map((name) =>
    headers.get(name) ?? ""
  ) as [string, string, string];
  if (id === "" || !/^\d{1,12}$/.test(time) || Math.abs(now / 1000 - Number(time)) > TOLERANCE) return false;
  const signatures = given.split(" ").slice(0, 10);
  let signed = false;
  for (const secret of secrets) {
    const expected = `v1,${await macOf(crypto, secret, id, time, body)}`;
    for (const signature of signatures) if (isSame(signature, expected)) signed = true;
  }
  return signed;
}

/** Refuses a secret that is too short. Throws a `RangeError` that does not say it. */
export function checkSecret(secret: string): void {
  if (secret.length >= SHORTEST && secret.isWellFormed()) return;
  throw new RangeError(
    `Cannot sign with a secret of ${secret.length} characters: give ${SHORTEST} random ones or more`,
  );
}

async function macOf(
  crypto: Signer,
  secret: string,
  id: string,
  time: string,
  body: string,
): Promise<string> {
  const mac = await crypto.hmac(secret, `${id}.${time}.${body}`);
  return `${mac.replaceAll("-", "+").replaceAll("_", "/")}=`;
}

/** Compares in a time that depends on what was given, and not on how much of it is right. */
function isSame(given: string, expected: string): boolean {
  let different = given.length ^ expected.length;
  for (let at = 0; at < given.length; at++) {
    different |= given.charCodeAt(at) ^ expected.charCodeAt(at % expected.length);
  }
  return different === 0;
}
