/** Why a request is in conflict comes to an HTTP client by name, and nothing else of it does. */

import { describe, expect, test } from "bun:test";
import { CatgaError, command, createMediator, handle, systemFault, type } from "@catga/catga";
import { createClient, type Problem, route } from "@catga/catga/client";
import { idempotent } from "@catga/catga/durable";
import { routes } from "@catga/catga/hono";
import { memoryStore } from "@catga/catga/memory";
import { systemRuntime } from "@catga/catga/ports";

const runtime = systemRuntime();
const Pay = command("pay", { input: type<{ cents: number }>(), output: type<string>(), idempotency: {} });
const Fail = command("fail", {
  input: type<{ code: "CONFLICT" | "TRANSPORT"; data: unknown }>(),
  output: type<void>(),
});
const app = createMediator({
  runtime,
  handlers: [
    handle(Pay, ({ cents }) => `paid ${cents}`),
    handle(Fail, ({ code, data }) => {
      throw new CatgaError(systemFault(code, "it is in /etc/passwd", data));
    }),
  ],
  behaviors: [idempotent({ store: memoryStore({ clock: runtime.clock }) })],
});
const api = [route("POST /payments", Pay), route("POST /failures", Fail)];
const server = routes(app, api, { headers: ["idempotency-key"] });
const bodies: string[] = [];
const client = createClient(api, {
  baseUrl: "http://shop.example",
  runtime,
  fetch: async (url, init) => {
    const response = await server.request(url, init);
    bodies.push(await response.clone().text());
    return response;
  },
});

describe("a conflict", () => {
  test("of another payload under the same key says so, to whoever reads the answer and to the client", async () => {
    const headers = { "idempotency-key": "k" };
    expect(await client.send(Pay({ cents: 1 }), { headers })).toEqual({ ok: true, value: "paid 1" });
    const refused = await client.send(Pay({ cents: 2 }), { headers });
    expect(refused).toMatchObject({
      ok: false,
      error: { code: "CONFLICT", data: { reason: "IDEMPOTENCY_MISMATCH" }, retryable: false },
    });
    const problem = JSON.parse(bodies.at(-1)!) as Problem;
    expect([problem.status, problem.code, problem.reason]).toEqual([409, "CONFLICT", "IDEMPOTENCY_MISMATCH"]);
  });

  test.each(
    [
      ["CONFLICT", { reason: "STALE_VERSION", holder: "node-7", path: "/etc/passwd" }, {
        reason: "STALE_VERSION",
      }],
      ["CONFLICT", { reason: "it is in /etc/passwd" }, undefined],
      ["CONFLICT", { reason: "A".repeat(65) }, undefined],
      ["CONFLICT", { reason: 7 }, undefined],
      ["CONFLICT", null, undefined],
      ["TRANSPORT", { reason: "STALE_VERSION" }, undefined],
    ] as const,
  )("%s with %p tells no more than a name", async (code, data, told) => {
    const failed = await client.send(Fail({ code, data }));
    if (failed.ok) throw new Error("it did not fail");
    expect([failed.error.code, failed.error.data]).toEqual([code, told]);
    expect(bodies.at(-1)).not.toMatch(/passwd|node-7/);
  });

  test("is read from a server that says something else for a reason as one without", async () => {
    const odd = createClient(api, {
      baseUrl: "http://shop.example",
      runtime,
      fetch: () => {
        const body = JSON.stringify({ code: "CONFLICT", detail: "no", retryable: false, reason: { a: 1 } });
        return Promise.resolve(new Response(body, { status: 409 }));
      },
    });
    const failed = await odd.send(Pay({ cents: 1 }));
    expect(failed).toMatchObject({ ok: false, error: { code: "CONFLICT", data: undefined } });
  });
});
