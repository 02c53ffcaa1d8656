/** A gateway that lies, fails and breaks off, in front of one that does not. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Commander } from "../../adapters/redis/commander.ts";
import { openCommander, quiet } from "./support.ts";

/** An answer as it would have been. */
interface Answer {
  readonly status: number;
  readonly body: string;
}

/** What the stub does with one request: asks Redis or not, and says what it likes. */
type Act = (request: Asked, response: ServerResponse) => Promise<void> | void;

interface Asked {
  /** Asks the gateway behind. */
  readonly apply: () => Promise<Answer>;
  /** How many commands it has. */
  readonly count: number;
  /** What the last one without a fault was answered with. */
  readonly last: string;
  /** Leaves whoever asked without an answer. */
  readonly hang: () => void;
}

/** Where a redirect leads: nobody must ever ask there. */
export const CANARY = "/canary";

const acts = {
  "500 (nothing done)": (_, response) => say(response, 500, `{"error":"ERR internal"}`),
  "500, done": async ({ apply }, response) => {
    await apply();
    say(response, 500, `{"error":"ERR internal"}`);
  },
  "502 as HTML, done": async ({ apply }, response) => {
    await apply();
    say(response, 502, "<html><h1>Bad Gateway</h1></html>", { "content-type": "text/html" });
  },
  "503 (nothing done)": (_, response) => say(response, 503, "", { "retry-after": "2" }),
  "429 with Retry-After": (_, response) => say(response, 429, `{"error":"ERR slow"}`, { "retry-after": "2" }),
  "401": (_, response) => say(response, 401, `{"error":"WRONGPASS"}`),
  "hangs (nothing done)": ({ hang }) => hang(),
  "hangs, done": async ({ apply, hang }) => {
    await apply();
    hang();
  },
  "200 as HTML": (_, response) => say(response, 200, "<html>Log in</html>", { "content-type": "text/html" }),
  "200 as HTML, done": async ({ apply }, response) => {
    await apply();
    say(response, 200, "<html>Thank you</html>", { "content-type": "text/html" });
  },
  "200, empty": (_, response) => say(response, 200, ""),
  "cut off, done": async ({ apply }, response) => {
    const { body } = await apply();
    response.writeHead(200, { "content-length": String(body.length) });
    response.write(body.slice(0, Math.floor(body.length / 2)));
    setTimeout(() => drop(response), 20);
  },
  "one answer too few, done": list((answers) => answers.slice(0, -1)),
  "one answer too many, done": list((answers) => [...answers, { result: "OK" }]),
  "reset (nothing done)": (_, response) => void drop(response),
  "reset, done": async ({ apply }, response) => {
    await apply();
    drop(response);
  },
  "redirect": (_, response) => say(response, 307, "", { location: CANARY }),
  "base64 unasked, done": list((answers) => answers.map((each) => change(each, (text) => btoa(text)))),
  "garbage, done": list((answers) => answers.map((each) => change(each, () => "\u{fffd}%%%="))),
  "texts read as JSON, done": list((answers) => answers.map((each) => change(each, read))),
  "answers mixed up, done": async ({ apply, last }, response) => {
    const { status, body } = await apply();
    const answers: unknown = JSON.parse(body);
    const mixed = Array.isArray(answers) && answers.length > 1 ? JSON.stringify(answers.reverse()) : last;
    say(response, status, mixed);
  },
  "an old answer": ({ last }, response) => say(response, 200, last),
  "null for all (nothing done)": made(() => ({ result: null })),
  "OK for all (nothing done)": made(() => ({ result: "OK" })),
  "both result and error": made(() => ({ result: "OK", error: "ERR" })),
  "neither result nor error": made(() => ({})),
  "an object, done": async ({ apply }, response) => {
    await apply();
    say(response, 200, `{"result":"OK"}`);
  },
  "nested too deep": ({ count }, response) => {
    const deep = "[".repeat(50_000) + "]".repeat(50_000);
    say(response, 200, `[${Array.from({ length: count }, () => `{"result":${deep}}`).join(",")}]`);
  },
} satisfies Record<string, Act>;

