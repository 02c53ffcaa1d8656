// deno-lint-ignore-file no-explicit-any
/** moleculer between two processes: over its TCP transporter, members given, and over NATS. */
import type { Events } from "../harness/events.ts";
import { accept, type Order, type Remote } from "../harness/order.ts";
import { start } from "./moleculer.ts";

type Transporter = (self: "server" | "client", port: number) => object;

function remote(transporter: Transporter): Remote {
  const place = (context: any) => accept(context.params as Order);
  return {
    serve: (port) => start([{ name: "orders", actions: { place } }], transporter("server", port)),
    connect: async (port) => {
      const broker = await start([], transporter("client", port));
      await broker.waitForServices("orders", 15_000, 50);
      return (order) => broker.call("orders.place", order);
    },
  };
}

export const tcp: Remote = remote((self, port) => {
  const urls = [`127.0.0.1:${port}/server`, `127.0.0.1:${port + 1}/client`];
  return { nodeID: self, transporter: { type: "TCP", options: { udpDiscovery: false, urls } } };
});

const overNats: Transporter = (self, port) => ({ nodeID: self, transporter: `nats://127.0.0.1:${port}` });

export const nats: Remote = remote(overNats);

export const natsEvents: Events = {
  hear: (port, heard) => {
    const placed = (context: any): void => heard(context.params as Order);
    return start([{ name: "orders", events: { "orders.placed": placed } }], overNats("server", port));
  },
  connect: async (port) => {
    const broker = await start([], overNats("client", port));
    await broker.waitForServices("orders", 15_000, 50);
    return (orders) => {
      for (const order of orders) broker.emit("orders.placed", order);
    };
  },
};
