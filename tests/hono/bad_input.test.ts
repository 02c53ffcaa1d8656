import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { type Problem, routes } from "@catga/catga/hono";
import { serve, type Server } from "@catga/catga/serve";
import fc from "fast-check";
import { post, SECRET, shop, table } from "./shop.ts";

const LIMIT = 2_000;
const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);
const { app, notes, runtime } = shop();
const server = routes(app, table, { runtime, timeout: 200, bodyLimit: LIMIT });
const order = { sku: "p1", quantity: 1 };
const bytes = (...values: readonly number[]): Uint8Array<ArrayBuffer> => new Uint8Array(values);
const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** The status and code that a body of `POST /orders` is answered with. */
async function sent(body: BodyInit | null, headers: Record<string, string> = {}): Promise<[number, string]> {
  const handled = notes.headers.length;
  const all = { "content-type": "application/json", ...headers };
  const response = await server.request("/orders", { method: "POST", headers: all, body, ...duplex(body) });
  const { code } = await response.json() as Problem;
  if (response.status >= 400) expect(notes.headers.length).toBe(handled);
  return [response.status, code];
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function duplex(body: unknown): object {
  return body instanceof ReadableStream ? { duplex: "half" } : {};
}

function chunked(
  text: string,
  size: number,
  taken: { bytes: number } = { bytes: 0 },
): ReadableStream<Uint8Array> {
  const all = utf8(text);
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(all.subarray(taken.bytes, taken.bytes + size));
      taken.bytes += size;
      if (taken.bytes >= all.length) controller.close();
    },
  }, { highWaterMark: 0 });
}

describe("a body is refused", () => {
  test.each([
    ["no JSON", "{"],
    ["two values", "1 2"],
    ["1,000 levels", "[".repeat(1_000) + "]".repeat(1_000)],
    ["1,000 open levels", `{"a":`.repeat(300)],
    ["65 levels", `{"sku":${"[".repeat(65)}${"]".repeat(65)}}`],
    ["__proto__", `{"sku":"p1","quantity":1,"__proto__":{"admin":true}}`],
    ["an escaped __proto__ within", String.raw`{"a":[{"\u005f_proto__":1}]}`],
    ["constructor.prototype", `{"constructor":{"prototype":{"admin":true}}}`],
    ["NaN", `{"sku":"p1","quantity":NaN}`],
    ["a byte order mark alone", "\ufeff"],
  ])("400: %s", async (_, body) => {
    expect(await sent(body)).toEqual([400, "VALIDATION"]);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  test.each([
    ["a stray continuation", bytes(0x22, 0x80, 0x22)],
    ["an overlong slash", bytes(0x22, 0xc0, 0xaf, 0x22)],
    ["a surrogate", bytes(0x22, 0xed, 0xa0, 0x80, 0x22)],
    ["a cut character", bytes(0x22, 0xe2, 0x82, 0x22)],
    ["UTF-16", bytes(0xff, 0xfe, 0x7b, 0, 0x7d, 0)],
  ])("400: not UTF-8, %s", async (_, body) => {
    expect(await sent(body)).toEqual([400, "VALIDATION"]);
  });

  test("413: over the limit, with its length, without it, with a false one and with no number", async () => {
    const large = JSON.stringify({ ...order, sku: "x".repeat(LIMIT) });
    expect(await sent(large)).toEqual([413, "VALIDATION"]);
    expect(await sent(large, { "content-length": String(large.length) })).toEqual([413, "VALIDATION"]);
    expect(await sent(large, { "content-length": "10" })).toEqual([413, "VALIDATION"]);
    expect(await sent(large, { "content-length": "1e9" })).toEqual([400, "VALIDATION"]);
    expect(await sent(chunked(large, 100))).toEqual([413, "VALIDATION"]);
  });

  test("413: at most the limit and one chunk of an endless body is read", async () => {
    const taken = { bytes: 0 };
    expect(await sent(chunked("x".repeat(LIMIT * 50), 100, taken))).toEqual([413, "VALIDATION"]);
    expect(taken.bytes).toBeLessThanOrEqual(LIMIT + 200);
  });

  test("a body of exactly the limit is taken, in any chunks", async () => {
    const frame = JSON.stringify({ ...order, sku: "" }).length;
    const text = JSON.stringify({ ...order, sku: "x".repeat(LIMIT - frame) });
    expect((await sent(text))[0]).toBe(201);
    for (const size of [1, 7, LIMIT]) expect((await sent(chunked(text, size)))[0]).toBe(201);
  });

  test("400: a body that breaks off", async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(utf8(`{"sku":`)),
      pull: (controller) => controller.error(new Error("gone")),
    }, { highWaterMark: 0 });
    expect(await sent(body)).toEqual([400, "VALIDATION"]);
  });

  test.each([
    { "content-type": "text/plain" },
    { "content-type": "application/x-www-form-urlencoded" },
    { "content-type": "multipart/form-data; boundary=x" },
    { "content-type": "application/jsonp" },
    { "content-type": "text/json" },
    { "content-type": "application/json; charset=utf-16" },
    { "content-encoding": "gzip" },
    { "content-type": "" },
  ])("415: %j", async (headers) => {
    expect(await sent(JSON.stringify(order), headers as Record<string, string>)).toEqual([415, "VALIDATION"]);
  });

  test.each([
    { "content-type": "application/json; charset=UTF-8" },
    { "content-type": "Application/JSON" },
    { "content-type": "application/vnd.shop.v1+json" },
    { "content-encoding": "identity" },
  ])("taken: %j", async (headers) => {
    expect((await sent(JSON.stringify(order), headers as Record<string, string>))[0]).toBe(201);
  });

  test("422 for what is JSON and still does not fit, 400 for a list where path parameters go over it", async () => {
    for (const body of ["null", "[]", `"text"`, "1"]) {
      expect(await sent(body)).toEqual([422, "VALIDATION"]);
      const named = await server.request("/orders/1/name", { ...post(body), method: "PUT" });
      expect(named.status).toBe(400);
    }
    expect(await sent(null)).toEqual([422, "VALIDATION"]);
  });
});

