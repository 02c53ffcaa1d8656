import type { FetchInit, FetchReply } from "../../src/ports/runtime.ts";
import { builtin } from "./host.ts";

/** The part of `node:https` that is used. */
interface HttpsModule {
  request(url: string, options: object, answered: (message: Message) => void): ClientRequest;
}

interface ClientRequest {
  on(event: "error", run: (error: unknown) => void): void;
  end(): void;
}

interface Message extends AsyncIterable<Uint8Array> {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/**
 * Sends a request without a body to a server whose certificate this authority signed, and no other. `fetch` takes a
 * certificate authority on no two runtimes in the same way, and on Node in none.
 */
export function trustingFetch(ca: string, url: string, init: FetchInit): Promise<FetchReply> {
  const { method, headers, signal } = init;
  const https = builtin<HttpsModule>("node:https", "no ca, and a runtime whose fetch trusts it,");
  return new Promise((resolve, reject) => {
    const options = { method, headers, ca, agent: false, ...(signal === undefined ? {} : { signal }) };
    const request = https.request(url, options, (message) => resolve(replyOf(message)));
    request.on("error", reject);
    request.end();
  });
}

function replyOf(message: Message): FetchReply {
  return {
    status: message.statusCode,
    headers: {
      get: (name) => {
        const value = message.headers[name];
        return value === undefined ? null : typeof value === "string" ? value : value.join(", ");
      },
    },
    body: message,
    text: async () => {
      const utf8 = new TextDecoder();
      let text = "";
      for await (const bytes of message) text += utf8.decode(bytes, { stream: true });
      return text + utf8.decode();
    },
  };
}
