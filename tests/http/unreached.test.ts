import { describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { systemRuntime } from "@catga/catga/ports";
import { processRuntime } from "@catga/catga/serve";
import { neverReached } from "../../adapters/http/unreached.ts";
import { nodeClient } from "../../adapters/serve/node_client.ts";
import { sendOnce } from "../../src/internal/send_once.ts";

const deno = "Deno" in globalThis;
type Send = ReturnType<typeof systemRuntime>["fetch"];
const clients: [string, Send][] = [
  ["the runtime's fetch", deno ? sendOnce(systemRuntime().fetch) : systemRuntime().fetch],
  ["processRuntime", processRuntime().fetch],
];
// Deno's copy of this one is never used: it repeats requests.
if (!deno) clients.push(["node:http", nodeClient()!]);

const failed = (send: Send, url: string): Promise<unknown> =>
  send(url, { method: "POST", headers: {}, body: "x" }).then((reply) => reply.text()).then(
    () => new Error("it did not fail"),
    (error: unknown) => error,
  );

describe.each(clients)("a failure of %s", (_name, send) => {
  test("nobody listens: never reached", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    await new Promise<void>((resolve) => server.close(() => resolve()));
    for (const host of ["127.0.0.1", "localhost"]) {
      expect(neverReached(await failed(send, `http://${host}:${port}/x`))).toBe(true);
    }
  });

  test("no such host: never reached", async () => {
    expect(neverReached(await failed(send, "http://no-such-host.invalid:8080/x"))).toBe(true);
  });

  test("the process is gone once it has the frame: reached, once", async () => {
    let posts = 0;
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => {
        posts++;
        server.close();
        setTimeout(() => socket.destroy(), 20);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    expect(neverReached(await failed(send, `http://127.0.0.1:${port}/x`))).toBe(false);
    expect(posts).toBe(1);
  });
});

test("what other errors look like", () => {
  const wrap = (cause: unknown): Error => new TypeError("fetch failed", { cause });
  const coded = (code: string): Error => Object.assign(new Error(code), { code });
  for (
    const code of ["ECONNREFUSED", "ConnectionRefused", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]
  ) {
    expect(neverReached(coded(code))).toBe(true);
    expect(neverReached(wrap(coded(code)))).toBe(true);
  }
  expect(neverReached(wrap(new AggregateError([coded("ECONNREFUSED"), coded("ECONNREFUSED")])))).toBe(true);
  expect(neverReached(wrap(new AggregateError([coded("ECONNREFUSED"), coded("ECONNRESET")])))).toBe(false);
  expect(neverReached(Object.assign(coded("ETIMEDOUT"), { syscall: "connect" }))).toBe(true);
  const text = "client error (Connect): tcp connect error: Connection refused (os error 111)";
  for (
    const error of [
      wrap(new Error(text)),
      coded("ECONNRESET"),
      coded("EPIPE"),
      "ECONNREFUSED",
      null,
      undefined,
      1,
    ]
  ) {
    expect(neverReached(error)).toBe(false);
  }
  const loop: { cause?: unknown } = {};
  loop.cause = loop;
  expect(neverReached(loop)).toBe(false);
});
