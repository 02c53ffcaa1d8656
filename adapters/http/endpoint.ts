import { CatgaError, systemFault } from "../../src/result.ts";

/** Where a node is reached, taken apart once. */
export interface Endpoint {
  /** The URL without a slash at its end. */
  readonly url: string;
  /** The path that stands before the node's own, `""` for most. */
  readonly path: string;
}

/**
 * Takes an endpoint apart. Throws a `CatgaError` with `VALIDATION` for what is not a plain http(s) URL, and for one
 * beyond this machine when frames are not signed.
 *
 * @param role what the endpoint is, for the message: `node "a"`, `peer`
 */
export function readEndpoint(text: string, signed: boolean, role: string): Endpoint {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refusal(role, "it is not a URL", "Give one such as http://10.0.0.1:5001");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw refusal(role, `its scheme is "${url.protocol.slice(0, -1)}"`, "Give one with http or https");
  }
  if (url.username !== "" || url.password !== "") {
    throw refusal(role, "it holds a user name or a password", "Leave them out and set a secret instead");
  }
  if (url.search !== "" || url.hash !== "" || /[?#]/.test(text)) {
    throw refusal(role, "it has a query or a fragment", "Give scheme, host, port and path alone");
  }
  if (!signed && !isLoopback(url.hostname)) {
    throw refusal(
      role,
      `host ${url.hostname} is beyond this machine and there is no secret`,
      "Set the same secret of 32 characters or more on every node, or use 127.0.0.1",
    );
  }
  const path = url.pathname.replace(/\/+$/, "");
  return { url: url.origin + path, path };
}

/** Whether a URL's host is this machine for certain: 127.0.0.0/8, ::1 and localhost. */
export function isLoopback(hostname: string): boolean {
  const host = hostname.toLowerCase();
  return host === "localhost" || host === "[::1]" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function refusal(role: string, found: string, advice: string): CatgaError {
  return new CatgaError(systemFault("VALIDATION", `Cannot use the endpoint of ${role}: ${found}. ${advice}`));
}
