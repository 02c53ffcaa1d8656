import { describe, expect, test } from "bun:test";
import { http } from "@catga/catga/http";
import fc from "fast-check";
import { connect } from "node:net";
import { echo, errorOf, framesOf, open, realNode, recorder } from "./support.ts";

const SELF = { id: "a", endpoint: "http://127.0.0.1:5001" };
const URL_OF = "http://127.0.0.1:5001/catga/v1";
const LIMIT = 1000;

async function node(limit = LIMIT) {
  const backend = http({ peers: [], limit });
  const seen: unknown[] = [];
  const record = recorder();
  await open(backend, SELF, record.runtime, async (frame, reply, options) => {
    seen.push(frame);
    await echo(frame, reply, options);
  });
  return { backend, seen, record };
}

let count = 0;
const auth = (): string => `1;none;x;a;${Date.now()};start.${count++};none`;

function request(body: BodyInit | null, headers: Record<string, string> = {}, url = URL_OF): Request {
  const init = {
    method: "POST",
    body,
    headers: { "content-type": "application/json", "catga-auth": auth(), ...headers },
  };
  return new Request(url, { ...init, duplex: "half" } as RequestInit);
}

function chunked(sizes: readonly number[], sent: number[] = []): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull: (controller) => {
      if (at === sizes.length) return controller.close();
      sent.push(sizes[at]!);
      controller.enqueue(new Uint8Array(sizes[at++]!).fill(97));
    },
  }, { highWaterMark: 0 });
}

describe("the limit", () => {
  test("a body of exactly the limit is taken, one byte more is not", async () => {
    const { backend, seen } = await node();
    expect((await backend.fetch(request("a".repeat(LIMIT)))).status).toBe(200);
    expect((await backend.fetch(request("a".repeat(LIMIT + 1)))).status).toBe(413);
    expect((await backend.fetch(request("é".repeat(LIMIT / 2)))).status).toBe(200);
    expect((await backend.fetch(request("é".repeat(LIMIT / 2 + 1)))).status).toBe(413);
    expect(seen).toHaveLength(2);
  });

  test("a chunked body is left when it goes over", async () => {
    const { backend, seen } = await node();
    const sent: number[] = [];
    const sizes = Array.from({ length: 100 }, () => 300);
    expect((await backend.fetch(request(chunked(sizes, sent)))).status).toBe(413);
    expect(sent.length).toBeLessThan(10);
    expect((await backend.fetch(request(chunked([500, 500])))).status).toBe(200);
    expect((await backend.fetch(request(chunked([500, 500, 1])))).status).toBe(413);
    expect(seen).toHaveLength(1);
  });

  test("a length that lies or is none", async () => {
    const { backend, seen } = await node();
    for (const length of ["1001", "1e9", "-", "abc", "99999999999999999999999"]) {
      expect((await backend.fetch(request(null, { "content-length": length }))).status).toBe(413);
    }
    expect((await backend.fetch(request("a".repeat(5000), { "content-length": "10" }))).status).toBe(413);
    expect((await backend.fetch(request("a".repeat(50), { "content-length": "10" }))).status).toBe(400);
    expect((await backend.fetch(request("a".repeat(5), { "content-length": "10" }))).status).toBe(400);
    expect(seen).toEqual([]);
  });

  test("on a real server: declared, chunked and broken off", async () => {
    const seen: unknown[] = [];
    const { server, backend } = await realNode("a", async (frame, reply, options) => {
      seen.push(frame);
      await echo(frame, reply, options);
    }, { limit: LIMIT });
    const port = server.port;
    const head = (extra: string) =>
      `POST /catga/v1 HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncatga-auth: ${auth()}\r\n${extra}\r\n\r\n`;
    expect(await raw(port, head("content-length: 100000"))).toMatch(/^HTTP\/1.1 413/);
    const chunk = `100\r\n${"a".repeat(256)}\r\n`;
    expect(await raw(port, head("transfer-encoding: chunked") + chunk.repeat(20))).toMatch(/^HTTP\/1.1 413/);
    expect(await raw(port, head("transfer-encoding: chunked") + chunk + "0\r\n\r\n")).toMatch(
      /^HTTP\/1.1 200/,
    );
    await raw(port, head("content-length: 500") + "a".repeat(20), true);
    expect(seen).toEqual(["a".repeat(256)]);
    expect(backend.refused).toBeGreaterThan(1);
    await server.stop({ grace: 100 });
  });
});

/** Sends bytes as they are; what came back once the server answered, or "" if it is to be broken off. */
function raw(port: number, text: string, breakOff = false): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(text);
      if (breakOff) setTimeout(() => (socket.destroy(), resolve("")), 50);
    });
    let got = "";
    socket.on("data", (data) => {
      got += data.toString();
      if (got.includes("\r\n\r\n") && !breakOff) {
        socket.destroy();
        resolve(got);
      }
    });
    socket.on("error", () => resolve(got));
    socket.on("close", () => resolve(got));
  });
}

