import { CatgaError, type SystemCode } from "../../src/result.ts";
import type { FetchReply, Runtime } from "../../src/ports/runtime.ts";
import type { ExchangeOptions, Frame, Peer, Reply } from "../../src/ports/transport.ts";
import { readEndpoint } from "./endpoint.ts";
import { BYTES_TYPE, FRAMES, REFUSED, TEXT_TYPE } from "./frames.ts";
import type { OpenExchanges } from "./open_exchanges.ts";
import { dropped, failure, readReply } from "./read_reply.ts";
import { retryAfter } from "./retry_after.ts";
import { AUTH, isSealed } from "./seal.ts";
import { type Keyring, say } from "./signature.ts";
import { neverReached } from "./unreached.ts";

/** What sending needs of the node it belongs to. */
export interface Sender {
  readonly runtime: Runtime;
  readonly keyring: Keyring;
  /** The node's name, encoded. */
  readonly name: string;
  readonly path: string;
  /** Bytes in a frame. */
  readonly limit: number;
  readonly signed: boolean;
  readonly open: OpenExchanges;
}

/** Where frames go, and how many went there. */
interface Target {
  readonly url: string;
  readonly start: string;
  count: number;
  id: string;
  encoded: string;
}

const TARGETS = 1024;
/** Answers of a server to a request that it did not take. Only the endpoint itself can say so with 503. */
const UNTAKEN: readonly number[] = [400, 401, 404, 405, 413, 415];
const ADVICE: Readonly<Record<number, string>> = {
  401: "Give both nodes the same secret, the right names, and clocks that agree",
  404: "Mount the backend's fetch at its path, and give both nodes the same path",
  413: "Send less at once, or raise the limit on both nodes",
  503: "The node there has not joined yet or has left",
};

/** Makes the function behind `Transport.exchange`. */
export function createExchange(
  sender: Sender,
): (to: Peer, frame: Frame, reply: Reply, options?: ExchangeOptions) => Promise<void> {
  const { runtime, keyring, limit } = sender;
  const targets = new Map<string, Target>();

  function targetOf({ id, endpoint }: Peer): Target {
    let target = targets.get(endpoint);
    if (target === undefined) {
      const { url } = readEndpoint(endpoint, sender.signed, `node ${JSON.stringify(id)}`);
      const start = runtime.random.u32().toString(36) + runtime.random.u32().toString(36);
      target = { url: url + sender.path, start, count: 0, id, encoded: encodeURIComponent(id) };
      if (targets.size >= TARGETS) targets.clear();
      targets.set(endpoint, target);
    }
    if (target.id !== id) {
      target.id = id;
      target.encoded = encodeURIComponent(id);
    }
    return target;
  }

  async function send(to: Peer, frame: Frame, reply: Reply, signal: AbortSignal): Promise<void> {
    let target: Target;
    try {
      target = targetOf(to);
    } catch (error) {
      throw failure("UNAVAILABLE", to, (error as Error).message, error);
    }
    if (frame.length > limit) {
      throw failure("UNAVAILABLE", to, `the frame is over the limit of ${limit} bytes`);
    }
    const { current } = keyring;
    const key = typeof current === "string" ? current : await current;
    const nonce = `${target.start}.${target.count++}`;
    const said = say(key, sender.name, target.encoded, Math.floor(runtime.clock.wall()), nonce);
    const signing = keyring.sign(said, frame);
    const mac = typeof signing === "string" ? signing : await signing;
    const headers = {
      "content-type": typeof frame === "string" ? TEXT_TYPE : BYTES_TYPE,
      "accept-encoding": "identity",
      [AUTH]: `${said};${mac}`,
    };
    const seal = keyring.seal(key, mac);
    let answered = false;
    try {
      const answer = await runtime.fetch(target.url, { method: "POST", headers, body: frame, signal });
      answered = true;
      if (answer.status === 200) await readReply(answer, reply, limit, to, seal);
      else if (
        seal !== undefined && !await isSealed(seal, answer.headers.get(AUTH), answer.status, undefined)
      ) {
        throw unsealed(answer, to, runtime.clock.wall());
      } else if (answer.status !== 204) throw refused(answer, to, runtime.clock.wall());
    } catch (error) {
      if (CatgaError.is(error)) throw error;
      if (!answered && neverReached(error)) {
        throw failure("UNAVAILABLE", to, "its connection was refused", error);
      }
      throw failure("TRANSPORT", to, "the connection broke, so the frame may have been received", error);
    }
  }

  return (to, frame, reply, options) =>
    sender.open.run(to, reply, options?.signal, (take, signal) => send(to, frame, take, signal));
}

function refused(answer: FetchReply, to: Peer, now: number): CatgaError {
  const { status } = answer;
  const untaken = UNTAKEN.includes(status) || (status === 503 && answer.headers.get(FRAMES) === REFUSED);
  return turnedDown(answer, to, now, "", untaken ? "UNAVAILABLE" : "TRANSPORT");
}

/** Anybody could have said so: the frame may have been taken for all that is known. */
function unsealed(answer: FetchReply, to: Peer, now: number): CatgaError {
  return turnedDown(answer, to, now, ", without a signature that fits", "TRANSPORT");
}

function turnedDown(answer: FetchReply, to: Peer, now: number, how: string, code: SystemCode): CatgaError {
  const { status } = answer;
  const advice = ADVICE[status] === undefined ? "" : `. ${ADVICE[status]}`;
  const wait = retryAfter(answer.headers.get("retry-after"), now);
  const data = wait === undefined ? undefined : { retryAfter: wait };
  return dropped(answer, to, `it answered ${status}${how}${advice}`, code, data);
}
