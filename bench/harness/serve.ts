/** The runtime's own HTTP server, with nothing around it. */
import { Buffer } from "node:buffer";
import { createServer } from "node:http";

/** Answers every POST with what `answer` makes of its text. */
export function serveText(answer: (text: string) => Promise<string>, port: number): void {
  const hostname = "127.0.0.1";
  const reply = async (request: Request): Promise<Response> =>
    new Response(await answer(await request.text()));
  if ("Bun" in globalThis) {
    // deno-lint-ignore no-explicit-any
    (globalThis as any).Bun.serve({ port, hostname, fetch: reply });
  } else if ("Deno" in globalThis) {
    Deno.serve({ port, hostname, onListen: () => {} }, reply);
  } else {
    const server = createServer((request, response) => {
      let text = "";
      request.setEncoding("utf8");
      request.on("data", (part) => (text += part));
      request.on("end", async () => {
        const body = await answer(text);
        response.writeHead(200, { "content-length": Buffer.byteLength(body) });
        response.end(body);
      });
    });
    server.listen(port, hostname);
  }
}

/** Serves a fetch handler the way Hono documents for each runtime. */
export async function serveFetch(
  fetch: (request: Request) => Response | Promise<Response>,
  port: number,
): Promise<void> {
  const hostname = "127.0.0.1";
  if ("Bun" in globalThis) {
    // deno-lint-ignore no-explicit-any
    (globalThis as any).Bun.serve({ port, hostname, fetch });
  } else if ("Deno" in globalThis) {
    Deno.serve({ port, hostname, onListen: () => {} }, fetch);
  } else {
    const { serve } = await import("@hono/node-server");
    await new Promise((resolve) => serve({ fetch, port, hostname }, resolve));
  }
}
