/** What one turn asks of Redis: `redis_turn.ts "64 locks: catga" {"warmup":200,"ms":700,"broker":{…}}`. */
import { driveOperation } from "../harness/redis.ts";

const own = () => import("../peers/redis_catga.ts");
const plain = () => import("../peers/redis_upstash.ts");

await driveOperation({
  "catga": () => own().then(({ turning }) => turning),
  "its commands, one a request": () => own().then(({ turningSingly }) => turningSingly),
  "@upstash/redis, one a request": () => plain().then(({ turningSingly }) => turningSingly),
  "@upstash/redis, one a turn": () => plain().then(({ turning }) => turning),
});
