/** One service of the shop, as `fleet.ts` starts it. It ends when the guide is gone. */
import process from "node:process";
import { createMediator, handle } from "@catga/catga";
import { joinCluster } from "@catga/catga/cluster";
import { createSagas } from "@catga/catga/durable";
import { http } from "@catga/catga/http";
import { withStorage } from "@catga/catga/ports";
import { onShutdown, processRuntime, serve } from "@catga/catga/serve";
import { sqlite } from "@catga/catga/sqlite";
import { checkout } from "./checkout.ts";
import { HowIs } from "./contracts.ts";
import { type NodePlan, TIMING } from "./fleet.ts";
import { service } from "./services.ts";

const { name, guide, file } = JSON.parse(process.argv[2]!) as NodePlan;
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(1), 500);

const runtime = processRuntime({
  log: ({ level, message }) => {
    if (level === "error") console.error(`[${name}] ${message}`);
  },
});
const storage = await sqlite(file, { durability: "process" });
const { store } = storage;
// Every service may run the saga, whichever steps it serves itself.
const sagas = createSagas({ definitions: [checkout], store, runtime, owner: name, ttl: TIMING.timeout });
const mediator = createMediator({
  runtime,
  handlers: [
    service(name, store),
    sagas.handlers,
    handle(HowIs, ({ order }) => sagas.show(`${checkout.contract.type}/${order}`)),
  ],
});
const backend = withStorage(http({ peers: [guide] }), storage);
const server = await serve(backend.fetch, { port: 0, runtime });
const node = await joinCluster(mediator, {
  node: name,
  endpoint: server.url,
  backend,
  timing: TIMING,
  tags: { pid: String(process.pid) },
});
sagas.start(node);

onShutdown(async () => {
  await sagas[Symbol.asyncDispose]();
  const left = node.leave();
  await server.stop({ linger: left, grace: 500 });
  await storage[Symbol.asyncDispose]();
}, { runtime });
