/** What a token allows. */
export type Access = "full" | "read";

/** The tokens of a gateway. */
export interface Tokens {
  /** Allows each command: 16 characters or more. */
  readonly token: string;
  /** Allows commands that only read, and to subscribe. */
  readonly readOnlyToken?: string | undefined;
}

/** What a request may do, by the token in its header or, as the protocol has it, in its address. */
export function accessOf(request: Request, tokens: Tokens): Access | undefined {
  const header = request.headers.get("authorization");
  const given = header === null
    ? new URL(request.url).searchParams.get("_token")
    : /^Bearer +(\S+)$/i.exec(header)?.[1];
  const full = isSame(given ?? "", tokens.token);
  const read = isSame(given ?? "", tokens.readOnlyToken ?? "");
  return full ? "full" : read ? "read" : undefined;
}

/** Compares in a time that depends on what was given, and not on how much of it is right. */
export function isSame(given: string, expected: string): boolean {
  let differences = given.length ^ expected.length;
  for (let at = 0; at < given.length; at++) {
    differences |= given.charCodeAt(at) ^ expected.charCodeAt(at % Math.max(1, expected.length));
  }
  return differences === 0 && given !== "";
}