describe("the door", () => {
  test("methods and paths", async () => {
    const { backend } = await node();
    for (const method of ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"]) {
      const answer = await backend.fetch(new Request(URL_OF, { method }));
      expect(answer.status).toBe(405);
      expect(answer.headers.get("allow")).toBe("POST");
    }
    const root = "http://127.0.0.1:5001";
    const paths = [
      "/",
      "/catga",
      "/catga/v2",
      "/catga/v1/",
      "/catga/v1?x",
      "/catga/v1?/catga/v1",
      "/x/catga/v1",
      "//catga/v1",
      "/catga//v1",
      "/catga%2fv1",
      "/%63atga/v1",
      "/Catga/v1",
      "/x?/catga/v1",
    ];
    for (const path of paths) expect((await backend.fetch(request("{}", {}, root + path))).status).toBe(404);
    expect((await backend.fetch(request("{}", {}, root + "/x/../catga/v1"))).status).toBe(200);
  });

  test("an endpoint with a path of its own, and another prefix", async () => {
    const backend = http({ peers: [], path: "/internal/bus" });
    const self = { id: "a", endpoint: "http://127.0.0.1:5001/shop/" };
    await open(backend, self, recorder().runtime);
    const root = "http://127.0.0.1:5001";
    expect((await backend.fetch(request("{}", {}, `${root}/shop/internal/bus/v1`))).status).toBe(200);
    expect((await backend.fetch(request("{}", {}, `${root}/internal/bus/v1`))).status).toBe(200);
    expect((await backend.fetch(request("{}", {}, `${root}/shup/internal/bus/v1`))).status).toBe(404);
    const { runtime } = recorder((sent) => backend.fetch(sent));
    const other = http({ peers: [], path: "/internal/bus" });
    const transport = await open(other, { id: "b", endpoint: `${root}/b` }, runtime);
    expect(await framesOf(transport, self, "{}")).toEqual(["{}"]);
  });

  test("content types", async () => {
    const { backend, seen } = await node();
    const types = [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "",
      "x",
    ];
    for (const type of types) {
      expect((await backend.fetch(request("{}", { "content-type": type }))).status).toBe(415);
    }
    expect((await backend.fetch(request("{}", { "content-type": "application/json;charset=UTF-8" }))).status)
      .toBe(200);
    expect((await backend.fetch(request("{}", { "content-encoding": "gzip" }))).status).toBe(415);
    expect((await backend.fetch(request("{}", { "content-type": "application/octet-stream" }))).status).toBe(
      200,
    );
    expect(seen[1]).toEqual(new Uint8Array([123, 125]));
  });

  test("no node is served", async () => {
    const backend = http({ peers: [] });
    expect((await backend.fetch(request("{}"))).status).toBe(503);
    const { transport } = backend.open({ self: SELF, runtime: recorder().runtime });
    expect((await backend.fetch(request("{}"))).status).toBe(503);
    const served = await transport.serve(SELF, echo);
    expect((await backend.fetch(request("{}"))).status).toBe(200);
    await served[Symbol.asyncDispose]();
    expect((await backend.fetch(request("{}"))).status).toBe(503);
  });
});

describe("text that is none", () => {
  const bad: [string, number[]][] = [
    ["a lone continuation byte", [0x80]],
    ["a cut sequence", [0x22, 0xf0, 0x9f, 0x98]],
    ["an overlong slash", [0xc0, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["UTF-16", [0xff, 0xfe, 0x7b, 0x00]],
  ];
  test.each(bad)("refused: %s", async (_what, bytes) => {
    const { backend, seen } = await node();
    expect((await backend.fetch(request(new Uint8Array(bytes)))).status).toBe(400);
    expect(seen).toEqual([]);
  });

  test("a replacement character and a byte order mark arrive as they are", async () => {
    const { backend, seen } = await node();
    const text = '\ufeff{"a":"\ufffd\u0000é😀"}';
    expect(await (await backend.fetch(request(text))).arrayBuffer()).toEqual(
      new TextEncoder().encode(text).buffer as ArrayBuffer,
    );
    expect(seen).toEqual([text]);
  });

  test("random requests never throw and never reach the receiver", async () => {
    const { backend, seen, record } = await node();
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 2000 }),
        fc.oneof(
          fc.string({ maxLength: 100 }),
          fc.array(fc.string({ maxLength: 20 }), { minLength: 6, maxLength: 8 }).map((parts) =>
            parts.join(";")
          ),
          fc.constantFrom("1;none;x;a;1;a.1;none", "1;none;x;b;1;a.1;none"),
        ),
        fc.constantFrom("application/json", "application/octet-stream"),
        async (body, claim, type) => {
          const headers = new Headers({ "content-type": type });
          try {
            headers.set("catga-auth", claim);
          } catch {
            // Not a header at all.
          }
          const answer = await backend.fetch(
            new Request(URL_OF, { method: "POST", body: body as BodyInit, headers }),
          );
          expect(answer.status).toBeGreaterThanOrEqual(400);
          expect(answer.status).toBeLessThan(500);
        },
      ),
      { numRuns: 300 },
    );
    expect(seen).toEqual([]);
    expect(record.logs.every(({ event }) => event === "frame.refused")).toBe(true);
  });
});

describe("what a caller gets for it", () => {
  test("too large a frame is unavailable, whoever notices", async () => {
    const here = await realNode("a", echo, { limit: 100 });
    const sender = await realNode("b", echo, { limit: 10_000 });
    for (const frame of ["a".repeat(101), "a".repeat(10_001), new Uint8Array(101)]) {
      const error = await errorOf(sender.transport.exchange(here.peer, frame, () => {}));
      expect(error.code).toBe("UNAVAILABLE");
    }
    await Promise.all([here.server.stop(), sender.server.stop()]);
  });
});
