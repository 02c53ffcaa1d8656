/** The limit of Redis: a stream, a consumer group, and nothing else. */
import { Redis } from "ioredis";
import type { Jobs, Place } from "../harness/jobs.ts";
import type { Order } from "../harness/order.ts";

const STREAM = "orders";
const GROUP = "billing";

type Entries = [stream: string, entries: [id: string, fields: string[]][]][];

export async function redisJobs({ port }: Place): Promise<Jobs> {
  const redis = new Redis({ port, host: "127.0.0.1" });
  await redis.xgroup("CREATE", STREAM, GROUP, "$", "MKSTREAM");
  return {
    isLimit: true,
    push: (order) => redis.xadd(STREAM, "*", "order", JSON.stringify(order)),
    pushAll: async (orders) => {
      const all = redis.pipeline();
      for (const order of orders) all.xadd(STREAM, "*", "order", JSON.stringify(order));
      await all.exec();
    },
    kept: () => redis.xlen(STREAM),
    take: async (count, concurrency, hear) => {
      for (let left = count; left > 0;) {
        const read = await redis.xreadgroup(
          "GROUP",
          GROUP,
          "c",
          "COUNT",
          concurrency,
          "STREAMS",
          STREAM,
          ">",
        );
        const entries = (read as Entries)[0]![1];
        const acks = redis.pipeline();
        for (const [id, [, text]] of entries) {
          await hear(JSON.parse(text!) as Order);
          acks.xack(STREAM, GROUP, id);
        }
        await acks.exec();
        left -= entries.length;
      }
    },
  };
}
