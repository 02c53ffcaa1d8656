/**
 * A checkout as a saga: stock, payment and shipping are three processes that talk over HTTP and keep their things in
 * one SQLite file. Plugs are pulled, and each order ends bought or undone. It ends with 0 if all went as promised.
 *
 *     bun examples/checkout-saga/main.ts
 *     deno run -A examples/checkout-saga/main.ts
 *     node examples/checkout-saga/main.ts
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createMediator, type Fault, type Result } from "@catga/catga";
import { joinCluster, toNode } from "@catga/catga/cluster";
import type { SagaState } from "@catga/catga/durable";
import { http } from "@catga/catga/http";
import { processRuntime, serve } from "@catga/catga/serve";
import { sqlite } from "@catga/catga/sqlite";
import { Checkout, HowIs, type Order } from "./contracts.ts";
import { Fleet, TIMING } from "./fleet.ts";
import { bookEntry, bookKey, type ServiceName, SERVICES } from "./services.ts";

const runtime = processRuntime({ log: () => {} });
const folder = mkdtempSync(join(tmpdir(), "catga-checkout-"));
const file = join(folder, "shop.db");
const storage = await sqlite(file, { durability: "process" });
const backend = http({ peers: [] });
const server = await serve(backend.fetch, { port: 0, runtime });
const guide = await joinCluster(createMediator({ handlers: [], runtime }), {
  node: "guide",
  kind: "object",
  endpoint: server.url,
  backend,
  timing: TIMING,
});
const fleet = new Fleet({ guide: server.url, file });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

let steps = 0;
let broken = 0;

function promise(what: string, kept: boolean): void {
  console.log(`   ${kept ? "✓" : "✗"} ${what}`);
  if (!kept) broken++;
}

/** Whether something comes true before so many ms are over. */
async function comesTrue(holds: () => boolean | Promise<boolean>, limit: number = 20_000): Promise<boolean> {
  const end = performance.now() + limit;
  while (!await holds()) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

async function allThere(): Promise<boolean> {
  return await comesTrue(() => guide.explain(HowIs({ order: "" })).candidates.length === SERVICES.length);
}

/** Buys something, at one of the services; it is asked again, elsewhere, as long as nobody says how it ended. */
async function buy(order: Order, at: ServiceName): Promise<Result<unknown, Fault>> {
  for (let tries = 0;; tries++) {
    const route = tries === 0 ? { route: toNode(at) } : {};
    const headers = { "idempotency-key": order.order };
    const result = await guide.send(Checkout(order), { ...route, headers });
    if (result.ok || tries === 5 || !["TIMEOUT", "TRANSPORT", "UNAVAILABLE"].includes(result.error.code)) {
      return result;
    }
  }
}

/** How an order stands, by whoever answers. */
async function howIs(order: string): Promise<SagaState | undefined> {
  const result = await guide.send(HowIs({ order }), { timeout: 2000 });
  return result.ok ? result.value : undefined;
}

/** Whether a step of an order has been done. */
async function hasDone(order: string, step: string): Promise<boolean> {
  const state = await howIs(order);
  return state?.steps.some(({ name, state }) => name === step && state === "done") ?? false;
}

/** What the services have taken for an order, and how often: all once, or all nothing. */
async function books(order: string): Promise<readonly [taken: number[], times: number[]]> {
  const keys = SERVICES.map((name) => bookKey(name, order));
  const entries = await Promise.all(keys.map(async (key) => bookEntry(await storage.store.get(key))));
  return [entries.map((entry) => entry?.taken ?? 0), entries.map((entry) => entry?.times ?? 0)];
}

/** One order, what happens meanwhile, and how it must end. */
async function step(
  title: string,
  order: Omit<Order, "order">,
  at: ServiceName,
  wanted: "bought" | "undone",
  meanwhile: (id: string) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const id = `order-${++steps}`;
  console.log(`\n${steps}. ${title}`);
  const [result] = await Promise.all([buy({ order: id, ...order }, at), meanwhile(id)]);
  const [taken, times] = await books(id);
  const why = result.ok ? "" : ` (${result.error.code}: ${result.error.message})`;
  console.log(`   it is ${result.ok ? "bought" : "not bought"}${why}; taken: ${taken.join(", ")}`);
  promise(`the order is ${wanted}`, result.ok === (wanted === "bought"));
  const share = wanted === "bought" ? order.amount : 0;
  promise(
    wanted === "bought" ? "each service has taken its share" : "nobody has taken anything",
    taken.every((amount) => amount === share),
  );
  promise("and nobody took anything twice", times.every((count) => count <= 1));
}

try {
  console.log("Stock, payment and shipping are three processes over HTTP with one SQLite file.");
  for (const name of SERVICES) fleet.start(name);
  promise("all of them are there", await allThere());
  for (const { id, endpoint, tags } of guide.members()) {
    if (id !== "guide") console.log(`   ${id}  ${endpoint}  pid ${tags["pid"]}`);
  }
  await step("All goes well", { sku: "tea", amount: 5 }, "stock", "bought");
  await step(
    "The card has not enough: the reservation is released",
    { sku: "tea", amount: 500 },
    "payment",
    "undone",
  );
  await step("Shipping refuses, after the rest was paid", { sku: "piano", amount: 90 }, "shipping", "undone");

  await step(
    "The plug of the node that runs the order is pulled: another one goes on",
    { sku: "tea", amount: 6 },
    "payment",
    "bought",
    async (id) => {
      promise("it is paid, and being packed", await comesTrue(() => hasDone(id, "charge")));
      const runner = (await howIs(id))?.node;
      console.log(`   ${runner} runs it; its plug is pulled`);
      await fleet.kill(runner as ServiceName);
      const next = async (): Promise<boolean> => ![runner, undefined].includes((await howIs(id))?.node);
      promise("another node has taken it over", await comesTrue(next));
      fleet.start(runner as ServiceName);
    },
  );

  promise("all are there again", await allThere());
  await step(
    "The plug of shipping is pulled before its step, and put in again",
    { sku: "tea", amount: 7 },
    "stock",
    "bought",
    async (id) => {
      promise("it is paid, and being packed", await comesTrue(() => hasDone(id, "charge")));
      await fleet.kill("shipping");
      await new Promise((resolve) => setTimeout(resolve, 1500));
      fleet.start("shipping");
    },
  );

  promise("all are there again", await allThere());
  await step(
    "The plug of shipping is pulled for good: what was done is undone",
    { sku: "tea", amount: 8 },
    "payment",
    "undone",
    async (id) => {
      promise("it is paid, and being packed", await comesTrue(() => hasDone(id, "charge")));
      await fleet.kill("shipping");
    },
  );
  console.log(broken === 0 ? `\n${steps} orders, all as promised` : `\n${broken} promises were not kept`);
} finally {
  await guide.leave();
  await fleet[Symbol.asyncDispose]();
  await server.stop({ grace: 0 });
  await storage[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(broken === 0 ? 0 : 1);
