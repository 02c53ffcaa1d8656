// bun app.ts | deno run -A app.ts | deno serve -A app.ts | node app.ts
import process from "node:process";
import { command, createMediator, fail, handle, query } from "@catga/catga";
import { health, route, routes, type ToJsonSchema } from "@catga/catga/hono";
import { serve } from "@catga/catga/serve";
import type { Hono } from "hono";
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";

const Order = v.object({ id: v.string(), sku: v.string(), quantity: v.number() });
const CreateOrder = command("orders.create", {
  input: v.object({ sku: v.string(), quantity: v.pipe(v.number(), v.integer(), v.minValue(1)) }),
  output: Order,
  errors: { OUT_OF_STOCK: v.object({ left: v.number() }) },
});
const GetOrder = query("orders.get", { input: v.object({ id: v.string() }), output: v.nullable(Order) });

const orders: v.InferOutput<typeof Order>[] = [];
const mediator = createMediator({
  handlers: [
    handle(CreateOrder, ({ sku, quantity }) => {
      if (quantity > 10) return fail("OUT_OF_STOCK", { left: 10 });
      orders.push({ id: String(orders.length), sku, quantity });
      return orders.at(-1)!;
    }),
    handle(GetOrder, ({ id }) => orders[Number(id)] ?? null),
  ],
});

const table = [route("POST /orders", CreateOrder, { status: 201 }), route("GET /orders/:id", GetOrder)];
const json: ToJsonSchema = (schema, side) => toJsonSchema(schema, { typeMode: side });
const app: Hono = routes(mediator, table, {
  openapi: { title: "Orders", version: "1.0.0", toJsonSchema: json },
});
app.route("/", health(undefined));
export default app; // Bun and `deno serve` serve what a file exports. Where nobody does, it soon serves itself:
const loaded = performance.now();
const unserved = () => performance.now() - loaded < 500 && serve(app.fetch, { port: 3000 });
if (import.meta.main !== false) process.once("beforeExit", unserved);
