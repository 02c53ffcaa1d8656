// deno-lint-ignore-file no-explicit-any
/** oRPC between two processes over HTTP, one request per call or with its batch plugins. */
import { createServer } from "node:http";
import { createORPCClient } from "@orpc/client";
import { RPCLink } from "@orpc/client/fetch";
import { BatchLinkPlugin } from "@orpc/client/plugins";
import { os } from "@orpc/server";
import { RPCHandler } from "@orpc/server/fetch";
import { RPCHandler as NodeHandler } from "@orpc/server/node";
import { BatchHandlerPlugin } from "@orpc/server/plugins";
import { accept, type AskFor, type Order } from "../harness/order.ts";
import { serveFetch } from "../harness/serve.ts";

const router = { place: os.handler(({ input }) => accept(input as Order)) };

export async function serve(port: number): Promise<void> {
  const plugins = [new BatchHandlerPlugin({ maxSize: 64 })];
  if ("Bun" in globalThis || "Deno" in globalThis) {
    const handler = new RPCHandler(router, { plugins });
    const missing = new Response("Not found", { status: 404 });
    await serveFetch(
      async (request) => (await handler.handle(request, { context: {} })).response ?? missing,
      port,
    );
  } else {
    const handler = new NodeHandler(router, { plugins });
    createServer((request, response) => void handler.handle(request, response, { context: {} })).listen(
      port,
      "127.0.0.1",
    );
  }
}

function client(port: number, plugins: BatchLinkPlugin<Record<never, never>>[]): AskFor {
  const link = new RPCLink({ url: `http://127.0.0.1:${port}`, plugins });
  const orders = createORPCClient(link) as any;
  return (order) => orders.place(order);
}

export function connect(port: number): AskFor {
  return client(port, []);
}

export function connectBatched(port: number): AskFor {
  const groups = [{ condition: () => true, context: {} }] as const;
  return client(port, [new BatchLinkPlugin({ groups, maxSize: 64, mode: "buffered" })]);
}
