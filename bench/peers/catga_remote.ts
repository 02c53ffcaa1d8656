/** This library between two processes: two nodes of a cluster over HTTP. */
import { command, createMediator, handle, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { http } from "@catga/catga/http";
import { serve as listen } from "@catga/catga/serve";
import {
  accept,
  type AskFor,
  type Order,
  type Receipt,
} from "../harness/order.ts";

const Place = command("orders.place", {
  input: type<Order>(),
  output: type<Receipt>(),
});

async function join(
  node: string,
  port: number,
  seeds: readonly number[],
  serves: boolean,
): Promise<Node> {
  const endpoint = `http://127.0.0.1:${port}`;
  const backend = http({
    peers: seeds.map((seed) => `http://127.0.0.1:${seed}`),
  });
  const app = createMediator({
    handlers: serves ? [handle(Place, accept)] : [],
  });
  const joined = await joinCluster(app, { node, endpoint, backend });
  await listen(backend.fetch, { port });
  return joined;
}

export function serve(port: number): Promise<Node> {
  return join("server", port, [], true);
}

export async function connect(port: number): Promise<AskFor> {
  const node = await join("client", port + 1, [port], false);
  while (!node.members().some((member) => member.id === "server")) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return async (order) => {
    const result = await node.send(Place(order));
    if (result.ok) return result.value;
    throw new Error(result.error.message);
  };
}