test("400 for a query string with names that reach a prototype, or too many of them", async () => {
  const many = Array.from({ length: 101 }, (_, at) => `a${at}=1`).join("&");
  for (const query of ["__proto__=1", "constructor=1", "%5F_proto__=1", many]) {
    expect((await server.request(`/orders?${query}`)).status).toBe(400);
  }
});

test("refusals are logged, without what was sent", async () => {
  await sent(`{"${SECRET}"`);
  const entry = notes.logged.at(-1);
  expect(entry).toMatchObject({
    event: "http.refused",
    fields: { method: "POST", path: "/orders", status: 400 },
  });
  expect(JSON.stringify(entry)).not.toContain(SECRET);
});

test("any bytes are answered with a problem, never with a failure of the server", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (body) => {
      const [status] = await sent(body as Uint8Array<ArrayBuffer>);
      expect([400, 422]).toContain(status);
    }),
    { numRuns: 300 },
  );
});

test("1,000 provoked errors tell no stack, no path and no secret", async () => {
  const codes = [
    "INTERNAL",
    "TRANSPORT",
    "UNAVAILABLE",
    "CONFLICT",
    "TIMEOUT",
    "SERIALIZATION",
    "X",
    "toString",
  ];
  const bodies = [
    ...["error", "string", "undefined", "object", "bigint", "function"].map((how) => ({ how })),
    ...codes.map((code) => ({ how: "fault", code })),
  ];
  const requests: Promise<Response>[] = Array.from({ length: 1_000 }, async (_, at) => {
    if (at % 10 === 0) return await server.request("/count?to=abc");
    if (at % 10 === 1) return await server.request("/orders", post(`{"__proto__":"${SECRET}"}`));
    if (at % 10 === 2) return await server.request("/events/kept", post({ id: "bad" }));
    return await server.request("/trouble", post(bodies[at % bodies.length]));
  });
  for (const response of await Promise.all(requests)) {
    expect(response.status).toBeGreaterThanOrEqual(400);
    const text = [...response.headers].join() + await response.text();
    expect(text).not.toMatch(
      new RegExp(`${SECRET}|\\n\\s*at |\\.ts\\b|\\.js\\b|file:|node_modules|${escaped(ROOT)}|stack|cause`),
    );
  }
});

describe("over a real connection", () => {
  let live: Server;
  beforeAll(async () => {
    live = await serve(server.fetch, { port: 0 });
  });
  afterAll(() => live.stop({ grace: 100 }));

  /** Writes a request as it stands and answers the first line of what comes back, if anything does. */
  function raw(text: string, end: boolean): Promise<string> {
    return new Promise((resolve) => {
      let answer = "";
      const socket = connect(live.port, "127.0.0.1", () => end ? socket.end(text) : socket.write(text));
      socket.on("data", (chunk) => {
        answer += chunk.toString();
        if (answer.includes("\r\n\r\n")) socket.destroy();
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(answer.split("\r\n")[0]!));
    });
  }
  const head = (...lines: readonly string[]): string =>
    ["POST /orders HTTP/1.1", "host: x", "content-type: application/json", ...lines, "", ""].join("\r\n");
  const body = JSON.stringify(order);

  test("a length over the limit is refused before the body comes", async () => {
    expect(await raw(head("content-length: 5000"), false)).toContain(" 413 ");
  });

  test("chunks over the limit are refused before they end", async () => {
    const chunk = `3e8\r\n${"x".repeat(1_000)}\r\n`.repeat(4);
    expect(await raw(head("transfer-encoding: chunked") + chunk, false)).toContain(" 413 ");
  });

  test("a body shorter than its length reaches no handler", async () => {
    const handled = notes.headers.length;
    expect(await raw(head("content-length: 1000") + body, true)).not.toContain(" 201 ");
    expect(notes.headers.length).toBe(handled);
  });

  test("a length and chunks at once are not both believed", async () => {
    const text = head("content-length: 4", "transfer-encoding: chunked") +
      `5000\r\n${"x".repeat(0x5000)}\r\n0\r\n\r\n`;
    expect(await raw(text, false)).not.toContain(" 201 ");
  });

  test("it still answers", async () => {
    const response = await fetch(`${live.url}/orders`, post(order));
    expect([response.status, await response.json()]).toEqual([201, { id: "p1-1" }]);
    for (const method of ["GET", "DELETE"]) {
      const status = (await fetch(`${live.url}/orders/1`, { method })).status;
      expect(status).toBe(method === "GET" ? 200 : 204);
    }
    expect(await (await fetch(`${live.url}/ping`, { method: "POST" })).json()).toBe("pong");
  });
});
