// A bare Hono server. Plain JavaScript, so that no runtime pays for types at start.
import process from "node:process";
import { Hono } from "hono";

const app = new Hono();
app.get("/", (c) => c.json({ status: "ok" }));
const port = Number(process.argv[2]);
const hostname = "127.0.0.1";
const ready = () => console.log("READY");

if ("Bun" in globalThis) {
  globalThis.Bun.serve({ port, hostname, fetch: app.fetch });
  ready();
} else if ("Deno" in globalThis) {
  Deno.serve({ port, hostname, onListen: ready }, app.fetch);
} else {
  const { serve } = await import("@hono/node-server");
  serve({ fetch: app.fetch, port, hostname }, ready);
}
