// A cluster node: mediator, cluster and HTTP backend, no Hono.
import process from "node:process";
import { createMediator, handle, query, type } from "@catga/catga";
import { joinCluster } from "@catga/catga/cluster";
import { http } from "@catga/catga/http";
import { serve } from "@catga/catga/serve";

const GetTime = query("time.get", { input: type(), output: type() });
const app = createMediator({ handlers: [handle(GetTime, () => Date.now())] });
const port = Number(process.argv[2]);
const endpoint = `http://127.0.0.1:${port}`;
const backend = http({ peers: [] });
const home = (request) => new URL(request.url).pathname === "/";
await serve((request) => home(request) ? Response.json({ status: "ok" }) : backend.fetch(request), { port });
await joinCluster(app, { node: "n1", endpoint, backend });
console.log("READY");
