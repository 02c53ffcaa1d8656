import type { Answer } from "./answer.ts";
import { TimedReplayGuard } from "./timed_replays.ts";
import type { Backend, BackendHost, BackendParts } from "../../src/ports/backend.ts";
import type { Discovery } from "../../src/ports/discovery.ts";
import type { LogEntry, Runtime } from "../../src/ports/runtime.ts";
import type { Peer } from "../../src/ports/transport.ts";
import { within } from "../../src/internal/within.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import { readEndpoint } from "./endpoint.ts";
import { createExchange } from "./exchange.ts";
import { OpenExchanges } from "./open_exchanges.ts";
import { createReceive, type Door } from "./receive.ts";
import { createRefusals } from "./refusal.ts";
import { createKeyring } from "./signature.ts";

/** What {@linkcode http} takes. */
export interface HttpOptions {
  /**
   * Endpoints of nodes to ask for the others, or what finds them (`@catga/catga/kubernetes`); the node's own may be
   * among them. Of those that are found, the ones that are refused in a list are passed over, and logged.
   */
  readonly peers: readonly string[] | Discovery;
  /**
   * What nodes sign their frames and answers with, 32 characters or more, the same on all nodes. Of two the first signs and both
   * are accepted: to change it, give all nodes `[old, new]`, then `[new, old]`, then `new`. Without one only endpoints
   * on this machine are allowed.
   */
  readonly secret?: string | readonly [current: string, previous: string];
  /** What the node's path begins with. @default "/catga" */
  readonly path?: string;
  /** Bytes in one frame, there and back. @default 8388608 */
  readonly limit?: number;
  /** How far clocks of nodes may differ and how long a frame may take, in ms. @default 30000 */
  readonly window?: number;
}

/** A backend whose nodes talk over HTTP. */
export interface HttpBackend extends Backend {
  /** What the path of {@linkcode HttpBackend.fetch} begins with; the whole of it is `{path}/v1`. */
  readonly path: string;
  /**
   * Answers the requests of other nodes: serve it, or mount it at its path. Never rejects; what is refused gets a
   * status of 400 to 503 and a short problem document. Needs no `this`.
   */
  readonly fetch: (request: Request) => Promise<Response>;
  /** How many requests were refused. */
  readonly refused: number;
}

const SHORTEST = 32;
const MOST_FOUND = 1024;
/** How long a node that begins waits for the first look of a discovery, in ms. */
const FIRST_LOOK = 2000;

/**
 * Nodes that talk over HTTP, with a list of endpoints to begin from, fixed or found. Serves one node; keeps nothing.
 *
 * Its `open` throws a `CatgaError`: `VALIDATION` for an endpoint that is not a plain http(s) URL, for one beyond this
 * machine without a secret and for a secret that is too short; `CONFLICT` when it serves a node already, until that
 * node's transport is disposed.
 */
