/** `npm run order:redis`, with a Redis of its own. Scripts of this repository are not in the packed package. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { memoryStore } from "@catga/catga/memory";
import { systemRuntime } from "@catga/catga/ports";
import { openStock } from "../../examples/order-redis/stock.ts";
import { end, pause, type Running, start, until } from "./cluster.ts";

/** What came of a request; a status of 0 where no answer came. */
interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Shop {
  readonly demo: Running;
  /** Those of the two nodes. */
  readonly urls: readonly [string, string];
  /** By what the demonstration calls them. */
  readonly pids: ReadonlyMap<string, number>;
}

describe.skipIf(!("Bun" in globalThis))("npm run order:redis", () => {
  test("sells what there is, once a key, and shows prices out of caches", async () => {
    await withShop(async ({ demo, urls, pids }) => {
      await sellsTheLastTwenty(urls);
      await sellsUnderLocks(demo, urls);
      await knowsKeysAgain(urls);
      await showsPrices(demo, urls, pids.get("redis-server")!);
      demo.kill("SIGINT");
      expect(await demo.ended).toEqual({ code: 0, signal: null });
      expect([...pids].filter(([, pid]) => isThere(pid))).toEqual([]);
    });
  }, 120_000);

  test("goes on when a node is killed in the middle, and sells nothing twice", async () => {
    await withShop(async ({ demo, urls, pids }) => {
      let answered = 0;
      const answers = Promise.all(Array.from({ length: 60 }, async (_, at) => {
        const answer = await orderUntilDecided(urls, at);
        if (++answered === 8) process.kill(pids.get("node-2")!, "SIGKILL");
        return answer;
      }));
      const created = (await answers).filter(({ status }) => status === 201);
      expect(created.length).toBe(40);
      expect(new Set(created.map(({ body }) => body["orderId"])).size).toBe(40);
      expect(await stockOf(urls[0], "product-456")).toBe(0);
      for (const { body } of created) {
        expect(await ask(`${urls[0]}/orders/${body["orderId"]}`)).toEqual({ status: 200, body });
      }
      const after = await order(urls[0], "product-123", 1, "after");
      expect(after).toMatchObject({ status: 201, body: { processedBy: "node-1" } });

      demo.kill("SIGINT");
      expect(await demo.ended).toEqual({ code: 1, signal: null });
      expect([...pids].filter(([, pid]) => isThere(pid))).toEqual([]);
    });
  }, 120_000);
});

test("refuses to sell under a lock that another has had since", async () => {
  const runtime = systemRuntime();
  const stock = openStock({ store: memoryStore({ clock: runtime.clock }), runtime, unsafe: true });
  const sell = (orderId: string, token: number): Promise<number> => {
    const some = { productId: "product-999", quantity: 1, total: 1, processedBy: "a" };
    return stock.take({ ...some, orderId, status: "Created" }, { token }, { id: orderId });
  };
  expect(await sell("1", 7)).toBe(19);
  await expect(sell("2", 6)).rejects.toMatchObject({ code: "CONFLICT" });
  expect(await sell("1", 6)).toBe(19);
  expect(await sell("3", 8)).toBe(18);
});

async function sellsTheLastTwenty(urls: Shop["urls"]): Promise<void> {
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, at) => order(urls[at % 2]!, "product-999", 1, `last-${at}`)),
  );
  const created = answers.filter(({ status }) => status === 201);
  expect(created.length).toBe(20);
  expect(new Set(created.map(({ body }) => body["orderId"])).size).toBe(20);
  for (const { status, body } of answers) {
    if (status !== 201) expect({ status, code: body["code"] }).toEqual({ status: 409, code: "OUT_OF_STOCK" });
  }
  expect(await Promise.all(urls.map((url) => stockOf(url, "product-999")))).toEqual([0, 0]);
  for (const { body } of created) {
    for (const url of urls) {
      expect(await ask(`${url}/orders/${body["orderId"]}`)).toEqual({ status: 200, body });
    }
  }
}

/** Each sale has a lock of its own, and whoever had it later has the larger token, on whichever node. */
async function sellsUnderLocks(demo: Running, urls: Shop["urls"]): Promise<void> {
  const left = await stockOf(urls[0], "product-123");
  const answers = await Promise.all(
    Array.from({ length: 24 }, (_, at) => order(urls[at % 2]!, "product-123", 1, `lock-${at}`)),
  );
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
  const sales = (): { node: string; token: number; left: number }[] =>
    demo.lines.flatMap((line) => {
      const found = /^\[(node-\d)\] sold 1 x product-123 under lock (\d+), (\d+) left$/.exec(line);
      return found === null ? [] : [{ node: found[1]!, token: Number(found[2]), left: Number(found[3]) }];
    });
  await until("all sales are in the log", () => sales().length >= answers.length);
  expect(new Set(sales().map(({ node }) => node)).size).toBe(2);
  const inOrder = sales().toSorted((one, other) => one.token - other.token);
  expect(inOrder.map(({ left }) => left)).toEqual(answers.map((_, at) => left - 1 - at));
  expect(new Set(inOrder.map(({ token }) => token)).size).toBe(answers.length);
}

