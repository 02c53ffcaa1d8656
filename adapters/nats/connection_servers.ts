import { cannotConnect } from "./connection_fault.ts";
import type { ConnectionKind } from "./connection_kind.ts";

/** Where servers are, and by which kind of connection they are reached. */
export interface Servers {
  readonly kind: ConnectionKind;
  readonly urls: readonly string[];
  /** Whether what goes there is encrypted from the start. */
  readonly tls: boolean;
  /** Who comes in, where the URLs say so. */
  readonly user?: string;
  readonly pass?: string;
}

const KINDS: Readonly<Record<string, ConnectionKind>> = {
  "ws:": "WebSocket",
  "wss:": "WebSocket",
  "nats:": "TCP",
  "tls:": "TCP",
};

/** Whether the servers are reached by TCP, as far as that can be told. */
export function isTcp(target: unknown): boolean {
  const first = Array.isArray(target) ? target[0] : target;
  return typeof first === "string" && /^\s*(?:nats|tls):/i.test(first);
}

/** Reads a list of servers; a user and password in the first of them count for all. Throws `VALIDATION`. */
export function readServers(given: string | readonly string[]): Servers {
  const list = typeof given === "string" ? given.split(",").map((url) => url.trim()) : given;
  if (list.length === 0) throw cannotConnect("VALIDATION", "the list of servers is empty");
  const urls = list.map(readUrl);
  const first = urls[0]!;
  for (const { protocol } of urls) {
    if (KINDS[protocol] === KINDS[first.protocol]) continue;
    throw cannotConnect(
      "VALIDATION",
      `"${first.protocol}//" and "${protocol}//" are mixed. Use one kind: ws:// and wss://, or nats:// and tls://`,
    );
  }
  return {
    kind: KINDS[first.protocol]!,
    urls: urls.map((url) =>
      `${url.protocol}//${url.host}${url.pathname === "/" ? "" : url.pathname}${url.search}`
    ),
    tls: urls.some(({ protocol }) => protocol === "tls:" || protocol === "wss:"),
    ...(first.username === "" ? {} : { user: decodeURIComponent(first.username) }),
    ...(first.password === "" ? {} : { pass: decodeURIComponent(first.password) }),
  };
}

function readUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
    decodeURIComponent(url.username + url.password);
  } catch {
    throw cannotConnect("VALIDATION", `${JSON.stringify(withoutUser(text))} is no URL`);
  }
  if (KINDS[url.protocol] === undefined || url.hostname === "") {
    throw cannotConnect(
      "VALIDATION",
      `${JSON.stringify(withoutUser(text))} does not begin with ws://, wss://, nats:// or tls:// and a host`,
    );
  }
  return url;
}

/** Messages are read by many. */
const withoutUser = (text: string): string => text.slice(0, 200).replace(/\/\/.*@/, "//…@");
