/** A value that is cached: `redis_cache.ts "64: catga, fresh" {"warmup":200,"ms":700,"broker":{…}}`. */
import { driveOperation } from "../harness/redis.ts";

const own = () => import("../peers/redis_catga.ts");

await driveOperation({
  "catga, fresh": () => own().then(({ cachingNear }) => cachingNear),
  "catga, of the store": () => own().then(({ cachingFar }) => cachingFar),
  "GET": () => import("../peers/redis_upstash.ts").then(({ getting }) => getting),
});
