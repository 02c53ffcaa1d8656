/** A lock taken and let go: `redis_lock.ts "64: catga" {"warmup":200,"ms":700,"broker":{"port":1,"pids":[1]}}`. */
import { driveOperation } from "../harness/redis.ts";

const upstash = () => import("../peers/redis_upstash.ts");

await driveOperation({
  "catga": () => import("../peers/redis_catga.ts").then(({ locking }) => locking),
  "@upstash/lock": () => upstash().then(({ locking }) => locking),
  "SET NX, EVAL": () => upstash().then(({ lockingPlainly }) => lockingPlainly),
});
