/**
 * The REST API of a Redis of this machine, in a process of its own: `redis_gateway.ts REDIS_PORT PORT` prints READY when
 * it answers. `/requests` says how many requests it has had but for such.
 */
import process from "node:process";
import { redisGateway } from "@catga/catga/redis/gateway";
import { processRuntime, serve } from "@catga/catga/serve";
import { TOKEN } from "./redis.ts";

const [redis = "", port = ""] = process.argv.slice(2);
const gateway = await redisGateway({
  redis: `redis://127.0.0.1:${redis}`,
  token: TOKEN,
  runtime: processRuntime(),
});
let requests = 0;
await serve((request) => {
  if (request.url.endsWith("/requests")) return Promise.resolve(new Response(String(requests)));
  requests++;
  return gateway.fetch(request);
}, { port: Number(port) });
console.log("READY");
