import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { CatgaError, type Fault, type FetchReply } from "@catga/catga";
import { createClient, type RequestToSend, route } from "@catga/catga/client";
import { routes } from "@catga/catga/hono";
import { serve, type Server } from "@catga/catga/serve";
import fc from "fast-check";
import { contracts, SECRET, shop, table } from "../hono/shop.ts";

const { app, notes, runtime } = shop();
const { CreateOrder, GetOrder, ListOrders, RenameOrder, DropOrder, Ping, Count, Trouble, Seen, Kept } =
  contracts;
const server = routes(app, table, { runtime, heartbeat: 20 });
const client = createClient(table, {
  baseUrl: "http://shop.example/",
  runtime,
  fetch: (url, init) => server.request(url, init),
});

/** A client whose requests are all answered by this. */
function answering(
  fetch: (url: string, init: RequestToSend) => FetchReply | Promise<FetchReply>,
  timeout = 1_000,
) {
  return createClient(table, { baseUrl: "http://shop.example", runtime, timeout, fetch });
}

async function thrownBy(values: AsyncIterable<unknown>): Promise<Fault> {
  try {
    for await (const _ of values);
  } catch (thrown) {
    if (CatgaError.is(thrown)) return thrown;
  }
  throw new Error("It did not fail with a CatgaError");
}

describe("a client gets", () => {
  test("what the handler answered", async () => {
    const made = await client.send(CreateOrder({ sku: "p1", quantity: 2 }));
    expect(made).toEqual({ ok: true, value: { id: "p1-2" } });
    const got = await client.send(GetOrder({ id: "o1", expand: "a&b=c" }));
    expect(got).toEqual({ ok: true, value: { id: "o1", expand: "a&b=c" } });
    const named = await client.send(RenameOrder({ id: "o1", name: "n" }));
    expect(named).toEqual({ ok: true, value: { id: "o1", name: "n" } });
    expect(await client.send(DropOrder({ id: "o1" }))).toEqual({ ok: true, value: undefined });
    expect(await client.send(Ping())).toEqual({ ok: true, value: "pong" });
    expect(await client.send(ListOrders({}))).toEqual({ ok: true, value: { limit: null } });
  });

  test("the contract's own failures, typed", async () => {
    const result = await client.send(CreateOrder({ sku: "p1", quantity: 9 }));
    if (result.ok || result.error.code !== "OUT_OF_STOCK") throw new Error("not the failure expected");
    const left: number = result.error.data.left;
    expect(left).toBe(3);
    const locked = await client.send(CreateOrder({ sku: "locked", quantity: 1 }));
    expect(locked).toEqual({
      ok: false,
      error: { code: "LOCKED", message: "The order book is locked", data: undefined, retryable: false },
    });
  });

  test("what a schema found, as a caller in the process does", async () => {
    const wrong = CreateOrder({ sku: "", quantity: 0.5, lines: [{} as { "a/b~c": string }] });
    const here = await app.send(wrong);
    const there = await client.send(wrong);
    if (here.ok || there.ok) throw new Error("no failure");
    expect(there.error.code).toBe("VALIDATION");
    expect(there.error.data).toEqual(here.error.data as never);
  });

  test("INTERNAL of what a handler threw, without anything of it", async () => {
    const result = await client.send(Trouble({ how: "error" }));
    if (result.ok) throw new Error("no failure");
    expect(result.error.code).toBe("INTERNAL");
    expect(JSON.stringify(result)).not.toContain(SECRET);
  });

  test("events taken, or why not", async () => {
    expect(await client.publish(Seen({ id: "e1" }))).toEqual({ ok: true, value: undefined });
    expect((await client.publish(Kept({ id: "bad" }))).ok).toBe(false);
    expect(notes.seen).toContain("e1");
  });

  test("the values of a stream, its failures, and ends it by breaking off", async () => {
    const values: number[] = [];
    for await (const value of client.stream(Count({ to: "4" }))) values.push(value);
    expect(values).toEqual([1, 2, 3, 4]);
    expect((await thrownBy(client.stream(Count({ to: "x" })))).code).toBe("VALIDATION");
    expect((await thrownBy(client.stream(Count({ to: "2000" })))).code).toBe("INTERNAL");
    for await (const value of client.stream(Count({ to: "Infinity" }))) if (value === 2) break;
    for (let tries = 0; notes.counting > 0 && tries < 100; tries++) await pause(5);
    expect(notes.counting).toBe(0);
  });

  test("any text through path and query unchanged, or a VALIDATION before anything is sent", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), async (id, expand) => {
        const result = await client.send(GetOrder({ id, expand }));
        if (id === "" || id === "." || id === "..") expect(result.ok).toBe(false);
        else expect(result).toEqual({ ok: true, value: { id, expand } });
      }),
      {
        numRuns: 500,
        examples: [["..", ""], [".", ""], ["", ""], ["a/b", "/"], ["%2f", "%"], ["%25", "+ &"]],
      },
    );
  });
});

