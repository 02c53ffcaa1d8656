import { CatgaError, systemFault } from "../../src/result.ts";
import type { Peer } from "../../src/ports/transport.ts";
import { encodeToken } from "./names.ts";

/** Where the calls for a node go. `undefined` for an endpoint that no node can have. */
export function nodeSubject(cluster: string, endpoint: string): string | undefined {
  const token = encodeToken(endpoint);
  return token === undefined ? undefined : `catga.${cluster}.n.${token}`;
}

/** Where a node is asked whether it is there. */
export function probeSubject(subject: string): string {
  return subject.replace(".n.", ".w.");
}

/** The inbox that a reply subject lies in: only what callers of this cluster make is one, so nothing else is sent to. */
export function inboxOf(cluster: string, reply: string | undefined): string | undefined {
  if (reply === undefined || reply.length > 160 || !reply.startsWith(`catga.${cluster}.r.`)) return undefined;
  const [token, rest, more] = reply.slice(cluster.length + 9).split(".");
  if (rest === undefined || more !== undefined || !/^[\w-]{22}$/.test(token!) || !/^[\w-]+$/.test(rest)) {
    return undefined;
  }
  return reply.slice(0, reply.length - rest.length - 1);
}

/** Throws `VALIDATION` for a node that cannot be served. */
export function checkSelf({ id, endpoint }: Peer): void {
  const why = endpoint === ""
    ? "its endpoint is empty"
    : encodeToken(endpoint) === undefined
    ? "its endpoint is too long for a subject"
    : undefined;
  if (why === undefined) return;
  const message = `Cannot open node "${id}" on NATS: ${why}. Use a short name, such as that of the node`;
  throw new CatgaError(systemFault("VALIDATION", message));
}
