/** A call that a limit allows: `redis_limit.ts "64 of one key: catga" {"warmup":200,"ms":700,"broker":{…}}`. */
import { driveOperation } from "../harness/redis.ts";

const upstash = () => import("../peers/redis_upstash.ts");

await driveOperation({
  "catga": () => import("../peers/redis_catga.ts").then(({ limiting }) => limiting),
  "@upstash/ratelimit, window": () => upstash().then(({ slidingWindow }) => slidingWindow),
  "@upstash/ratelimit, bucket": () => upstash().then(({ tokenBucket }) => tokenBucket),
});