async function knowsKeysAgain(urls: Shop["urls"]): Promise<void> {
  const left = await stockOf(urls[0], "product-123");
  const twice = [...urls, ...urls];
  const together = await Promise.all(twice.map((url) => order(url, "product-123", 2, "same")));
  const later = await Promise.all(twice.map((url) => order(url, "product-123", 2, "same")));
  expect(together[0]).toMatchObject({ status: 201, body: { quantity: 2 } });
  for (const answer of [...together, ...later]) expect(answer).toEqual(together[0]!);
  expect(await stockOf(urls[1], "product-123")).toBe(left - 2);
  const other = await order(urls[1], "product-123", 3, "same");
  expect(other).toMatchObject({ status: 409, body: { reason: "IDEMPOTENCY_MISMATCH" } });
  expect(await stockOf(urls[0], "product-123")).toBe(left - 2);
}

async function showsPrices(demo: Running, urls: Shop["urls"], redis: number): Promise<void> {
  const price = async (url: string): Promise<unknown> => {
    return (await ask(`${url}/products/product-123`)).body["price"];
  };
  const reads = (productId = "product-123"): number[] =>
    ["node-1", "node-2"].map((node) =>
      demo.lines.filter((line) => line === `[${node}] read ${productId} from Redis`).length
    );
  const both = (): Promise<unknown[]> => Promise.all(urls.map(price));
  const shownWithoutReading = async (shown: number): Promise<void> => {
    await until("what was read is in the log", () => reads().every((count) => count > 0));
    const before = reads();
    for (let count = 0; count < 5; count++) expect(await both()).toEqual([shown, shown]);
    // Failures are not kept, so both read this; whatever they said before stands before it in the log.
    const none = await Promise.all(urls.map((url) => ask(`${url}/products/none-${shown}`)));
    expect(none).toMatchObject(urls.map(() => ({ status: 404, body: { code: "PRODUCT_NOT_FOUND" } })));
    await until("both have read it", () => reads(`none-${shown}`).every((count) => count === 1));
    expect(reads()).toEqual(before);
  };
  expect(await both()).toEqual([1999, 1999]);
  await shownWithoutReading(1999);

  let counted = false;
  process.kill(redis, "SIGSTOP");
  try {
    const stock = stockOf(urls[0], "product-123").finally(() => counted = true);
    expect(await both()).toEqual([1999, 1999]);
    expect(counted).toBe(false);
    process.kill(redis, "SIGCONT");
    await stock;
  } finally {
    process.kill(redis, "SIGCONT");
  }

  for (const [at, changed] of [1499, 1299].entries()) {
    const url = urls[at]!;
    const answer = await ask(`${url}/products/product-123/price`, "PUT", { price: changed });
    expect(answer).toEqual({ status: 200, body: { productId: "product-123", price: changed } });
    expect(await price(url)).toBe(changed);
    await until("both show the new price", async () => (await both()).every((shown) => shown === changed));
    await shownWithoutReading(changed);
  }
  expect(await order(urls[0], "product-123", 2, "cheaper")).toMatchObject({ body: { total: 2 * 1299 } });
}

/** Orders one again under its key, also on the other node, until it is known what became of it. */
async function orderUntilDecided(urls: Shop["urls"], at: number): Promise<Answer> {
  for (let tries = at;; tries++) {
    const answer = await order(urls[tries % 2]!, "product-456", 1, `decided-${at}`);
    if (answer.status === 201 || answer.body["code"] === "OUT_OF_STOCK") return answer;
    if (tries > at + 100) throw new Error(`Order ${at} was never decided: ${JSON.stringify(answer)}`);
    await pause(100);
  }
}

function order(url: string, productId: string, quantity: number, key: string): Promise<Answer> {
  return ask(`${url}/orders`, "POST", { productId, quantity }, { "idempotency-key": key });
}

async function stockOf(url: string, productId: string): Promise<number> {
  return (await ask(`${url}/products/${productId}/stock`)).body["left"] as number;
}

/** Never rejects. A `fetch` may send a request twice; all that are sent here may come twice. */
async function ask(
  url: string,
  method = "GET",
  json?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  try {
    const answer = await fetch(url, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      signal: AbortSignal.timeout(60_000),
    });
    return { status: answer.status, body: await answer.json() as Answer["body"] };
  } catch (error) {
    return { status: 0, body: { error: String(error) } };
  }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function withShop(use: (shop: Shop) => Promise<void>): Promise<void> {
  const demo = start([process.execPath, "tools/order_redis.mjs"], { CATGA_PORTS: "0" });
  try {
    await use(await announced(demo));
  } catch (error) {
    throw new Error(`${String(error)}\n${demo.lines.join("\n")}`, { cause: error });
  } finally {
    demo.kill("SIGTERM");
    await Promise.race([demo.ended, new Promise((resolve) => setTimeout(resolve, 25_000).unref?.())]);
    await end(demo);
  }
}

async function announced(demo: Running): Promise<Shop> {
  await until("two nodes are announced", () => {
    if (demo.gone) throw new Error("it has ended");
    return demo.lines.includes("Try:");
  }, 90_000);
  const pids = new Map<string, number>();
  const urls: string[] = [];
  for (const line of demo.lines) {
    const found = /^ {2}(node-\d|redis-server|gateway)\b(?: {2}(http:\S+))?.* pid (\d+)$/.exec(line);
    if (found === null) continue;
    pids.set(found[1]!, Number(found[3]));
    if (found[2] !== undefined) urls.push(found[2]);
  }
  expect([...pids.keys()].sort()).toEqual(["gateway", "node-1", "node-2", "redis-server"]);
  return { demo, urls: [urls[0]!, urls[1]!], pids };
}
