import { endBody } from "../../src/internal/end_body.ts";
import { readMessage } from "../../src/internal/read_body.ts";
import type { FetchReply, Runtime } from "../../src/ports/runtime.ts";
import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";
import { codeOf, neverReached, UNSENT } from "./faults.ts";
import { isReply, type Outcome, type Wire } from "./wire.ts";

/** Where the REST API of a Redis is. */
export interface RestTarget {
  /** Such as `https://name.upstash.io`, or that of a gateway of yours. Beyond one machine give one with `https`. */
  readonly url: string;
  /** The token for it: one that may write. It goes into a header and nowhere else. */
  readonly token: string;
}

/** What may be in an answer, in bytes. */
const LIMIT = 32 * 1024 * 1024;

/** Statuses by which a server says that it did not take a request. */
const UNTAKEN: Readonly<Record<number, string>> = {
  401: "401. Give a token that it accepts",
  403: "403. Give a token that may do that",
  404: "404. Check the URL: no Redis REST API is there",
  405: "405. Check the URL: no Redis REST API is there",
  411: "411, so it takes no requests as they are sent here",
  415: "415, so it takes no requests as they are sent here",
};

/**
 * Sends commands by the pipeline of the Upstash REST protocol (https://upstash.com/docs/redis/features/restapi), each
 * list of them as one POST.
 *
 * Throws a `CatgaError` with `VALIDATION` for an address or a token that is none.
 */
export function restWire({ url, token }: RestTarget, runtime: Runtime, limit: number = LIMIT): Wire {
  const address = `${readUrl(url)}/pipeline`;
  if (!/^[\x21-\x7e]{1,4096}$/.test(token)) {
    throw fault("VALIDATION", "Cannot use the token for Redis: it is empty or no token. Give another");
  }
  const headers = {
    "authorization": `Bearer ${token}`,
    "content-type": "application/json",
    "accept-encoding": "identity",
  };
  return {
    request: async (commands, signal) => {
      const body = JSON.stringify(commands);
      const reply = await runtime.fetch(address, { method: "POST", headers, body, signal }).catch(
        (thrown) => {
          throw neverReached(thrown)
            ? fault("UNAVAILABLE", `the connection was refused (${codeOf(thrown)})`)
            : fault("TRANSPORT", `the connection broke (${codeOf(thrown)}), so it may have been done`);
        },
      );
      if (reply.status !== 200 && reply.status !== 400) throw refused(reply);
      const answer = await read(reply, limit);
      return reply.status === 400 ? commands.map(() => refusal(answer)) : outcomesOf(answer, commands.length);
    },
  };
}

/** An http(s) address without a slash at its end. Quotes nothing of it that could be a secret. */
function readUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw fault("VALIDATION", "Cannot use the URL of Redis: it does not begin with https:// or http://");
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw fault(
      "VALIDATION",
      `Cannot use the URL of Redis at ${url.host}: it has more than a path. Give the token as token`,
    );
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}

function refused(reply: FetchReply): CatgaError {
  const { status } = reply;
  endBody(reply.body);
  const untaken = UNTAKEN[status];
  if (untaken !== undefined) return fault("UNAVAILABLE", `the server answered ${untaken}`);
  if (status === 413) {
    return fault("VALIDATION", "the server answered 413, as it takes no requests that large");
  }
  const data = retryAfter(reply.headers.get("retry-after"));
  if (status === 429) {
    return fault("OVERLOADED", "the server answered 429, as it takes no more requests just now", data);
  }
  if (status === 503 && reply.headers.get(UNSENT) !== null) {
    return fault("UNAVAILABLE", "the gateway does not reach Redis", data);
  }
  const redirected = status === 0 || (status >= 300 && status < 400);
  const advice = redirected ? ", which leads elsewhere. Give the address that it leads to" : "";
  return fault("TRANSPORT", `the server answered ${status}${advice}; it may have been done`, data);
}

async function read(reply: FetchReply, limit: number): Promise<unknown> {
  const bytes = await readMessage(reply, limit).catch((thrown) => {
    throw fault("TRANSPORT", `the answer broke off (${codeOf(thrown)}); it may have been done`);
  });
  if (bytes === undefined) {
    throw fault("TRANSPORT", `the answer is over ${limit} bytes; it may have been done`);
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // What the parser says quotes what it read.
    throw fault("TRANSPORT", "the answer is no JSON; it may have been done");
  }
}

/** What was refused as a whole. Some gateways say so of what failed in the middle. */
function refusal(answer: unknown): Outcome {
  return { error: errorOf(answer) ?? "ERR" };
}

function outcomesOf(answer: unknown, count: number): Outcome[] {
  const whole = errorOf(answer);
  if (whole !== undefined) return Array.from({ length: count }, () => ({ error: whole }));
  if (!Array.isArray(answer) || answer.length !== count) {
    const found = Array.isArray(answer) ? `${answer.length} of ${count} answers` : "no list of answers";
    throw fault("TRANSPORT", `the server sent ${found}; it may have been done`);
  }
  return answer.map((each: unknown): Outcome => {
    const error = errorOf(each);
    if (error !== undefined) return { error };
    if (isObject(each) && Object.hasOwn(each, "result") && each["error"] === undefined) {
      const { result } = each;
      if (isReply(result)) return { reply: result };
    }
    throw fault("TRANSPORT", "the server sent an answer that is none; it may have been done");
  });
}

function errorOf(answer: unknown): string | undefined {
  if (!isObject(answer) || Object.hasOwn(answer, "result")) return undefined;
  const { error } = answer;
  return typeof error === "string" && error !== "" ? error : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** How long to wait, in ms, a minute at most. Servers say it in seconds; dates are not read. */
function retryAfter(header: string | null): { retryAfter: number } | undefined {
  if (header === null || !/^\d{1,9}$/.test(header)) return undefined;
  return { retryAfter: Math.min(Number(header) * 1000, 60_000) };
}

/** The message ends a sentence that the caller begins. */
function fault(code: SystemCode, message: string, data?: unknown): CatgaError {
  return new CatgaError(systemFault(code, message, data));
}
