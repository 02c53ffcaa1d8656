/** Plain Hono in one process: a request with JSON both ways, no network. */
import { Hono } from "hono";
import { type Candidate, carriesB } from "../harness/candidate.ts";

const headers = { "content-type": "application/json" };

let count = 0;

export function send(): Candidate {
  const app = new Hono();
  app.post("/ping", async (c) => c.json({ b: (await c.req.json()).a }));
  const run = async (): Promise<unknown> => {
    const body = JSON.stringify({ a: count++ });
    return (await app.request("/ping", { method: "POST", headers, body })).json();
  };
  return { run, check: carriesB };
}
