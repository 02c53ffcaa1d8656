// The gateway as a process of its own, for tools/start/redis_stand.mjs: tells its address as a line, and ends with its
// parent. Tokens come by the environment, as arguments are there for all to see.
import process from "node:process";
import { redisGateway } from "../../adapters/redis/gateway/mod.ts";
import { onShutdown, processRuntime, serve } from "../../adapters/serve/mod.ts";

const { REDIS_URL = "", REDIS_TOKEN = "", REDIS_READ_ONLY_TOKEN, PORT = "0" } = process.env;
const urls = REDIS_URL.split(",");
const gateway = await redisGateway({
  redis: urls.length > 1 ? urls : REDIS_URL,
  token: REDIS_TOKEN,
  ...(REDIS_READ_ONLY_TOKEN === undefined ? {} : { readOnlyToken: REDIS_READ_ONLY_TOKEN }),
  runtime: processRuntime(),
}).catch((error: Error) => {
  console.error(error.message);
  return process.exit(1);
});
const server = await serve(gateway.fetch, { port: Number(PORT) }).catch(() => {
  console.error(`it cannot listen on port ${PORT}. Stop what listens there, or choose another`);
  return process.exit(1);
});
onShutdown(async () => {
  await server.stop();
  await gateway[Symbol.asyncDispose]();
});
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM")).resume();
console.log(JSON.stringify({ url: server.url }));