export function http(options: HttpOptions): HttpBackend {
  const { peers, path = "/catga", limit = 8 * 1024 * 1024, window = 30_000 } = options;
  if (!/^(\/[\w.~-]+)+$/.test(path)) {
    throw new RangeError(`path must look like "/catga", not ${JSON.stringify(path)}`);
  }
  if (!(limit > 0)) throw new RangeError(`limit must be over 0 bytes, not ${limit}`);
  if (!(window > 0)) throw new RangeError(`window must be over 0 ms, not ${window}`);
  const { secret } = options;
  const secrets = secret === undefined ? [] : typeof secret === "string" ? [secret] : secret;
  const route = `${path}/v1`;
  let runtime: Runtime | undefined;
  let door: Door | undefined;
  /** What signs refusals when its node has gone. */
  let last: Door | undefined;
  const refusals = createRefusals(() => runtime);
  const replays = new TimedReplayGuard(window);

  function open({ self, runtime: given }: BackendHost): BackendParts {
    if (door !== undefined) {
      throw conflict(
        `Cannot open the HTTP backend for node "${self.id}": it serves a node already. Make one for each`,
      );
    }
    if (secrets.some((secret) => secret.length < SHORTEST)) {
      throw new CatgaError(systemFault(
        "VALIDATION",
        `Cannot sign frames of node "${self.id}": a secret is shorter than ${SHORTEST} characters. Use a random one`,
      ));
    }
    if (self.id === "" || self.id === "*" || self.id.length > 128) {
      throw new CatgaError(systemFault(
        "VALIDATION",
        `Cannot open the HTTP backend for node "${
          self.id.slice(0, 128)
        }": a name has 1 to 128 characters and is not "*"`,
      ));
    }
    const signed = secrets.length > 0;
    const { url, path: prefix } = readEndpoint(self.endpoint, signed, `node "${self.id}"`);
    const fixed = "open" in peers
      ? []
      : seedsOf(peers.map((peer) => readEndpoint(peer, signed, "a peer").url), url);
    const keyring = createKeyring(given.crypto, secrets, route);
    const name = encodeURIComponent(self.id);
    const answers = new Set<Answer>();
    const mine: Door = {
      runtime: given,
      keyring,
      replays,
      name,
      prefix,
      signed,
      answers,
      receiver: undefined,
    };
    const exchanges = new OpenExchanges();
    let closed = false;
    const found = "open" in peers ? peers.open(given) : undefined;
    runtime = given;
    last = door = mine;
    return {
      durability: "none",
      seeds: found === undefined
        ? () => fixed
        : readFound(() => found.endpoints(), signed, url, (entry) => given.log(entry)),
      transport: {
        name: "http",
        serve: async (_self, receiver) => {
          if (closed) {
            const message = `Cannot serve node "${self.id}": its transport is closed`;
            throw new CatgaError(systemFault("UNAVAILABLE", message));
          }
          if (mine.receiver !== undefined) {
            throw conflict(`Cannot serve node "${self.id}" twice: stop serving it first`);
          }
          mine.receiver = receiver;
          if (found !== undefined) await within(given.clock, found.ready, FIRST_LOOK);
          let stop = (): void => {
            mine.receiver = undefined;
            // Disposed again, it must not stop who came after it.
            stop = () => {};
          };
          return { [Symbol.asyncDispose]: () => Promise.resolve(stop()) };
        },
        exchange: createExchange({
          runtime: given,
          keyring,
          name,
          path: route,
          limit,
          signed,
          open: exchanges,
        }),
        [Symbol.asyncDispose]: async () => {
          if (door === mine) door = undefined;
          closed = true;
          mine.receiver = undefined;
          exchanges.close();
          for (const answer of [...answers]) answer.breakOff();
          await found?.[Symbol.asyncDispose]();
        },
      },
    };
  }

  return {
    name: "http",
    path,
    open,
    fetch: createReceive({ path: route, limit, window }, () => door ?? last, refusals),
    get refused() {
      return refusals.count;
    },
  };
}

function seedsOf(endpoints: readonly string[], own: string): readonly Peer[] {
  return endpoints.filter((endpoint) => endpoint !== own).map((endpoint) => ({ id: "*", endpoint }));
}

/** Reads the endpoints that a discovery has found, once for each list, and logs why one of them is refused. */
function readFound(
  endpoints: () => readonly string[],
  signed: boolean,
  own: string,
  log: (entry: LogEntry) => void,
): () => readonly Peer[] {
  let read: readonly string[] | undefined;
  let seeds: readonly Peer[] = [];
  let refused = 0;

  return () => {
    const list = endpoints();
    if (list === read) return seeds;
    read = list;
    const usable: string[] = [];
    const reasons: string[] = [];
    for (const endpoint of list.slice(0, MOST_FOUND)) {
      try {
        usable.push(readEndpoint(endpoint, signed, "a node that was found").url);
      } catch (error) {
        reasons.push((error as Error).message);
      }
    }
    if (reasons.length > 0 && refused === 0) {
      const fields = { refused: reasons.length, found: list.length };
      log({ level: "warn", event: "discovery.refused", message: reasons[0]!, fields });
    }
    refused = reasons.length;
    return seeds = seedsOf(usable, own);
  };
}

function conflict(message: string): CatgaError {
  return new CatgaError(systemFault("CONFLICT", message));
}
