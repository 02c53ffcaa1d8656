import { describe, expect, test } from "bun:test";
import { Agent, request as httpRequest } from "node:http";
import { processRuntime, serve } from "@catga/catga/serve";
import type { CatgaError } from "@catga/catga";
import { type LogEntry, systemRuntime } from "@catga/catga/ports";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One request over a kept connection of an agent: status, headers and text. */
function get(agent: Agent, url: string): Promise<{ status: number; connection: string; text: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { agent }, (message) => {
      let text = "";
      message.on("data", (data) => text += data);
      message.on("end", () => {
        resolve({ status: message.statusCode!, connection: message.headers.connection ?? "", text });
      });
      message.on("error", reject);
    });
    request.on("error", reject);
    request.end();
  });
}

describe("serve", () => {
  test("answers on a free port, with its own address in url", async () => {
    const server = await serve((request) => new Response(new URL(request.url).pathname), { port: 0 });
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
    expect(await (await fetch(`${server.url}/x/y`)).text()).toBe("/x/y");
    await server.stop();
    await expect(fetch(server.url)).rejects.toThrow();
  });

  test("a handler that throws or rejects: 500 without a trace, logged, and the server stays", async () => {
    const logs: LogEntry[] = [];
    const server = await serve((request) => {
      if (request.url.endsWith("/throw")) throw new Error("canary");
      if (request.url.endsWith("/reject")) return Promise.reject(new Error("canary"));
      return new Response("fine");
    }, { port: 0, runtime: systemRuntime({ log: (entry) => logs.push(entry) }) });
    for (const path of ["/throw", "/reject"]) {
      const answer = await fetch(server.url + path);
      expect(answer.status).toBe(500);
      expect(await answer.text()).toBe('{"type":"about:blank","title":"Internal error","status":500}');
    }
    expect(logs.map(({ event }) => event)).toEqual(["request.failed", "request.failed"]);
    expect(await (await fetch(server.url)).text()).toBe("fine");
    await server.stop();
  });

  test("addresses beyond this machine want a secret", async () => {
    for (const hostname of ["0.0.0.0", "::", "10.1.2.3", "example.com"]) {
      const error = await serve(() => new Response(), { port: 0, hostname }).then(
        () => undefined,
        (e: CatgaError) => e,
      );
      expect(error?.code).toBe("VALIDATION");
    }
    const server = await serve(() => new Response("all"), { port: 0, hostname: "0.0.0.0", secret: true });
    expect(await (await fetch(`http://127.0.0.1:${server.port}`)).text()).toBe("all");
    await server.stop();
  });

  test("a port that is taken", async () => {
    const server = await serve(() => new Response(), { port: 0 });
    const error = await serve(() => new Response(), { port: server.port }).then(
      () => undefined,
      (e: CatgaError) => e,
    );
    expect(error?.code).toBe("CONFLICT");
    expect(error?.message).toContain(String(server.port));
    await server.stop();
  });

  test("stop lets requests in flight finish, tells them to close, and takes no others", async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => release = resolve);
    const server = await serve(async () => {
      await held;
      return new Response("done");
    }, { port: 0 });
    const agent = new Agent({ keepAlive: true });
    const first = get(agent, server.url);
    await pause(50);
    let stopped = false;
    const stop = server.stop().then(() => stopped = true);
    await pause(50);
    expect(stopped).toBe(false);
    await expect(get(new Agent(), server.url)).rejects.toThrow();
    release();
    expect(await first).toEqual({ status: 200, connection: "close", text: "done" });
    await stop;
    agent.destroy();
  });

  test("a stream in flight finishes", async () => {
    const server = await serve(() => {
      let count = 0;
      return new Response(
        new ReadableStream({
          pull: async (controller) => {
            await pause(20);
            if (count === 10) controller.close();
            else controller.enqueue(new TextEncoder().encode(String(count++)));
          },
        }),
      );
    }, { port: 0 });
    const answer = await fetch(server.url);
    const start = performance.now();
    const stop = server.stop();
    expect(await answer.text()).toBe("0123456789");
    await stop;
    expect(performance.now() - start).toBeLessThan(4000);
  });

  test("what outlasts the grace is cut", async () => {
    const server = await serve(() => new Promise<Response>(() => {}), { port: 0 });
    const outcome = get(new Agent(), server.url).then(({ status }) => status, () => "cut");
    await pause(50);
    const start = performance.now();
    await server.stop({ grace: 100 });
    expect(performance.now() - start).toBeLessThan(3000);
    // Deno cannot cut a connection once it shuts down; it answers in the handler's place.
    expect(["cut", 503]).toContain(await outcome);
  });

  test("while it lingers it answers, and each answer closes its connection", async () => {
    const server = await serve(() => new Response("here"), { port: 0 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect((await get(agent, server.url)).connection).not.toBe("close");
    const stop = server.stop({ linger: 200 });
    await pause(20);
    for (let n = 0; n < 3; n++) {
      expect(await get(agent, server.url)).toEqual({ status: 200, connection: "close", text: "here" });
    }
    await stop;
    await expect(get(agent, server.url)).rejects.toThrow();
    agent.destroy();
  });

  test("stops by its signal, by disposing, and twice", async () => {
    const controller = new AbortController();
    const server = await serve(() => new Response(), { port: 0, signal: controller.signal });
    controller.abort();
    await server.stop();
    await server[Symbol.asyncDispose]();
    await expect(fetch(server.url)).rejects.toThrow();
  });

  test("an idle kept connection does not hold a stop up", async () => {
    const server = await serve(() => new Response("x"), { port: 0 });
    const agent = new Agent({ keepAlive: true });
    await get(agent, server.url);
    const start = performance.now();
    await server.stop();
    expect(performance.now() - start).toBeLessThan(3000);
    agent.destroy();
  });
});

