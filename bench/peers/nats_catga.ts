/** This library over NATS: nodes that call each other, tell events, and keep reliable ones. */
import { command, createMediator, event, handle, type Module, on, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { nats, type NatsBackend } from "@catga/catga/nats";
import type { Frame, Queue } from "@catga/catga/ports";
import { processRuntime } from "@catga/catga/serve";
import { connect } from "@nats-io/transport-node";
import type { Events } from "../harness/events.ts";
import type { Jobs, Place } from "../harness/jobs.ts";
import { accept, type Order, type Receipt, type Remote } from "../harness/order.ts";
import { eventJobsOf, queueJobsOf } from "./queue_jobs.ts";

const PlaceOrder = command("orders.place", { input: type<Order>(), output: type<Receipt>() });
const Heard = event("orders.heard", { data: type<Order>() });

const runtime = processRuntime();

/** Over TCP by the same client library as the others. */
function backendAt(port: number): Promise<NatsBackend> {
  return nats(`nats://127.0.0.1:${port}`, { connect, runtime });
}

async function join(port: number, node: string, handlers: Module): Promise<Node> {
  const backend = await backendAt(port);
  return await joinCluster(createMediator({ handlers, runtime }), { node, endpoint: node, backend });
}

/** The node of the process that asks, when it knows the one that serves. */
async function joinClient(port: number): Promise<Node> {
  const node = await join(port, "client", []);
  while (!node.members().some((member) => member.id === "server")) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return node;
}

export const calls: Remote = {
  serve: (port) => join(port, "server", [handle(PlaceOrder, accept)]),
  connect: async (port) => {
    const node = await joinClient(port);
    return async (order) => {
      const result = await node.send(PlaceOrder(order));
      if (result.ok) return result.value;
      throw new Error(result.error.message);
    };
  },
};

/** What carries the frames of nodes, without nodes: one text there, one back. */
export const transport: Remote = {
  serve: async (port) => {
    const self = { id: "server", endpoint: "server" };
    const { transport } = (await backendAt(port)).open({ self, runtime });
    return await transport.serve(self, async (frame, reply) => {
      await reply(JSON.stringify(await accept(JSON.parse(frame as string) as Order)));
    });
  },
  connect: async (port) => {
    const self = { id: "client", endpoint: "client" };
    const to = { id: "server", endpoint: "server" };
    const { transport } = (await backendAt(port)).open({ self, runtime });
    return (order) =>
      new Promise((resolve, reject) => {
        const take = (frame: Frame): void => resolve(JSON.parse(frame as string) as Receipt);
        transport.exchange(to, JSON.stringify(order), take).catch(reject);
      });
  },
};

function events(tell: (node: Node, orders: readonly Order[]) => Promise<unknown>): Events {
  return {
    hear: (port, heard) => join(port, "server", [on(Heard, (order) => heard(order))]),
    connect: async (port) => {
      const node = await joinClient(port);
      return (orders) => tell(node, orders);
    },
  };
}

/** The next is told when the last one is on its way. */
export const oneByOne: Events = events(async (node, orders) => {
  for (const order of orders) await node.publish(Heard(order));
});

export const inOneTurn: Events = events((node, orders) =>
  node.publishAll(orders.map((order) => Heard(order)), { concurrency: orders.length })
);

function queueOf({ queue }: NatsBackend): Queue {
  if (queue === undefined) throw new Error("nats() has no queue");
  return queue;
}

/** The queue, by its port. */
export async function queueJobs({ port }: Place): Promise<Jobs> {
  return await queueJobsOf(queueOf(await backendAt(port)));
}

/** Reliable events of a node that publishes and one that hears them, on one connection as in a process that does both. */
export async function eventJobs({ port }: Place): Promise<Jobs> {
  const backend = await backendAt(port);
  return await eventJobsOf(() => backend, queueOf(backend), runtime);
}
