/** Nodes that are listed in Redis without being there. */

import { type Script, script } from "../../adapters/redis/scripts.ts";

export const endpointOf = (node: number): string => `http://10.0.${node >> 8}.${node & 255}:5001`;

/** Has exactly these endpoints listed, as many nodes would that come and go. */
export const replaceAll: Script = script(
  "test.list",
  `
local time = redis.call("TIME")
redis.call("DEL", KEYS[1], KEYS[2])
for _, each in ipairs(ARGV) do
  redis.call("ZADD", KEYS[1], time[1] * 1000 + 60000, each)
  redis.call("HSET", KEYS[2], each, "1 test")
end
redis.call("HSET", KEYS[3], "version", string.format("%.0f", time[1] * 1000000 + time[2]))
return 1`,
);
