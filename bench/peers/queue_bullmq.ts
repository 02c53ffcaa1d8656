/** BullMQ on Redis, with a connection for what is put in and one for what is taken. */
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import type { Jobs, Place } from "../harness/jobs.ts";
import type { Order } from "../harness/order.ts";

const NAME = "orders";

export async function bullJobs({ port }: Place): Promise<Jobs> {
  const connect = (): Redis => new Redis({ port, host: "127.0.0.1", maxRetriesPerRequest: null });
  const queue = new Queue<Order>(NAME, {
    connection: connect(),
    defaultJobOptions: { removeOnComplete: true },
  });
  await queue.waitUntilReady();
  return {
    push: (order) => queue.add("placed", order),
    pushAll: (orders) => queue.addBulk(orders.map((data) => ({ name: "placed", data }))),
    kept: () => queue.getWaitingCount(),
    take: async (count, concurrency, hear) => {
      const worker = new Worker<Order>(NAME, (job) => hear(job.data), { connection: connect(), concurrency });
      let done = 0;
      await new Promise<void>((resolve, reject) => {
        worker.on("completed", () => ++done === count && resolve());
        worker.on("failed", (_job, error) => reject(error));
        worker.on("error", reject);
      });
      await worker.close();
    },
  };
}
