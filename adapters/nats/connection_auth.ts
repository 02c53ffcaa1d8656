import {
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/nats-core";
import { cannotConnect } from "./connection_fault.ts";
import type { NatsAuth, NatsOptions } from "./connection_options.ts";

/** What answers a server that asks who comes in; `undefined` where nothing is said of that. Throws `VALIDATION`. */
export function authenticatorOf(
  options: Pick<NatsOptions, "user" | "pass" | "token" | "nkey" | "credentials">,
): ((nonce?: string) => NatsAuth) | undefined {
  const { user, pass, token, nkey, credentials } = options;
  const ways = { user, token, nkey, credentials };
  const given = Object.entries(ways).filter(([, value]) => value !== undefined).map(([name]) => name);
  if (given.length > 1) {
    throw cannotConnect("VALIDATION", `${given.join(" and ")} are given. Give one of them`);
  }
  if (pass !== undefined && user === undefined) {
    throw cannotConnect("VALIDATION", "pass is given without user");
  }
  const bytes = new TextEncoder();
  try {
    if (user !== undefined) return usernamePasswordAuthenticator(user, pass);
    if (token !== undefined) return tokenAuthenticator(token);
    // Signing once says early whether they are seeds.
    if (nkey !== undefined) return tried(nkeyAuthenticator(bytes.encode(nkey)));
    if (credentials !== undefined) return tried(credsAuthenticator(bytes.encode(credentials)));
  } catch {
    throw cannotConnect(
      "VALIDATION",
      nkey === undefined ? "credentials have no JWT and seed in them" : "nkey is no seed (SU…)",
    );
  }
  return undefined;
}

function tried(authenticator: (nonce?: string) => NatsAuth): (nonce?: string) => NatsAuth {
  authenticator("nonce");
  return authenticator;
}
