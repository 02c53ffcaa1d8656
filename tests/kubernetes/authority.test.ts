/** An API server whose certificate only a given authority vouches for, as those of clusters are. */

import { describe, expect, test } from "bun:test";
import { kubernetes, mountedFile } from "@catga/catga/kubernetes";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { other, own } from "./certificates.ts";
import { hasty, pods, sees, slice, until } from "./support.ts";

const options = { service: "orders", namespace: "shop", token: "s3cret" };

/** An https server of our own, how many connections it has and ever had, and its end. */
async function secure(answer: (request: IncomingMessage, reply: ServerResponse) => void) {
  const sockets = new Set<unknown>();
  const self = { url: "", open: () => sockets.size, ever: 0, stop: () => Promise.resolve() };
  const server = createServer(own, answer);
  server.on("connection", (socket) => {
    self.ever++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  self.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  self.stop = async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return self;
}

describe("connections to such a server", () => {
  test("end when the discovery ends, in the middle of a watch", async () => {
    const server = await secure((request, reply) => {
      reply.writeHead(200, { "content-type": "application/json" });
      if (request.url!.includes("watch=1")) reply.write("\n");
      else reply.end(JSON.stringify({ items: [], metadata: { resourceVersion: "5" } }));
    });
    const open = kubernetes({ ...options, api: server.url, ca: own.cert }).open(hasty().runtime);
    try {
      await until(() => server.ever === 2 && server.open() === 1);
      await open[Symbol.asyncDispose]();
      await until(() => server.open() === 0);
      expect(server.ever).toBe(2);
    } finally {
      await open[Symbol.asyncDispose]();
      await server.stop();
    }
  });

  test("end also where an answer is refused, however long it is", async () => {
    const server = await secure((_request, reply) => {
      reply.writeHead(403, { "content-type": "application/json" });
      reply.write("x".repeat(100_000));
    });
    const open = kubernetes({ ...options, api: server.url, ca: own.cert }).open(hasty().runtime);
    try {
      await until(() => open.failures > 4);
      await until(() => server.open() <= 1);
      expect(server.ever).toBeGreaterThan(4);
    } finally {
      await open[Symbol.asyncDispose]();
      await server.stop();
    }
  });
});

describe("a certificate authority", () => {
  test("is trusted when it is given, and refused when it is not", async () => {
    const folder = await mkdtemp(join(tmpdir(), "catga-"));
    const mounted = join(folder, "ca.crt");
    await writeFile(mounted, own.cert);
    const items = [slice("a", 1, { endpoints: pods("10.0.0.1") })];
    const asked: unknown[] = [];
    const server = await secure((request, reply) => {
      asked.push(request.headers.authorization);
      reply.writeHead(200, { "content-type": "application/json" });
      if (request.url!.includes("watch=1")) reply.write("\n");
      else reply.end(JSON.stringify({ items, metadata: { resourceVersion: "5" } }));
    });
    const api = server.url;

    const { runtime, logs } = hasty();
    const trusting = kubernetes({ ...options, api, ca: mountedFile(mounted) }).open(runtime);
    const doubting = kubernetes({ ...options, api, ca: other.cert }).open(runtime);
    try {
      await sees(trusting, "http://10.0.0.1:5001");
      expect(asked[0]).toBe("Bearer s3cret");
      await doubting.ready;
      expect(doubting.endpoints()).toEqual([]);
      expect(doubting.failures).toBeGreaterThan(0);
      expect(trusting.failures).toBe(0);
      expect(JSON.stringify(logs)).not.toContain("s3cret");
    } finally {
      await trusting[Symbol.asyncDispose]();
      await doubting[Symbol.asyncDispose]();
      await server.stop();
      await rm(folder, { recursive: true });
    }
  });
});
