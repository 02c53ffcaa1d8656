import { describe, expect, test } from "bun:test";
import { createMediator, handle, query, type } from "@catga/catga";
import { type Problem, route, routes } from "@catga/catga/hono";
import { contracts, post, shop, table } from "./shop.ts";

const { CreateOrder, Kept, Ping } = contracts;

const { app, notes, runtime } = shop();
const server = routes(app, table, { runtime, timeout: 200 });

describe("routes answer", () => {
  test("a command's value with the route's status", async () => {
    const response = await server.request("/orders", post({ sku: "p1", quantity: 2 }));
    expect(response.status).toBe(201);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toEqual({ id: "p1-2" });
  });

  test("a query out of path and query string, over GET and HEAD", async () => {
    const response = await server.request("/orders/o%201?expand=lines");
    expect(await response.json()).toEqual({ id: "o 1", expand: "lines" });
    const head = await server.request("/orders/o1", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  test("a query without anything, and one whose schema makes a number of text", async () => {
    expect(await (await server.request("/orders")).json()).toEqual({ limit: null });
    expect(await (await server.request("/orders?limit=7")).json()).toEqual({ limit: 7 });
  });

  test("path parameters over the JSON body", async () => {
    const response = await server.request("/orders/7/name", {
      ...post({ id: "other", name: "n" }),
      method: "PUT",
    });
    expect(await response.json()).toEqual({ id: "7", name: "n" });
  });

  test("204 where there is no value, null where it is null", async () => {
    const dropped = await server.request("/orders/7", { method: "DELETE" });
    expect([dropped.status, await dropped.text()]).toEqual([204, ""]);
    expect((await server.request("/trouble", post({ how: "nothing" }))).status).toBe(204);
    expect(await (await server.request("/trouble", post({ how: "null" }))).text()).toBe("null");
  });

  test("a command whose schema takes nothing, with no body and with an empty object", async () => {
    expect(await (await server.request("/ping", { method: "POST" })).json()).toBe("pong");
    expect(await (await server.request("/ping", post({}))).json()).toBe("pong");
  });

  test("202 for events, which came to their handlers", async () => {
    expect((await server.request("/events/seen", post({ id: "e1" }))).status).toBe(202);
    expect((await server.request("/events/kept", post({ id: "e2" }))).status).toBe(202);
    await Promise.resolve();
    expect(notes.seen).toEqual(["e1", "e2"]);
  });

  test("only allowed headers travel with the message", async () => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const headers = { traceparent, "x-correlation-id": "c1", authorization: "secret", cookie: "a=b" };
    await server.request("/orders", post({ sku: "p1", quantity: 1 }, headers));
    expect(notes.headers.at(-1)).toEqual({ traceparent, "x-correlation-id": "c1" });
    const handled = notes.headers.length;
    const long = { traceparent: "x".repeat(2_000) };
    const refused = await server.request("/orders", post({ sku: "p1", quantity: 1 }, long));
    expect([refused.status, notes.headers.length]).toEqual([431, handled]);
    expect(await refused.json()).toMatchObject({
      code: "VALIDATION",
      detail: 'The header "traceparent" has more than 1024 characters',
    });
  });

  test("the contract's own failures with the status of the route, or 409", async () => {
    const out = await server.request("/orders", post({ sku: "p1", quantity: 9 }));
    expect(out.headers.get("content-type")).toBe("application/problem+json");
    expect([out.status, await out.json()]).toEqual([422, {
      type: "about:blank",
      title: "Unprocessable Content",
      status: 422,
      detail: "OUT_OF_STOCK",
      code: "OUT_OF_STOCK",
      retryable: false,
      data: { left: 3 },
    }]);
    const locked = await server.request("/orders", post({ sku: "locked", quantity: 1 }));
    const problem = await locked.json() as Problem;
    expect([locked.status, problem.code, problem.detail]).toEqual([
      409,
      "LOCKED",
      "The order book is locked",
    ]);
  });

  test("what a schema found, with a pointer to each place", async () => {
    const response = await server.request(
      "/orders",
      post({ sku: "", quantity: "x", lines: [{ "a/b~c": "" }, {}] }),
    );
    const { errors, code } = await response.json() as Problem;
    expect([response.status, code]).toEqual([422, "VALIDATION"]);
    expect(errors?.map(({ pointer }) => pointer)).toEqual(["#/sku", "#/quantity", "#/lines/1/a~1b~0c"]);
    expect(errors?.[0]?.message).toBe("must not be empty");
    const seen = await server.request("/events/seen", post({}));
    expect([seen.status, (await seen.json() as Problem).errors?.[0]?.pointer]).toEqual([422, "#/id"]);
    expect((await server.request("/events/kept", post({ id: "bad" }))).status).toBe(500);
  });

  test.each([
    ["VALIDATION", 500, "INTERNAL"],
    ["NO_HANDLER", 500, "INTERNAL"],
    ["UNAVAILABLE", 500, "INTERNAL"],
    ["OVERLOADED", 500, "INTERNAL"],
    ["CONFLICT", 409, "CONFLICT"],
    ["TIMEOUT", 504, "TIMEOUT"],
    ["CANCELLED", 499, "CANCELLED"],
    ["TRANSPORT", 502, "TRANSPORT"],
    ["SERIALIZATION", 500, "SERIALIZATION"],
    ["INTERNAL", 500, "INTERNAL"],
    ["ORA-00001", 500, "INTERNAL"],
    ["__proto__", 500, "INTERNAL"],
  ])("a handler that throws %s answers %d", async (code, status, told) => {
    const response = await server.request("/trouble", post({ how: "fault", code }));
    expect([response.status, (await response.json() as Problem).code]).toEqual([status, told]);
  });

  test.each([
    ["UNAVAILABLE", 503],
    ["OVERLOADED", 503],
    ["NO_HANDLER", 404],
    ["VALIDATION", 422],
  ])("a call that ends with %s before its handler answers %d", async (code, status) => {
    const fault = { code, message: "node-7 at 10.0.0.7", data: undefined, retryable: true };
    const broken = createMediator({
      handlers: [handle(Ping, () => "pong")],
      behaviors: [() => () => Promise.resolve({ ok: false, error: fault })],
    });
    const response = await routes(broken, table, { runtime }).request("/ping", { method: "POST" });
    expect(response.status).toBe(status);
    expect(response.headers.get("retry-after")).toBe(status === 503 ? "1" : null);
    expect(await response.text()).not.toContain("10.0.0.7");
  });

  test.each([
    ["error", 500],
    ["string", 500],
    ["undefined", 500],
    ["object", 500],
    ["hang", 504],
    [
      "bigint",
      500,
    ],
    ["function", 500],
    ["own", 409],
    ["own-unwritable", 500],
  ])(
    "a handler in trouble (%s) answers %d",
    async (how, status) => {
      const response = await server.request("/trouble", post({ how }));
      expect(response.status).toBe(status);
      expect(response.headers.get("content-type")).toBe("application/problem+json");
      expect((await response.json() as Problem).status).toBe(status);
    },
  );

  test("404 for what nobody handles, for an unknown path, 405 with what is allowed", async () => {
    const empty = routes(createMediator({ handlers: [] }), table, { runtime });
    expect((await empty.request("/orders/1")).status).toBe(404);
    const unknown = await server.request("/nowhere");
    expect([unknown.status, (await unknown.json() as Problem).code]).toEqual([404, "NO_HANDLER"]);
    const wrong = await server.request("/orders/1", { method: "POST" });
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "DELETE, GET, HEAD"]);
    expect(wrong.headers.get("content-type")).toBe("application/problem+json");
  });
});

