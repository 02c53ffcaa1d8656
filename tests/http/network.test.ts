import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server as TcpServer, type Socket } from "node:net";
import { createServer as createHttpServer } from "node:http";
import { http } from "@catga/catga/http";
import { echo, errorOf, open, pause, realNode, recorder, SECRET } from "./support.ts";

type Node = Awaited<ReturnType<typeof realNode>>;
let here: Node;

beforeAll(async () => {
  here = await realNode("here");
});

afterAll(() => here.server.stop({ grace: 100 }));

/** A TCP server that treats each connection as it is told. */
async function tcp(treat: (socket: Socket, server: TcpServer) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    treat(socket, server);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { peer: { id: "there", endpoint: `http://127.0.0.1:${port}` }, close };
}

const codeOf = async (endpoint: string, id = "there"): Promise<string> =>
  (await errorOf(here.transport.exchange({ id, endpoint }, "{}", () => {}))).code;

/** A server that answers every request with the same bytes. */
function answering(text: string) {
  return tcp((socket) => socket.on("data", () => socket.end(text)));
}

test.each([
  ["3", 3000],
  ["86400", 60_000],
  ["soon", undefined],
  ["-5", undefined],
])("a gateway's Retry-After of %p is told in ms: %p", async (header, wanted) => {
  const head = `HTTP/1.1 503 No\r\nretry-after: ${header}\r\ncontent-length: 0\r\n\r\n`;
  const { peer, close } = await answering(head);
  const { data } = await errorOf(here.transport.exchange(peer, "{}", () => {})) as { data?: unknown };
  expect(data).toEqual(wanted === undefined ? undefined : { retryAfter: wanted });
  close();
});

