import type { Runtime } from "../../src/ports/runtime.ts";
import { FRAMES, REFUSED } from "./frames.ts";
import { AUTH, type Seal } from "./seal.ts";

/** Why a request was not taken for a frame. */
export type RefusalReason =
  | "path"
  | "method"
  | "not_serving"
  | "content_type"
  | "too_large"
  | "unsigned"
  | "unknown_key"
  | "wrong_target"
  | "expired"
  | "forged"
  | "replayed"
  | "malformed";

const STATUS: Readonly<Record<RefusalReason, number>> = {
  path: 404,
  method: 405,
  not_serving: 503,
  content_type: 415,
  too_large: 413,
  unsigned: 401,
  unknown_key: 401,
  wrong_target: 401,
  expired: 401,
  forged: 401,
  replayed: 409,
  malformed: 400,
};

const TITLE: Readonly<Record<number, string>> = {
  400: "Malformed frame",
  401: "Not accepted",
  404: "Not found",
  405: "Method not allowed",
  409: "Seen before",
  413: "Too large",
  415: "Unsupported content type",
  422: "Unreadable frame",
  500: "Failed",
  503: "Not serving",
};

const PROBLEM: Readonly<Record<string, string>> = {
  "content-type": "application/problem+json",
  [FRAMES]: REFUSED,
};
const LOGS_A_SECOND = 10;

/**
 * An answer without frames. Holds a status and its title, nothing of the request and nothing of this process.
 *
 * @param mac its signature, where it is signed
 */
export function problem(status: number, mac?: string): Response {
  // A receiver that failed or refused has seen the frame, so its answer must not say that none has.
  const headers: Record<string, string> = status === 500 || status === 422
    ? { "content-type": "application/problem+json" }
    : { ...PROBLEM };
  if (status === 405) headers["allow"] = "POST";
  if (mac !== undefined) headers[AUTH] = mac;
  return new Response(JSON.stringify({ type: "about:blank", title: TITLE[status], status }), {
    status,
    headers,
  });
}

/** Counts refusals, logs ten of them a second at most, and makes their answers. */
export interface Refusals {
  readonly count: number;
  refuse(reason: RefusalReason): Response;
  /** The same, signed where answers are: for a request whose own signature was verified. */
  refuseSealed(reason: RefusalReason, seal: Seal | undefined): Promise<Response>;
}

/** Counts from 0. Nothing is logged until there is a runtime. */
export function createRefusals(runtime: () => Runtime | undefined): Refusals {
  let count = 0;
  let second = -Infinity;
  let logged = 0;
  let silent = 0;

  function note(reason: RefusalReason): number {
    const status = STATUS[reason];
    count++;
    const host = runtime();
    if (host === undefined) return status;
    const now = host.clock.mono();
    if (now - second >= 1000) {
      second = now;
      logged = 0;
    }
    if (logged++ < LOGS_A_SECOND) {
      const fields = { reason, status, refused: count, unlogged: silent };
      silent = 0;
      const level = reason === "not_serving" ? "info" : "warn";
      host.log({ level, event: "frame.refused", message: `Refused a frame: ${reason}`, fields });
    } else {
      silent++;
    }
    return status;
  }

  return {
    get count() {
      return count;
    },
    refuse: (reason) => problem(note(reason)),
    refuseSealed: async (reason, seal) => {
      const status = note(reason);
      return problem(status, await seal?.whole(status, undefined));
    },
  };
}
