// `npm run redis:gateway`: a redis-server and, before it, the REST API of Upstash, until Ctrl-C.
//   -- --port 8079   where the gateway listens, on this machine alone; 0 takes any free port
//   -- --dir PATH    where redis-server keeps its files (.catga/redis)
// REDIS_URL=redis://… takes a server that runs already, several with commas between them a cluster; REDIS_TOKEN and REDIS_READ_ONLY_TOKEN set the tokens.
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { ensureInstalled, root } from "./install.mjs";
import { startRedisStand } from "./start/redis_stand.mjs";

const { values: flags } = parseArgs({
  options: {
    port: { type: "string", default: "8079" },
    dir: { type: "string", default: join(root, ".catga/redis") },
  },
});
const { REDIS_URL, REDIS_TOKEN, REDIS_READ_ONLY_TOKEN } = process.env;

try {
  const port = Number(flags.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`--port is ${flags.port}, and no port`);
  }
  ensureInstalled();
  const stand = await startRedisStand({
    port,
    folder: flags.dir,
    redis: REDIS_URL,
    token: REDIS_TOKEN,
    readOnlyToken: REDIS_READ_ONLY_TOKEN,
  });
  let stopping = false;
  const stop = async (code) => {
    if (stopping) process.exit(1);
    stopping = true;
    await stand.stop();
    process.exit(code);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => stop(0));
  announce(stand);
  stand.ended.then(() => {
    if (stopping) return;
    console.error("redis-server or the gateway ended by itself");
    stop(1);
  });
} catch (error) {
  console.error(`Cannot start: ${error.message}`);
  process.exitCode = 1;
}

function announce({ url, token, readOnlyToken, redis, pids }) {
  const server = pids.redis === undefined
    ? redis.replace(/\/\/.*@/, "//…@")
    : `${redis} (redis-server, pid ${pids.redis})`;
  console.log([
    "",
    `The REST API of ${server}. Ctrl-C stops it.`,
    `  UPSTASH_REDIS_REST_URL=${url}`,
    `  UPSTASH_REDIS_REST_TOKEN=${token}`,
    `  read-only token: ${readOnlyToken}`,
    "Try:",
    `  curl ${url} -H 'authorization: Bearer ${token}' -d '["SET","greeting","hello"]'`,
    `  curl ${url}/get/greeting -H 'authorization: Bearer ${readOnlyToken}'`,
    "",
  ].join("\n"));
}