describe("a client without an answer gets", () => {
  const never = (_: string, { signal }: RequestToSend): Promise<FetchReply> =>
    new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));

  test("TIMEOUT after its own limit, also from a fetch that heeds no signal", async () => {
    for (const fetch of [never, () => new Promise<never>(() => {})]) {
      const result = await answering(fetch, 20).send(Ping());
      expect(result).toMatchObject({ ok: false, error: { code: "TIMEOUT", retryable: true } });
      expect((await thrownBy(answering(fetch, 20).stream(Count({ to: "1" })))).code).toBe("TIMEOUT");
    }
    const shorter = await answering(never).send(Ping(), { timeout: 10 });
    expect(shorter).toMatchObject({ error: { code: "TIMEOUT" } });
  });

  test("CANCELLED when its caller gives up, before and while", async () => {
    const abort = new AbortController();
    const result = answering(never).send(Ping(), { signal: abort.signal });
    abort.abort();
    expect(await result).toMatchObject({ error: { code: "CANCELLED" } });
    let asked = 0;
    const counting = answering(() => (asked++, Response.json(1)));
    expect(await counting.send(Ping(), { signal: abort.signal })).toMatchObject({
      error: { code: "CANCELLED" },
    });
    const stream = counting.stream(Count({ to: "1" }), { signal: abort.signal });
    expect((await thrownBy(stream)).code).toBe("CANCELLED");
    expect(asked).toBe(0);
  });

  test("UNAVAILABLE when the connection was refused, TRANSPORT when it broke", async () => {
    const refused = Object.assign(new TypeError("fetch failed"), { cause: { code: "ECONNREFUSED" } });
    expect(await answering(() => Promise.reject(refused)).send(Ping()))
      .toMatchObject({ error: { code: "UNAVAILABLE", retryable: true } });
    const broken = answering(() => {
      throw new TypeError("fetch failed");
    });
    expect(await broken.send(Ping())).toMatchObject({ error: { code: "TRANSPORT", retryable: true } });
    expect((await thrownBy(broken.stream(Count({ to: "1" })))).code).toBe("TRANSPORT");
  });

  test("TRANSPORT when a stream ends before its end or stalls in the middle of a value", async () => {
    for (const text of ["", "data: 1\n\n", "data: 1\n\ndata: 2\n", "data: {\n\n", "<html>"]) {
      const cut = answering(() => new Response(text, { headers: { "content-type": "text/event-stream" } }));
      expect((await thrownBy(cut.stream(Count({ to: "9" })))).code).toBe("TRANSPORT");
    }
    const silent = answering(() => new Response(new ReadableStream()), 20);
    expect((await thrownBy(silent.stream(Count({ to: "9" })))).code).toBe("TIMEOUT");
  });
});

describe("a client makes of an answer that is no problem of ours", () => {
  test.each<[number, string]>(
    [
      [400, "VALIDATION"],
      [401, "INTERNAL"],
      [404, "NO_HANDLER"],
      [408, "TIMEOUT"],
      [409, "CONFLICT"],
      [429, "OVERLOADED"],
      [500, "TRANSPORT"],
      [502, "TRANSPORT"],
      [503, "TRANSPORT"],
      [504, "TIMEOUT"],
      [301, "TRANSPORT"],
    ],
  )("status %d: %s", async (status, code) => {
    for (const body of ["<html>", "", "null", `{"code":"__proto__"}`, `{"code":7,"detail":{}}`, "[]"]) {
      const result = await answering(() => new Response(body, { status })).send(Ping());
      expect(result).toMatchObject({ ok: false, error: { code } });
    }
  });

  test("a success that is not JSON: SERIALIZATION", async () => {
    const result = await answering(() => new Response("<html>")).send(Ping());
    expect(result).toMatchObject({ ok: false, error: { code: "SERIALIZATION" } });
  });
});

test("a client sends its headers and those of the call, and refuses what it cannot send", async () => {
  const sent: RequestToSend[] = [];
  const typed = createClient(table, {
    baseUrl: "http://shop.example",
    runtime,
    headers: () => ({ authorization: `Bearer ${sent.length}` }),
    fetch: (_, init) => (sent.push(init), Response.json(null)),
  });
  await typed.send(Ping(), { headers: { "x-correlation-id": "c1" } });
  await typed.send(Ping());
  expect(sent.map(({ headers }) => headers)).toEqual([
    { accept: "application/json", authorization: "Bearer 0", "x-correlation-id": "c1" },
    { accept: "application/json", authorization: "Bearer 1" },
  ]);
  const ring: { how: string; self?: unknown } = { how: "x" };
  ring.self = ring;
  expect(await typed.send(Trouble(ring))).toMatchObject({ error: { code: "SERIALIZATION" } });
  const narrow = createClient([route("POST /ping", Ping)], { baseUrl: "", runtime });
  expect(await narrow.send(DropOrder({ id: "1" }) as never)).toMatchObject({
    error: { code: "NO_HANDLER" },
  });
  expect(sent).toHaveLength(2);
});

describe("over a real connection a client", () => {
  let live: Server;
  beforeAll(async () => {
    live = await serve(server.fetch, { port: 0 });
  });
  afterAll(() => live.stop({ grace: 100 }));

  test("sends, streams, gives up and hears of a server that is gone", async () => {
    const client = createClient(table, { baseUrl: live.url, timeout: 5_000 });
    expect(await client.send(CreateOrder({ sku: "p1", quantity: 1 })))
      .toEqual({ ok: true, value: { id: "p1-1" } });
    const values: number[] = [];
    for await (const value of client.stream(Count({ to: "3" }))) values.push(value);
    expect(values).toEqual([1, 2, 3]);
    const hung = await client.send(Trouble({ how: "hang" }), { timeout: 50 });
    expect(hung).toMatchObject({ error: { code: "TIMEOUT" } });
    const gone = createClient(table, { baseUrl: "http://127.0.0.1:1" });
    const result = await gone.send(Ping());
    expect(["UNAVAILABLE", "TRANSPORT"]).toContain(result.ok ? "" : result.error.code);
  });
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void runtime.clock.timer(ms, resolve));
}
