import { Agent, request } from "node:http";

/** What came of one HTTP request. */
export interface Answer {
  /** 0 when there was no answer. */
  readonly status: number;
  readonly type: string | undefined;
  /** The body, parsed where it is JSON. */
  readonly body: unknown;
  /** Whether the server asked for the connection to be closed. */
  readonly closing: boolean;
  /** Why there was no answer: `ECONNREFUSED` means that no server was reached. */
  readonly error: string | undefined;
}

const agent = new Agent({ keepAlive: true, maxSockets: 256 });

/**
 * Asks once; never sends a request a second time, which some runtimes' `fetch` does. Never rejects.
 *
 * @param patience how long the connection may be silent, in ms
 */
export function ask(method: string, url: string, json?: unknown, patience = 60_000): Promise<Answer> {
  return new Promise((resolve) => {
    const text = json === undefined ? undefined : JSON.stringify(json);
    const headers = text === undefined ? {} : {
      "content-type": "application/json",
      "content-length": String(new TextEncoder().encode(text).length),
    };
    const failed = (error: Error & { readonly code?: string }): void =>
      resolve({
        status: 0,
        type: undefined,
        body: undefined,
        closing: false,
        error: error.code ?? error.message,
      });
    const sent = request(url, { method, headers, agent, timeout: patience }, (message) => {
      let body = "";
      message.setEncoding("utf8");
      message.on("data", (chunk: string) => body += chunk);
      message.on("error", failed);
      message.on("end", () => {
        const type = message.headers["content-type"];
        const closing = message.headers["connection"] === "close";
        resolve({ status: message.statusCode!, type, body: parsed(body, type), closing, error: undefined });
      });
    });
    sent.on("error", failed);
    sent.on("timeout", () => sent.destroy(new Error(`silent for ${patience} ms`)));
    sent.end(text);
  });
}

function parsed(body: string, type: string | undefined): unknown {
  return type !== undefined && /\bjson\b/.test(type) ? JSON.parse(body) : body;
}
