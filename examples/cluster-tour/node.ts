/** One node of the tour, as `fleet.ts` starts it. It ends when the guide is gone. */
import process from "node:process";
import { joinCluster } from "@catga/catga/cluster";
import { http } from "@catga/catga/http";
import { onShutdown, processRuntime, serve } from "@catga/catga/serve";
import { createApp } from "./app.ts";
import { httpStore } from "./http_store.ts";
import { type NodePlan, TIMING } from "./fleet.ts";

const { name, zone, version, weight, guide } = JSON.parse(process.argv[2]!) as NodePlan & {
  readonly guide: string;
};
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(1), 500);

const runtime = processRuntime({
  log: ({ level, message, fields = {} }) => {
    if (level === "error") console.error(`${message} ${String(fields["error"] ?? fields["cause"] ?? "")}`);
  },
});
const backend = http({ peers: [guide] });
const server = await serve(backend.fetch, { port: 0, runtime });
const store = httpStore(guide, runtime);
const { mediator, joined } = createApp(name, runtime);
const node = await joinCluster(mediator, {
  node: name,
  endpoint: server.url,
  backend: { ...backend, open: (host) => ({ ...backend.open(host), store }) },
  timing: TIMING,
  zone,
  version,
  weight,
  tags: { pid: String(process.pid) },
});
joined(node);

onShutdown(async () => {
  const left = node.leave();
  // Until it has left the other nodes reach it.
  await server.stop({ linger: left, grace: 500 });
}, { runtime });
