// deno-lint-ignore-file no-explicit-any
/** moleculer between two processes over its TCP transporter, members given. */
import { accept, type AskFor, type Order } from "../harness/order.ts";
import { start } from "./moleculer.ts";

function transporter(self: "server" | "client", port: number): object {
  const urls = [`127.0.0.1:${port}/server`, `127.0.0.1:${port + 1}/client`];
  return { nodeID: self, transporter: { type: "TCP", options: { udpDiscovery: false, urls } } };
}

export function serve(port: number): Promise<unknown> {
  const ping = (context: any) => accept(context.params as Order);
  return start([{ name: "orders", actions: { place: ping } }], transporter("server", port));
}

export async function connect(port: number): Promise<AskFor> {
  const broker = await start([], transporter("client", port));
  await broker.waitForServices("orders", 15_000, 50);
  return (order) => broker.call("orders.place", order);
}