/** The name of a fault. Those that end with ", done" are done nevertheless, the others not. */
export type FaultName = keyof typeof acts;

export const faultNames = Object.keys(acts) as readonly FaultName[];

/** Whether Redis gets what a fault is told. */
export const isDone = (name: FaultName): boolean => name.endsWith(", done");

export interface GatewayStub extends AsyncDisposable {
  readonly url: string;
  /** Lets requests fail like this until it is told otherwise, the first so many of them not. */
  fail(name: FaultName | undefined, after?: number): void;
  /** Tells once when somebody is left without an answer; answers a function that calls it off. */
  onHang(run: () => void): () => void;
  /** How many requests have come, and how many of them asked where a redirect leads. */
  readonly seen: { readonly requests: number; readonly canary: number };
}

/** Stands in front of a gateway. Without a fault it hands on what it is asked. */
export async function startStub(gateway: string): Promise<GatewayStub> {
  const seen = { requests: 0, canary: 0 };
  const waiting = new Set<() => void>();
  const hang = (): void => waiting.forEach((run) => run());
  let fault: FaultName | undefined;
  let good = 0;
  let last = `[{"result":"OK"}]`;
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const part of request) parts.push(part as Uint8Array);
    const body = new TextDecoder().decode(concat(parts));
    seen.requests++;
    if (request.url === CANARY) seen.canary++;
    const apply = async (): Promise<Answer> => {
      const reply = await fetch(gateway + request.url, {
        method: request.method!,
        headers: { authorization: request.headers.authorization ?? "" },
        body,
      });
      return { status: reply.status, body: await reply.text() };
    };
    if (fault !== undefined && --good < 0) {
      const act: Act = acts[fault];
      const list: unknown = JSON.parse(body);
      return await act({ apply, count: Array.isArray(list) ? list.length : 1, last, hang }, response);
    }
    const whole = await apply();
    if (whole.status === 200) last = whole.body;
    say(response, whole.status, whole.body);
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    fail: (name, after = 0) => {
      fault = name;
      good = after;
    },
    onHang: (run) => {
      const told = (): void => {
        waiting.delete(told);
        run();
      };
      waiting.add(told);
      return () => waiting.delete(told);
    },
    seen,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/**
 * A commander through a stub. It waits for an answer as long as it takes, however busy the machine is, and gives up
 * at once when the stub says that there will be none.
 */
export function openThrough(stub: GatewayStub): Commander {
  const runtime = quiet();
  const timeout = 60_000;
  const { clock } = runtime;
  return openCommander(stub.url, {
    timeout,
    runtime: {
      ...runtime,
      clock: {
        mono: () => clock.mono(),
        wall: () => clock.wall(),
        timer: (ms, run) => ms === timeout ? stub.onHang(run) : clock.timer(ms, run),
      },
    },
  });
}

function say(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(body);
}

/** Breaks the connection off. */
function drop(response: ServerResponse): void {
  response.socket?.destroy();
  response.destroy();
}

type Each = { readonly result?: unknown; readonly error?: string };

/** Is done, and then the list of answers is another. */
function list(other: (answers: readonly Each[]) => readonly Each[]): Act {
  return async ({ apply }, response) => {
    const { status, body } = await apply();
    const answers: unknown = JSON.parse(body);
    say(response, status, Array.isArray(answers) ? JSON.stringify(other(answers)) : body);
  };
}

/** Is not done, and answered nevertheless. */
function made(each: () => Each): Act {
  return ({ count }, response) => say(response, 200, JSON.stringify(Array.from({ length: count }, each)));
}

/** The answer with each text in it as something else. */
function change({ result, error }: Each, other: (text: string) => unknown): Each {
  const changed = (value: unknown): unknown =>
    typeof value === "string" ? other(value) : Array.isArray(value) ? value.map(changed) : value;
  return error === undefined ? { result: changed(result) } : { error };
}

function read(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
