/**
 * A tour of the cluster: five nodes as five processes of this machine, over HTTP, and a guide that calls them and says
 * what happens. It takes some ten seconds and ends with 0 if everything went as promised.
 *
 *     bun examples/cluster-tour/main.ts
 *     deno run -A examples/cluster-tour/main.ts
 *     node examples/cluster-tour/main.ts
 */
import process from "node:process";
import { createMediator } from "@catga/catga";
import { joinCluster } from "@catga/catga/cluster";
import { mount } from "@catga/catga/hono";
import { http } from "@catga/catga/http";
import { memoryStore } from "@catga/catga/memory";
import { processRuntime, serve } from "@catga/catga/serve";
import { Sees, Who } from "./contracts.ts";
import { Fleet, NAMES, TIMING } from "./fleet.ts";
import { serveStore } from "./http_store.ts";
import { comesTrue } from "./sleep.ts";
import { balancers } from "./steps/balancers.ts";
import { cache } from "./steps/cache.ts";
import { failover } from "./steps/failover.ts";
import { leader } from "./steps/leader.ts";
import { routers } from "./steps/routers.ts";
import { shards } from "./steps/shards.ts";
import { Tour } from "./tour.ts";

const runtime = processRuntime({ log: () => {} });
const store = memoryStore({ clock: runtime.clock });
const backend = http({ peers: [] });
const server = await serve(serveStore(store, runtime).route("/", mount(backend)).fetch, { port: 0, runtime });
// The guide serves nothing, so no call goes to it, and as an object it neither leads nor owns.
const guide = await joinCluster(createMediator({ handlers: [], runtime }), {
  node: "guide",
  kind: "object",
  endpoint: server.url,
  backend: { ...backend, open: (host) => ({ ...backend.open(host), store }) },
  timing: TIMING,
  zone: "east",
  // Slow nodes are what the balancers are shown with, so they are not left out as a whole.
  guard: { slowFactor: 1000 },
});
const fleet = new Fleet(server.url);
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

/** Whether the guide and all nodes would send to all nodes. */
async function allMet(): Promise<boolean> {
  if (guide.explain(Who({})).candidates.length < NAMES.length) return false;
  const views = await guide.broadcast(Sees());
  return views.every(({ result }) => result.ok && result.value.length === NAMES.length);
}

let code = 1;
try {
  console.log("Five nodes as five processes over HTTP. The guide keeps the store in which leases stand.");
  for (const name of NAMES) fleet.start(name);
  const tour = new Tour(console.log, () => comesTrue(allMet, 20_000));
  await tour.step("Nodes find each other from one address", async (step) => {
    for (const { id, kind, endpoint, zone, version, weight, tags } of guide.members()) {
      if (kind === "process") {
        step.say(`${id}  ${endpoint}  pid ${tags["pid"]}, ${zone}, ${version}, weight ${weight}`);
      }
    }
    step.promise("all five are ready, and each of them knows all", await comesTrue(allMet));
  });
  await routers(tour, guide);
  await balancers(tour, guide);
  await shards(tour, guide, fleet);
  await leader(tour, guide);
  await cache(tour, guide);
  await failover(tour, guide, fleet);
  code = tour.end();
} finally {
  await guide.leave();
  await fleet[Symbol.asyncDispose]();
  await server.stop({ grace: 0 });
}
process.exit(code);
