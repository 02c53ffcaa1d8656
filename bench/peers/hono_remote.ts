/** Plain Hono between two processes: one JSON request per call. */
import { Hono } from "hono";
import { accept, type AskFor, type Order, type Receipt } from "../harness/order.ts";
import { serveFetch } from "../harness/serve.ts";

const headers = { "content-type": "application/json" };

export function serve(port: number): Promise<void> {
  const app = new Hono();
  app.post("/orders", async (c) => c.json(await accept(await c.req.json<Order>())));
  return serveFetch(app.fetch, port);
}

export function connect(port: number): AskFor {
  const url = `http://127.0.0.1:${port}/orders`;
  return async (order) => {
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(order) });
    return (await response.json()) as Receipt;
  };
}

/** undici's Pool, with the number of connections that did best here at 64 and 256 in flight. */
export async function connectPool(port: number): Promise<AskFor> {
  const { Pool } = await import("undici");
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 64 });
  return async (order) => {
    const body = JSON.stringify(order);
    const response = await pool.request({ path: "/orders", method: "POST", headers, body });
    return (await response.body.json()) as Receipt;
  };
}
