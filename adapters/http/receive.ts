import { readBody } from "../../src/internal/read_body.ts";
import type { TimedReplayGuard } from "./timed_replays.ts";
import type { Runtime } from "../../src/ports/runtime.ts";
import type { Receiver } from "../../src/ports/transport.ts";
import { Answer } from "./answer.ts";
import { BYTES_TYPE, TEXT_TYPE } from "./frames.ts";
import type { Refusals } from "./refusal.ts";
import { type Keyring, readClaim } from "./signature.ts";

/** What the endpoint needs of the node it belongs to. */
export interface Door {
  readonly runtime: Runtime;
  readonly keyring: Keyring;
  readonly replays: TimedReplayGuard;
  /** The node's name, encoded. */
  readonly name: string;
  /** What stands before the node's path in its own endpoint. */
  readonly prefix: string;
  /** Whether frames and answers are signed. */
  readonly signed: boolean;
  /** What is being answered. */
  readonly answers: Set<Answer>;
  receiver: Receiver | undefined;
}

/** What every request is held to. */
export interface Limits {
  /** What frames are posted to. */
  readonly path: string;
  /** Bytes in a frame. */
  readonly limit: number;
  /** How far a frame's time may be from this node's, in ms. */
  readonly window: number;
}

/** Makes the function that takes the requests of other nodes. It never rejects. */
export function createReceive(
  { path, limit, window }: Limits,
  door: () => Door | undefined,
  refusals: Refusals,
): (request: Request) => Promise<Response> {
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const { refuse, refuseSealed } = refusals;

  return async (request) => {
    const here = door();
    if (!hasPath(request.url, here?.prefix ?? "", path)) return refuse("path");
    if (request.method !== "POST") return refuse("method");
    if (here === undefined || (here.receiver === undefined && !here.signed)) return refuse("not_serving");

    const { headers } = request;
    const type = kindOf(headers.get("content-type"));
    const coding = headers.get("content-encoding");
    if (type === undefined || (coding !== null && coding !== "identity")) return refuse("content_type");
    const length = headers.get("content-length");
    if (length !== null && !(Number(length) <= limit)) return refuse("too_large");

    const claim = readClaim(headers.get("catga-auth"));
    if (claim === undefined) return refuse("unsigned");
    if (claim.to !== here.name && claim.to !== "*") return refuse("wrong_target");
    if (Math.abs(here.runtime.clock.wall() - claim.time) > window) return refuse("expired");

    let body: Uint8Array | undefined;
    try {
      body = length === null
        ? await readBody(request.body as AsyncIterable<Uint8Array> | null, limit)
        : new Uint8Array(await request.arrayBuffer());
    } catch {
      return refuse("malformed");
    }
    if (body === undefined || body.length > limit) return refuse("too_large");
    if (length !== null && body.length !== Number(length)) return refuse("malformed");

    const verified = here.keyring.verify(claim, body);
    if (!(typeof verified === "boolean" ? verified : await verified)) return refuse("forged");
    const now = here.runtime.clock.wall();
    // A body may take longer to come in than its signature holds; the window has forgotten such counts.
    if (now - claim.time > window) return refuse("expired");
    if (!here.replays.first(claim.sender, claim.count, claim.time, now)) return refuse("replayed");
    const seal = here.keyring.seal(claim.key, claim.mac);
    const { receiver } = here;
    // Only now, so that the signed answer is true for good: this request will never be taken.
    if (receiver === undefined) return await refuseSealed("not_serving", seal);
    if (type === BYTES_TYPE) return Answer.to(request, here, seal, receiver, body);
    let text: string;
    try {
      text = utf8.decode(body);
    } catch {
      return await refuseSealed("malformed", seal);
    }
    return Answer.to(request, here, seal, receiver, text);
  };
}

/** Compares without taking the URL apart: nothing is decoded, so no spelling but one fits. */
function hasPath(url: string, prefix: string, path: string): boolean {
  const start = url.indexOf("/", 8);
  const length = url.length - start;
  if (length === path.length) return url.startsWith(path, start);
  return length === prefix.length + path.length && url.startsWith(prefix, start) && url.endsWith(path);
}

function kindOf(type: string | null): typeof TEXT_TYPE | typeof BYTES_TYPE | undefined {
  if (type === TEXT_TYPE || type === BYTES_TYPE) return type;
  if (type === null || type.length > 64) return undefined;
  return /^application\/json *; *charset="?utf-8"?$/i.test(type) ? TEXT_TYPE : undefined;
}
