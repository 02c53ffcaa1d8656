/** Jobs on whatever keeps things: by the `Queue` port, and as reliable events of nodes. */
import { createMediator, type Module, on, reliableEvent, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import type { Backend, Delivery, Queue, Runtime } from "@catga/catga/ports";
import type { Jobs } from "../harness/jobs.ts";
import type { Order } from "../harness/order.ts";

const TOPIC = "orders";
const GROUP = "billing";

const Placed = reliableEvent("orders.placed", { data: type<Order>() });

export async function queueJobsOf(queue: Queue): Promise<Jobs> {
  await queue.subscribe(TOPIC, GROUP);
  let last = 0;
  const item = (order: Order) => ({ id: `order-${last++}`, payload: JSON.stringify(order) });
  return {
    push: (order) => queue.push(TOPIC, [item(order)]),
    pushAll: (orders) => queue.push(TOPIC, orders.map(item)),
    kept: async () => (await queue.backlog(TOPIC, GROUP)).items,
    take: async (count, concurrency, hear) => {
      const working = new Set<Promise<void>>();
      let left = count;
      const work = async (delivery: Delivery): Promise<void> => {
        await hear(JSON.parse(delivery.payload as string) as Order);
        await delivery.ack();
      };
      while (left > 0) {
        if (working.size >= concurrency) await Promise.race(working);
        const max = Math.min(left, concurrency - working.size);
        for (const delivery of await queue.pull(TOPIC, GROUP, { max, lease: 30_000, wait: 1000 })) {
          left--;
          const done = work(delivery).finally(() => working.delete(done));
          working.add(done);
        }
      }
      await Promise.all(working);
    },
  };
}

/** `open` is asked once for each node. */
export async function eventJobsOf(
  open: () => Backend | Promise<Backend>,
  queue: Queue,
  runtime: Runtime,
): Promise<Jobs> {
  const enter = async (node: string, handlers: Module, concurrency: number): Promise<Node> =>
    await joinCluster(createMediator({ handlers, runtime }), {
      node,
      endpoint: node,
      backend: await open(),
      service: GROUP,
      deliveries: { concurrency },
    });
  const hearing = (hear: (order: Order) => Promise<void>, concurrency: number): Promise<Node> =>
    enter("hearing", [on(Placed, hear, { name: "bill" })], concurrency);
  // Whoever hears it has to have been there once, or nothing is kept for it.
  await (await hearing(() => Promise.resolve(), 1)).leave();
  const publisher = await enter("publisher", [], 1);
  return {
    push: async (order) => {
      const told = await publisher.publish(Placed(order));
      if (!told.ok) throw new Error(told.error.message);
    },
    pushAll: async (orders) => {
      const all = orders.map((order) => Placed(order));
      const told = await publisher.publishAll(all, { concurrency: orders.length });
      const failed = told.find(({ ok }) => !ok);
      if (failed?.ok === false) throw new Error(failed.error.message);
    },
    kept: async () => (await queue.backlog(Placed.type, `${GROUP}/bill`)).items,
    take: async (count, concurrency, hear) => {
      const node = await hearing(hear, concurrency);
      const handled = (): number => node.inspect().deliveries.reduce((sum, each) => sum + each.handled, 0);
      while (handled() < count) await new Promise((resolve) => setTimeout(resolve, 1));
      await node.leave();
    },
  };
}