describe("processRuntime", () => {
  test("signs and hashes at once, as web crypto does", async () => {
    const fast = processRuntime().crypto;
    const slow = systemRuntime().crypto;
    for (const text of ["", "é😀", "x".repeat(341), "é".repeat(342), "x".repeat(1000), "y"]) {
      for (const key of ["key", "é".repeat(40), "k".repeat(64), "k".repeat(65), "k".repeat(300)]) {
        expect(fast.hmac(key, text)).toBe(await slow.hmac(key, text));
      }
      expect(fast.hash(text)).toBe(await slow.hash(text));
      expect(fast.hash(new TextEncoder().encode(text))).toBe(await slow.hash(text));
    }
  });

  test("its client: text, bytes, headers, streams, cancelling", async () => {
    const { fetch } = processRuntime();
    const server = await serve(async (request) => {
      if (request.url.endsWith("/slow")) await pause(2000);
      const body = await request.text();
      return new Response(`${request.method} ${request.headers.get("x-a")} ${body}`, {
        status: 201,
        headers: { "x-b": "é".length.toString() },
      });
    }, { port: 0 });
    const init = { method: "POST", headers: { "x-a": "1" } };
    const reply = await fetch(`${server.url}/x`, { ...init, body: "é😀" });
    expect(reply.status).toBe(201);
    expect(reply.headers.get("x-b")).toBe("1");
    expect(reply.headers.get("x-c")).toBe(null);
    expect(await reply.text()).toBe("POST 1 é😀");
    const bytes = await fetch(`${server.url}/x`, { ...init, body: new TextEncoder().encode("bytes") });
    let size = 0;
    for await (const part of bytes.body!) size += part.length;
    expect(size).toBe(12);
    expect(await (await fetch(server.url, { method: "GET", headers: { "x-a": "2" } })).text()).toBe("GET 2 ");
    const controller = new AbortController();
    const cancelled = fetch(`${server.url}/slow`, { ...init, body: "x", signal: controller.signal });
    setTimeout(() => controller.abort(), 30);
    await expect(cancelled).rejects.toThrow();
    await server.stop({ grace: 100 });
  });
});
