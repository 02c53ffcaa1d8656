import type { FetchInit, FetchReply, Runtime } from "../../src/ports/runtime.ts";
import { endBody } from "../../src/internal/end_body.ts";
import { readBody } from "../../src/internal/read_body.ts";
import { readLines } from "./read_lines.ts";
import { isObject, versionOf } from "./slices.ts";
import { trustingFetch } from "./trusting_client.ts";
import { trouble } from "./trouble.ts";

/** Something to give, or a function that gives it each time it is needed. */
export type Given = string | (() => string | Promise<string>);

/** Where slices are, and how to get at them. */
export interface SliceApiOptions {
  /** The API server's URL without a slash at its end. */
  readonly api: string;
  readonly namespace: Given;
  readonly service: string;
  readonly token: Given | undefined;
  /** The authority that signed the API server's certificate, in PEM; the platform's own if left out. */
  readonly ca: Given | undefined;
  /** Bytes in one page of a list or one line of a watch. */
  readonly limit: number;
}

/** One page of a list. */
export interface Page {
  readonly items: readonly unknown[];
  readonly version: string;
  /** Asks for the page after it. */
  readonly next: string | undefined;
}

/** The API server has forgotten the version it was asked to go on from. */
export const GONE: unique symbol = Symbol("gone") as never;

const ADVICE: Readonly<Record<number, string>> = {
  401: ". Give a token that it accepts",
  403: ". Allow the service account to list and watch endpointslices of discovery.k8s.io in this namespace",
  404: ". Check the URL and the namespace; Kubernetes 1.21 or newer is needed",
};
/** Slices may have 1,000 endpoints of about 400 bytes. */
const PAGE = 25;

/** Asks a Kubernetes API server for the EndpointSlices of a service. All that it answers rejects with a `CatgaError`. */
export class SliceApi {
  readonly #options: SliceApiOptions;
  readonly #runtime: Runtime;

  constructor(options: SliceApiOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
  }

  /** A page of all slices, the first or the one after another. */
  async list(next: string | undefined, signal: AbortSignal): Promise<Page | typeof GONE> {
    const { limit } = this.#options;
    const query = { limit: String(PAGE), ...(next === undefined ? {} : { continue: next }) };
    const reply = await this.#get(query, signal);
    if (reply === GONE) return GONE;
    const bytes = await readBody(reply.body, limit);
    if (bytes === undefined) {
      throw trouble(
        "SERIALIZATION",
        `Cannot list EndpointSlices: a page is over ${limit} bytes. Raise limit`,
      );
    }
    const page = parse(new TextDecoder().decode(bytes), "a page");
    const version = versionOf(page);
    const { items, metadata } = page as { items?: unknown; metadata?: { continue?: unknown } };
    if (version === undefined || !Array.isArray(items)) {
      throw trouble("SERIALIZATION", "Cannot list EndpointSlices: what answers there is no Kubernetes API");
    }
    const more = metadata?.continue;
    return { items, version, next: typeof more === "string" && more !== "" ? more : undefined };
  }

  /** What happens after a version, as it comes, for about so many seconds. */
  async watch(
    version: string,
    seconds: number,
    signal: AbortSignal,
  ): Promise<AsyncGenerator<unknown> | typeof GONE> {
    const query = {
      watch: "1",
      allowWatchBookmarks: "true",
      resourceVersion: version,
      timeoutSeconds: String(seconds),
    };
    const reply = await this.#get(query, signal);
    return reply === GONE ? GONE : changesOf(reply, this.#options.limit);
  }

  async #get(
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<FetchReply | typeof GONE> {
    const { api, service } = this.#options;
    const namespace = await read(this.#options.namespace);
    if (!isLabel(namespace)) {
      throw trouble("VALIDATION", "Cannot list EndpointSlices: the namespace is no DNS label. Give another");
    }
    const label = `kubernetes.io/service-name=${service}`;
    const search = new URLSearchParams({ labelSelector: label, ...query });
    const url = `${api}/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?${search}`;
    let token = await this.#token();
    let reply = await this.#send(url, token, signal);
    if (reply.status === 401) {
      // The file may have been replaced after it was read.
      const newer = await this.#token();
      if (newer !== token) {
        endBody(reply.body);
        token = newer;
        reply = await this.#send(url, token, signal);
      }
    }
    const { status } = reply;
    if (status === 200) return reply;
    endBody(reply.body);
    if (status === 410) return GONE;
    throw trouble(
      status === 401 || status === 403 || status === 404 ? "VALIDATION" : "UNAVAILABLE",
      `Cannot get EndpointSlices of service "${service}": ${api} answered ${status}${ADVICE[status] ?? ""}`,
      { retryAfter: retryAfter(reply.headers.get("retry-after")) },
    );
  }

  async #send(url: string, token: string | undefined, signal: AbortSignal): Promise<FetchReply> {
    const headers: Record<string, string> = { accept: "application/json", "accept-encoding": "identity" };
    if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
    const { ca } = this.#options;
    const init: FetchInit = { method: "GET", headers, signal };
    return ca === undefined
      ? await this.#runtime.fetch(url, init)
      : await trustingFetch(await read(ca), url, init);
  }

  async #token(): Promise<string | undefined> {
    const { token: given } = this.#options;
    if (given === undefined) return undefined;
    const token = (await read(given)).trim();
    if (!/^[\x21-\x7e]{1,65536}$/.test(token)) {
      throw trouble("VALIDATION", "Cannot ask the API server: the token is empty or no token. Give another");
    }
    return token;
  }
}

/** Whether a text can name a service or a namespace (RFC 1123). */
export function isLabel(text: string): boolean {
  return /^[a-z\d]([a-z\d-]{0,61}[a-z\d])?$/.test(text);
}

async function* changesOf({ body }: FetchReply, limit: number): AsyncGenerator<unknown> {
  if (body === null) return;
  for await (const line of readLines(body, limit)) {
    if (line.trim() !== "") yield parse(line, "a line of a watch");
  }
}

function parse(text: string, what: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What the parser says quotes what it read.
  }
  if (isObject(value)) return value;
  throw trouble("SERIALIZATION", `Cannot read EndpointSlices: ${what} is no JSON object`);
}

async function read(given: Given): Promise<string> {
  return typeof given === "string" ? given : await given();
}

/** How long a server asks to wait, in ms, a minute at most. It says so in seconds. */
function retryAfter(header: string | null): number {
  return header !== null && /^\d{1,9}$/.test(header) ? Math.min(Number(header) * 1000, 60_000) : 0;
}