describe("frames that never arrived are UNAVAILABLE", () => {
  test("nobody listens", async () => {
    const { peer, close } = await tcp(() => {});
    close();
    await pause(20);
    expect(await codeOf(peer.endpoint)).toBe("UNAVAILABLE");
    expect(await codeOf(peer.endpoint.replace("127.0.0.1", "localhost"))).toBe("UNAVAILABLE");
  });

  test("the host has no address", async () => {
    const backend = http({ peers: [], secret: SECRET });
    const transport = await open(backend, here.peer, recorder().runtime);
    const error = await errorOf(
      transport.exchange({ id: "x", endpoint: "http://no-such-host.invalid:1234" }, "{}", () => {}),
    );
    expect(error.code).toBe("UNAVAILABLE");
  });

  test("an endpoint that a node may not send to", async () => {
    for (
      const endpoint of [
        "",
        "x",
        "file:///etc/passwd",
        "http://u:p@127.0.0.1:1",
        "http://169.254.169.254",
        "http://10.0.0.1",
      ]
    ) {
      expect(await codeOf(endpoint)).toBe("UNAVAILABLE");
    }
  });

  test("refusals of an endpoint", async () => {
    const there = await realNode("there");
    expect(await codeOf(there.peer.endpoint, "someone else")).toBe("UNAVAILABLE");
    await there.transport[Symbol.asyncDispose]();
    expect(await codeOf(there.peer.endpoint)).toBe("UNAVAILABLE");
    await there.server.stop();
    for (const status of [400, 401, 404, 405, 413, 415]) {
      const { peer, close } = await answering(
        `HTTP/1.1 ${status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
      );
      expect(await codeOf(peer.endpoint)).toBe("UNAVAILABLE");
      close();
    }
  });
});

describe("frames that may have arrived are TRANSPORT", () => {
  test("the connection breaks after the frame, on a first and on a kept connection", async () => {
    for (const kept of [false, true]) {
      let posts = 0;
      const { peer, close } = await tcp((socket) => {
        socket.on("data", (data) => {
          if (!data.toString().startsWith("POST")) return;
          posts++;
          if (kept && posts === 1) return socket.write("HTTP/1.1 204 None\r\ncatga-frames: whole\r\n\r\n");
          return setTimeout(() => socket.destroy(), 20);
        });
      });
      if (kept) await here.transport.exchange(peer, "{}", () => {});
      expect(await codeOf(peer.endpoint)).toBe("TRANSPORT");
      // No client of ours sends a frame again by itself.
      expect(posts).toBe(kept ? 2 : 1);
      close();
    }
  });

  test("the process dies with the frame: the refused second attempt of a client proves nothing", async () => {
    const { peer, close } = await tcp((socket, server) => {
      socket.on("data", () => {
        server.close();
        setTimeout(() => socket.destroy(), 20);
      });
    });
    expect(await codeOf(peer.endpoint)).toBe("TRANSPORT");
    close();
  });

  test.each([
    ["another status", "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"],
    ["seen before", "HTTP/1.1 409 No\r\ncontent-length: 0\r\n\r\n"],
    ["a gateway's 502", "HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n"],
    ["a gateway's 503", "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"],
    ["no node", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"],
    ["no HTTP", "what?\r\n\r\n"],
    [
      "a cut answer",
      "HTTP/1.1 200 OK\r\ncatga-frames: whole\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{}",
    ],
    [
      "a cut stream",
      "HTTP/1.1 200 OK\r\ncatga-frames: lines\r\ntransfer-encoding: chunked\r\n\r\n3\r\n 1\n\r\n",
    ],
    [
      "a stream without its end",
      "HTTP/1.1 200 OK\r\ncatga-frames: lines\r\ntransfer-encoding: chunked\r\n\r\n3\r\n 1\n\r\n0\r\n\r\n",
    ],
    ["a malformed stream", "HTTP/1.1 200 OK\r\ncatga-frames: lines\r\ncontent-length: 4\r\n\r\n1\n.\n"],
    [
      "a compressed answer",
      "HTTP/1.1 200 OK\r\ncatga-frames: whole\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
    ],
    [
      "too large an answer",
      "HTTP/1.1 200 OK\r\ncatga-frames: whole\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n{}",
    ],
  ] as [string, string][])("%s", async (_what, text) => {
    const { peer, close } = await answering(text);
    expect(await codeOf(peer.endpoint)).toBe("TRANSPORT");
    close();
  });

  test("an endless answer is left at the limit", async () => {
    for (const frames of ["whole", "lines", "sized"]) {
      let sent = 0;
      const server = createHttpServer((_request, response) => {
        response.writeHead(200, { "catga-frames": frames, "content-type": "application/json" });
        const more = (): void => {
          if (response.destroyed || sent > 1e9) return;
          sent += 65_536;
          if (response.write("a".repeat(65_536))) setImmediate(more);
          else response.once("drain", more);
        };
        more();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as { port: number };
      expect(await codeOf(`http://127.0.0.1:${port}`)).toBe("TRANSPORT");
      expect(sent).toBeLessThan(60e6);
      server.closeAllConnections();
      server.close();
    }
  });

  test("a redirect is not followed", async () => {
    let reached = 0;
    const target = await tcp(() => void reached++);
    for (const status of [301, 302, 303, 307, 308]) {
      const location = `${target.peer.endpoint}/catga/v1`;
      const { peer, close } = await answering(
        `HTTP/1.1 ${status} Go\r\nlocation: ${location}\r\ncontent-length: 0\r\n\r\n`,
      );
      expect(await codeOf(peer.endpoint)).toBe("TRANSPORT");
      close();
    }
    expect(reached).toBe(0);
    target.close();
  });
});

describe("CANCELLED", () => {
  test("before it is sent nothing is sent", async () => {
    let connections = 0;
    const { peer, close } = await tcp(() => void connections++);
    const error = await errorOf(
      here.transport.exchange(peer, "{}", () => {}, { signal: AbortSignal.abort() }),
    );
    expect(error.code).toBe("CANCELLED");
    expect(connections).toBe(0);
    close();
  });

  test("while a silent server is waited for", async () => {
    const { peer, close } = await tcp(() => {});
    const controller = new AbortController();
    const outcome = errorOf(here.transport.exchange(peer, "{}", () => {}, { signal: controller.signal }));
    await pause(30);
    controller.abort();
    expect((await outcome).code).toBe("CANCELLED");
    close();
  });
});

describe("what open refuses", () => {
  const openWith = (endpoint: string, secret?: string, peers: string[] = []) => () =>
    http(secret === undefined ? { peers } : { peers, secret }).open({
      self: { id: "a", endpoint },
      runtime: recorder().runtime,
    });

  test("endpoints", () => {
    for (
      const endpoint of [
        "",
        "127.0.0.1:80",
        "ftp://127.0.0.1",
        "http://user@127.0.0.1",
        "http://:p@127.0.0.1",
        "http://127.0.0.1/?",
        "http://127.0.0.1/?a=b",
        "http://127.0.0.1/#",
        "http://10.0.0.1:5001",
        "http://0.0.0.0:5001",
        "http://[::]:5001",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "https://example.com",
      ]
    ) {
      expect(openWith(endpoint)).toThrow(/^Cannot use the endpoint of node "a": .+\. .+/);
      expect(openWith("http://127.0.0.1:1", undefined, [endpoint])).toThrow(/a peer/);
    }
    const local = [
      "http://127.0.0.1",
      "http://127.9.9.9:1",
      "http://localhost:1",
      "http://[::1]:1",
      "http://2130706433:1",
    ];
    for (const endpoint of local) expect(openWith(endpoint)).not.toThrow();
    expect(openWith("https://example.com", SECRET)).not.toThrow();
  });

  test("secrets, names, second nodes and options", () => {
    expect(openWith("http://127.0.0.1", "x".repeat(31))).toThrow(/32 characters/);
    expect(openWith("http://127.0.0.1", "")).toThrow(/32 characters/);
    for (const id of ["", "*"]) {
      const host = { self: { id, endpoint: "http://127.0.0.1" }, runtime: recorder().runtime };
      expect(() => http({ peers: [] }).open(host)).toThrow();
    }
    const backend = http({ peers: ["http://127.0.0.1:1/", "http://127.0.0.1:2"] });
    const host = { self: { id: "a", endpoint: "http://127.0.0.1:1" }, runtime: recorder().runtime };
    const { seeds } = backend.open(host);
    expect(seeds()).toEqual([{ id: "*", endpoint: "http://127.0.0.1:2" }]);
    expect(() => backend.open(host)).toThrow(/serves a node already/);
    expect(() => http({ peers: [], path: "catga/" })).toThrow(RangeError);
    expect(() => http({ peers: [], limit: 0 })).toThrow(RangeError);
  });

  test("a second receiver; a second life after the first", async () => {
    const backend = http({ peers: [] });
    const host = { self: { id: "a", endpoint: "http://127.0.0.1:1" }, runtime: recorder().runtime };
    const { transport } = backend.open(host);
    await transport.serve(host.self, echo);
    await expect(transport.serve(host.self, echo)).rejects.toThrow(/twice/);
    await transport[Symbol.asyncDispose]();
    backend.open(host);
  });
});
