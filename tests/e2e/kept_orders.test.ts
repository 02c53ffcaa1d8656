/** What of orders outlives their nodes. */

import { expect, test } from "bun:test";
import { createMediator } from "@catga/catga";
import { createClient } from "@catga/catga/client";
import { startRelay } from "@catga/catga/durable";
import { memoryStorage } from "@catga/catga/memory";
import { systemRuntime } from "@catga/catga/ports";
import { api } from "../../examples/orders/api.ts";
import { CreateOrder, GetOrder, type Order, ReserveStock } from "../../examples/orders/contracts.ts";
import { stock } from "../../examples/orders/stock.ts";
import { allOnline, type NodeProcess, pause, startAgain, until } from "./cluster.ts";
import { withShop } from "./shop.ts";

const SHELF = 1_000_000;

interface Wish {
  readonly key: string;
  readonly productId: string;
  readonly quantity: number;
}

/** The nodes run on all runtimes whichever one drives them, so one does. */
const other = !("Bun" in globalThis);

test.skipIf(other)(
  "kill -9 of all nodes loses no order, sells nothing twice, and every node hears of each order",
  async () => {
    await withShop(async (nodes) => {
      const wishes = Array.from({ length: 180 }, (_, at) => wish(at, "product-123", 1 + at % 3));
      const answered = new Map<Wish, Order>();
      for (const limit of [40, 80]) {
        let killed: Promise<void> | undefined;
        const asked = wishes.filter((each) => !answered.has(each)).map(async (each, at) => {
          const result = await place(nodes[at % 3]!, each);
          if (result.ok) answered.set(each, result.value);
          if (answered.size >= limit) killed ??= kill(nodes);
        });
        await Promise.all(asked);
        await killed;
        await Promise.all(nodes.map(startAgain));
        await allOnline(nodes);
      }
      const acknowledged = [...answered];
      expect(acknowledged.length).toBeLessThan(wishes.length);
      for (const [at, [, order]] of acknowledged.entries()) {
        expect(await look(nodes[at % 3]!, order.orderId)).toEqual(order);
      }
      // Whoever got no answer asks again, and gets the order that was begun, if one was.
      const made = await Promise.all(wishes.map(async (each, at) => {
        const result = await place(nodes[(at + 1) % 3]!, each);
        if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
        return result.value;
      }));
      for (const [each, order] of acknowledged) expect(made[wishes.indexOf(each)]).toEqual(order);
      const ids = made.map(({ orderId }) => orderId).toSorted();
      expect(new Set(ids).size).toBe(wishes.length);
      const sold = wishes.reduce((sum, { quantity }) => sum + quantity, 0);
      expect(await left(nodes[0]!, "product-123")).toBe(SHELF - sold);
      for (const node of nodes) {
        await until(`${node.name} heard of all orders`, () => heard(node).length >= ids.length, 60_000);
        expect(heard(node)).toEqual(ids);
      }
    });
  },
  180_000,
);

test.skipIf(other)("an order that comes again takes nothing more and is told of once", async () => {
  const { store, queue } = memoryStorage();
  const runtime = systemRuntime();
  const app = createMediator({ handlers: stock({ store, runtime, unsafe: true }, () => {}), runtime });
  const reserve = ReserveStock({
    orderId: "order-1",
    productId: "product-999",
    quantity: 2,
    status: "Created",
    processedBy: "node-1",
  });
  expect(await app.send(reserve)).toMatchObject({ value: { left: 1 } });
  expect(await app.send(reserve)).toMatchObject({ value: { left: 1 } });
  await queue.subscribe("orders.created", "all");
  await using _relay = startRelay({ store, queue, runtime, owner: "test", unsafe: true });
  const [told] = await queue.pull("orders.created", "all", { max: 10, lease: 1000, wait: 10_000 });
  expect(told?.payload).toContain("order-1");
  expect(await queue.pull("orders.created", "all", { max: 10, lease: 1000, wait: 100 })).toEqual([]);
}, 30_000);

test.skipIf(other)(
  "three nodes sell the last three once, also while one of them dies and comes back",
  async () => {
    await withShop(async (nodes) => {
      const [first, second, third] = nodes;
      const wishes = Array.from({ length: 24 }, (_, at) => wish(at, "product-999", 1));
      const asked = wishes.map((each, at) => placeSurely([nodes[at % 3]!, first!, third!], each));
      await Promise.race(asked);
      await kill([second!]);
      const answers = await Promise.all(asked);
      await startAgain(second!);
      await allOnline(nodes);
      const orders = answers.flatMap((answer) => answer.ok ? [answer.value] : []);
      const refused = answers.flatMap((answer) => answer.ok ? [] : [answer.error]);
      expect(new Set(orders.map(({ orderId }) => orderId)).size).toBe(3);
      expect(refused).toHaveLength(21);
      expect(refused.filter(({ code }) => code !== "OUT_OF_STOCK")).toEqual([]);
      for (const node of nodes) {
        expect(await left(node, "product-999")).toBe(0);
        for (const order of orders) expect(await look(node, order.orderId)).toEqual(order);
        const ids = orders.map(({ orderId }) => orderId).toSorted();
        await until(`${node.name} heard of all orders`, () => heard(node).length >= ids.length, 60_000);
        expect(heard(node)).toEqual(ids);
      }
    });
  },
  180_000,
);

function wish(at: number, productId: string, quantity: number): Wish {
  return { key: `wish-${at}`, productId, quantity };
}

function place({ url }: NodeProcess, { key, ...wanted }: Wish) {
  return createClient(api, { baseUrl: url }).send(CreateOrder(wanted), {
    headers: { "idempotency-key": key },
  });
}

/** Asks one node after the other until one has an answer. */
async function placeSurely(nodes: readonly NodeProcess[], wanted: Wish) {
  for (let at = 0;; at++) {
    const result = await place(nodes[at % nodes.length]!, wanted);
    if (result.ok || !result.error.retryable || at >= 30) return result;
    await pause(100);
  }
}

async function look({ url }: NodeProcess, orderId: string): Promise<Order | string> {
  const result = await createClient(api, { baseUrl: url }).send(GetOrder({ orderId }));
  return result.ok ? result.value : result.error.code;
}

/** What is left of a product: what is said to one who wants more than there ever was. */
async function left({ url }: NodeProcess, productId: string): Promise<unknown> {
  const result = await createClient(api, { baseUrl: url }).send(
    CreateOrder({ productId, quantity: SHELF + 1 }),
  );
  return result.ok ? "sold" : (result.error.data as { readonly left?: number } | undefined)?.left;
}

/** The orders that a node has heard of in all of its lives. */
function heard({ lives }: NodeProcess): string[] {
  const ids = lives.flatMap(({ lines }) => lines).flatMap((line) => /heard of (\S+)/.exec(line)?.[1] ?? []);
  return [...new Set(ids)].toSorted();
}

async function kill(nodes: readonly NodeProcess[]): Promise<void> {
  for (const node of nodes) node.process.kill("SIGKILL");
  await Promise.all(nodes.map((node) => node.process.ended));
}