test("a request that was given up is given up for the handler", async () => {
  const abort = new AbortController();
  const answer = server.request("/trouble", { ...post({ how: "hang" }), signal: abort.signal });
  abort.abort();
  expect((await answer).status).toBe(499);
});

test("a route may build the body itself, and what it throws is told to nobody", async () => {
  const Sum = query("sum", { input: type<{ of: number[] }>(), output: type<number>() });
  const summing = createMediator({ handlers: [handle(Sum, ({ of }) => of.reduce((a, b) => a + b, 0))] });
  const table = [
    route("GET /sum/:first", Sum, {
      body: ({ params, query, header }) => {
        if (header("x-bad") !== undefined) throw new Error("not to be seen");
        return { of: [params["first"], query["of"]].flat().map(Number) };
      },
    }),
  ];
  const sums = routes(summing, table, { runtime });
  expect(await (await sums.request("/sum/1?of=2&of=3")).json()).toBe(6);
  const bad = await sums.request("/sum/1", { headers: { "x-bad": "1" } });
  expect([bad.status, await bad.text()]).toEqual([500, expect.not.stringContaining("not to be seen")]);
  expect(notes.logged.at(-1)).toMatchObject({ level: "error", event: "http.failed" });
});

test("a table with two routes for the same requests, and one that no path fits, are refused", () => {
  expect(() => routes(app, [route("POST /a/:x", Ping, { body: () => undefined }), ...table, table[0]!]))
    .toThrow("both claim it");
  for (const path of ["/a b", "/a*", "/:x?", "/:x{[0-9]+}", "/a/", "//a", "/:a/:a", "/a%2fb"]) {
    expect(() => route(`POST ${path}` as "POST /", Ping, { body: () => undefined })).toThrow("Cannot route");
  }
  expect(() => route("POST /a", CreateOrder, { status: 404 })).toThrow("status is 404");
  expect(() => route("POST /a", CreateOrder, { statuses: { LOCKED: 200 } })).toThrow("status is 200");
  expect(() => route("POST /a", Kept, { timeout: 0 })).toThrow("above 0");
  expect(() => routes(app, table, { bodyLimit: 0 })).toThrow("bodyLimit is 0");
});
