/** Three nodes on three runtimes: what a user sees of them over HTTP. */

import { describe, expect, test } from "bun:test";
import { createClient } from "@catga/catga/client";
import { api } from "../../examples/orders/api.ts";
import { CreateOrder, GetOrder, type Order, WatchOrders } from "../../examples/orders/contracts.ts";
import { ask } from "./ask.ts";
import { end, healthOf, runtimes, start, until } from "./cluster.ts";
import { freePorts } from "../support/ports.ts";
import { withShop } from "./shop.ts";

const order = { productId: "product-123", quantity: 2 };

describe("three nodes on Bun, Deno and Node", () => {
  test("take orders on any of them, and all hear of each one", async () => {
    await withShop(async (nodes) => {
      const made: Order[] = [];
      for (let round = 0; round < 3; round++) {
        for (const { url } of nodes) {
          const { status, body } = await ask("POST", `${url}/orders`, order);
          expect(status).toBe(201);
          made.push(body as Order);
        }
      }
      expect(new Set(made.map(({ processedBy }) => processedBy)).size).toBe(3);
      for (const { url, name, process } of nodes) {
        await until(`${name} heard of all orders`, async () => {
          const listed = (await ask("GET", `${url}/orders`)).body as Order[];
          return made.every(({ orderId }) => listed.some((each) => each.orderId === orderId));
        });
        for (const { orderId, processedBy } of made) {
          const lines = process.lines.filter((line) => line.includes(orderId));
          expect(lines).toContain(`[${name}] heard of ${orderId}`);
          expect(lines.some((line) => line.includes("created"))).toBe(processedBy === name);
        }
      }
    });
  }, 120_000);

  test("answer for an order at once, and with a problem for what fails", async () => {
    await withShop(async (nodes) => {
      const { body } = await ask("POST", `${nodes[0]!.url}/orders`, order);
      const { orderId } = body as Order;
      for (const { url } of nodes) {
        expect((await ask("GET", `${url}/orders/${orderId}`)).body).toEqual(body);
        expect(await ask("GET", `${url}/orders/node-9.none`)).toMatchObject({
          status: 404,
          type: "application/problem+json",
          body: { code: "ORDER_NOT_FOUND", data: { orderId: "node-9.none" } },
        });
        expect(await ask("POST", `${url}/orders`, { productId: "product-999", quantity: 4 })).toMatchObject({
          status: 409,
          type: "application/problem+json",
          body: { code: "OUT_OF_STOCK", data: { productId: "product-999", left: 3 } },
        });
        expect(await ask("POST", `${url}/orders`, { productId: "product-999", quantity: 0 })).toMatchObject({
          status: 422,
          body: { code: "VALIDATION", errors: [{ pointer: "#/quantity" }] },
        });
      }
    });
  }, 120_000);

  test(
    "give one order to a request that comes again under its Idempotency-Key, wherever it comes",
    async () => {
      await withShop(async (nodes) => {
        const clients = nodes.map(({ url }) => createClient(api, { baseUrl: url }));
        const three = { productId: "product-999", quantity: 3 };
        const again = { headers: { "Idempotency-Key": "monday-7" } };
        const atOnce = [...clients, ...clients].map((client) => client.send(CreateOrder(three), again));
        const [first, ...others] = await Promise.all(atOnce);
        if (!first!.ok) throw new Error(first!.error.message);
        expect(others.map((each) => each.ok && each.value)).toEqual(others.map(() => first!.value));
        expect(await clients[2]!.send(CreateOrder(three), again)).toMatchObject({ value: first!.value });
        expect(await clients[1]!.send(CreateOrder({ ...three, quantity: 1 }), again)).toMatchObject({
          error: { code: "CONFLICT" },
        });
        // All three were there for one order, and nothing is for another one.
        expect(await clients[0]!.send(CreateOrder(three))).toMatchObject({
          error: { code: "OUT_OF_STOCK", data: { left: 0 } },
        });
        const alike = await Promise.all(clients.map((client) => client.send(CreateOrder(order))));
        expect(new Set(alike.map((each) => each.ok && each.value.orderId)).size).toBe(3);
      });
    },
    120_000,
  );

  test("tell of the cluster in the agreed shape", async () => {
    await withShop(async (nodes) => {
      for (const { url, name } of nodes) {
        const { health } = await healthOf(url);
        expect(health).toEqual({
          currentNode: {
            nodeId: name,
            endpoint: url,
            lastSeen: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
            load: expect.any(Number),
            isOnline: true,
          },
          totalNodes: 3,
          onlineNodes: 3,
          nodes: nodes.map((node) => ({ nodeId: node.name, endpoint: node.url, isOnline: true })),
        });
        expect(await ask("GET", `${url}/health/ready`)).toMatchObject({
          status: 200,
          body: { status: "ready" },
        });
        expect((await ask("GET", `${url}/openapi.json`)).body).toMatchObject({
          openapi: "3.1.0",
          paths: { "/orders": { post: { operationId: "orders.create" } } },
        });
      }
    });
  }, 120_000);

  test("are called through the typed client, and stream orders made on another node", async () => {
    await withShop(async (nodes) => {
      const [here, there] = nodes.map(({ url }) => createClient(api, { baseUrl: url }));
      const watched = here!.stream(WatchOrders({}))[Symbol.asyncIterator]();
      const first = watched.next();
      let made: Order | undefined;
      const seen = first.then(({ value }) => value as Order);
      let got: Order | undefined;
      void seen.then((value) => got = value, () => {});
      await until("the watcher saw an order", async () => {
        const result = await there!.send(CreateOrder(order));
        if (!result.ok) throw new Error(result.error.code);
        made = result.value;
        return got !== undefined;
      });
      expect((await seen).orderId).toMatch(/^order-[\w-]{12}$/);
      expect(await there!.send(GetOrder({ orderId: made!.orderId }))).toMatchObject({
        ok: true,
        value: made,
      });
      await watched.return?.(undefined);
    });
  }, 120_000);
});

test("deno serve runs the same file", async () => {
  const { deno } = await runtimes();
  const [port] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const serve = [deno, "serve", "-A", "--quiet", "--host", "127.0.0.1", "--port", String(port)];
  const process = start([...serve, "examples/orders/main.ts"], { ENDPOINT: url, NODE_ID: "served" });
  try {
    await until("it is ready", async () => (await ask("GET", `${url}/health/ready`)).status === 200);
    expect(await ask("POST", `${url}/orders`, order)).toMatchObject({
      status: 201,
      body: { processedBy: "served" },
    });
    expect(process.lines.join("\n")).toContain("[served] keeps orders in its own memory");
    process.kill("SIGTERM");
    expect(await process.ended).toEqual({ code: 0, signal: null });
  } finally {
    await end(process);
  }
}, 120_000);
