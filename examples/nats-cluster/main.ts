/**
 * One node of a cluster on NATS. Bun, `deno run -A` and Node run it as it is:
 *
 *     NATS_URL=ws://127.0.0.1:8080 NODE_ID=node1 PORT=5001 bun examples/nats-cluster/main.ts
 */
import process from "node:process";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { nats } from "@catga/catga/nats";
import { onShutdown, processRuntime, serve } from "@catga/catga/serve";
import { createApp, createNode } from "./app.ts";

const { PORT = "5001", NATS_URL = "ws://127.0.0.1:8080", QUIET } = process.env;
const name = process.env["NODE_ID"] ?? `node-${PORT}`;
const say = (text: string): void => {
  if (QUIET === undefined) console.log(`[${name}] ${text}`);
};
const runtime = processRuntime({
  log: ({ level, message, fields = {} }) => {
    if (level === "warn" || level === "error") {
      console.error(`[${name}] ${level}: ${message} ${String(fields["error"] ?? fields["cause"] ?? "")}`);
    }
  },
});

const life: { node?: Node } = {};
const server = await serve(createApp(() => life.node), {
  port: Number(PORT),
  hostname: "127.0.0.1",
  runtime,
});
const backend = await nats(NATS_URL, { runtime }).catch((error: Error) => {
  console.error(`[${name}] ${error.message}`);
  process.exit(1);
});
life.node = await joinCluster(createNode(name, runtime, say), {
  node: name,
  endpoint: server.url,
  backend,
  service: "orders",
});
say(`joined at ${server.url}`);

onShutdown(async () => {
  const left = life.node!.leave();
  await server.stop({ linger: left });
  await left;
  await backend[Symbol.asyncDispose]();
}, { runtime });
