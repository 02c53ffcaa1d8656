import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createMediator, handle, stream, type } from "@catga/catga";
import { type Problem, route, routes } from "@catga/catga/hono";
import { serve, type Server } from "@catga/catga/serve";
import { SECRET, shop, table } from "./shop.ts";

const { app, notes, runtime } = shop();
const server = routes(app, table, { runtime, heartbeat: 20 });

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400 && !condition(); tries++) {
    await new Promise((resolve) => void runtime.clock.timer(5, () => resolve(undefined)));
  }
  expect(condition()).toBe(true);
}

describe("a stream answers", () => {
  test("its values as server-sent events, and says that it is over", async () => {
    const response = await server.request("/count?to=3");
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.text()).toBe("data: 1\n\ndata: 2\n\ndata: 3\n\nevent: end\ndata: null\n\n");
    expect((await (await server.request("/count?to=0")).text()).trim()).toBe("event: end\ndata: null");
    expect(notes.counting).toBe(0);
  });

  test("a status where it fails at once", async () => {
    const response = await server.request("/count?to=abc");
    const problem = await response.json() as Problem;
    expect([response.status, problem.code, problem.errors?.[0]?.pointer]).toEqual([
      422,
      "VALIDATION",
      "#/to",
    ]);
    expect((await routes(createMediator({ handlers: [] }), table).request("/count?to=1")).status).toBe(404);
  });

  test("a problem as its last event where it fails later", async () => {
    const text = await (await server.request("/count?to=2000")).text();
    const last = text.trimEnd().split("\n\n").at(-1)!;
    expect(last.startsWith("event: fault\ndata: {")).toBe(true);
    expect((JSON.parse(last.slice(last.indexOf("{"))) as Problem).code).toBe("INTERNAL");
    expect(text).not.toContain(SECRET);
    expect(notes.counting).toBe(0);
  });

  test("SERIALIZATION for a value that is not JSON, null for undefined, one line for any text", async () => {
    const Odd = stream("odd", { input: type<{ kind: string }>(), output: type<unknown>() });
    const odd = createMediator({
      handlers: [
        handle(Odd, async function* ({ kind }) {
          yield undefined;
          yield "a\nb\r\n\u2028c";
          await Promise.resolve();
          if (kind === "bigint") yield 1n;
        }),
      ],
    });
    const text = await (await routes(odd, [route("GET /odd", Odd)]).request("/odd?kind=bigint")).text();
    expect(text.startsWith(`data: null\n\ndata: "a\\nb\\r\\n\u2028c"\n\nevent: fault\n`)).toBe(true);
    expect(text).toContain(`"code":"SERIALIZATION"`);
  });

  test("only headers to HEAD, without starting", async () => {
    const response = await server.request("/count?to=3", { method: "HEAD" });
    expect([response.status, await response.text(), notes.counting]).toEqual([200, "", 0]);
  });

  test("comments while it is silent, and ends when its reader has gone", async () => {
    const before = notes.aborted;
    const response = await server.request("/count?to=Infinity");
    const reader = response.body!.getReader();
    let text = "";
    while (text.split(":\n\n").length < 4) text += new TextDecoder().decode((await reader.read()).value);
    expect(text.startsWith("data: 1\n\ndata: 2\n\ndata: 3\n\n:\n\n:\n\n")).toBe(true);
    expect(notes.counting).toBe(1);
    await reader.cancel();
    await until(() => notes.aborted === before + 1);
  });

  test("one value at a time: nothing is asked of the handler before the reader has taken what there is", async () => {
    let made = 0;
    const Endless = stream("endless", { input: type<Record<string, string>>(), output: type<number>() });
    const endless = createMediator({
      handlers: [
        handle(Endless, async function* () {
          while (true) {
            yield ++made;
            await Promise.resolve();
          }
        }),
      ],
    });
    const response = await routes(endless, [route("GET /endless", Endless)]).request("/endless");
    const reader = response.body!.getReader();
    for (let at = 0; at < 5; at++) await reader.read();
    await new Promise((resolve) => void runtime.clock.timer(10, () => resolve(undefined)));
    expect(made).toBeLessThan(9);
    await reader.cancel();
  });
});

describe("over a real connection a stream", () => {
  let live: Server;
  beforeAll(async () => {
    live = await serve(server.fetch, { port: 0 });
  });
  afterAll(() => live.stop({ grace: 100 }));

  test("comes value by value, and its handler hears of a client that is gone", async () => {
    const before = notes.aborted;
    const abort = new AbortController();
    const response = await fetch(`${live.url}/count?to=Infinity`, { signal: abort.signal });
    const reader = response.body!.getReader();
    let text = "";
    while (!text.includes("data: 3")) text += new TextDecoder().decode((await reader.read()).value);
    abort.abort();
    await reader.read().catch(() => {});
    await until(() => notes.aborted === before + 1);
  });

  test("that is not read ends too", async () => {
    const before = notes.aborted;
    const abort = new AbortController();
    await fetch(`${live.url}/count?to=Infinity`, { signal: abort.signal });
    abort.abort();
    await until(() => notes.aborted === before + 1);
  });
});
