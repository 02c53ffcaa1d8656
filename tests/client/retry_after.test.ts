import { expect, test } from "bun:test";
import { createMediator, handle, query, type } from "@catga/catga";
import { createClient, route } from "@catga/catga/client";
import { createRateLimiter, rateLimited } from "@catga/catga/durable";
import { routes } from "@catga/catga/hono";
import { memoryStore } from "@catga/catga/memory";
import { systemRuntime } from "@catga/catga/ports";

test("who is over its rate is told how long to wait, by header and as data", async () => {
  const runtime = systemRuntime();
  const limiter = createRateLimiter({ store: memoryStore({ clock: runtime.clock }), runtime });
  const Ping = query("ping", { input: type<void>(), output: type<string>() });
  const app = createMediator({
    runtime,
    handlers: [handle(Ping, () => "pong")],
    behaviors: [rateLimited({ limiter, rate: 1, per: 60_000 })],
  });
  const api = [route("GET /ping", Ping)];
  const server = routes(app, api);
  const waits: (string | null)[] = [];
  const client = createClient(api, {
    baseUrl: "http://shop.example",
    runtime,
    fetch: async (url, init) => {
      const response = await server.request(url, init);
      waits.push(response.headers.get("retry-after"));
      return response;
    },
  });
  expect(await client.send(Ping())).toEqual({ ok: true, value: "pong" });
  const refused = await client.send(Ping());
  if (refused.ok || refused.error.code !== "OVERLOADED") throw new Error("it was let through");
  const { retryAfter } = refused.error.data as { readonly retryAfter: number };
  expect(retryAfter).toBeGreaterThan(1000);
  expect(waits).toEqual([null, String(Math.ceil(retryAfter / 1000))]);
});
