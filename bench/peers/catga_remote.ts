/** This library between two processes: two nodes of a cluster over HTTP. */
import { command, createMediator, handle, type Module, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { http } from "@catga/catga/http";
import { processRuntime, serve as listen } from "@catga/catga/serve";
import { accept, type Order, type Receipt, type Remote } from "../harness/order.ts";

const PlaceOrder = command("orders.place", { input: type<Order>(), output: type<Receipt>() });

interface Place {
  readonly node: string;
  readonly port: number;
  readonly seeds: readonly number[];
  readonly handlers: Module;
  readonly secret: string | undefined;
}

async function join({ node, port, seeds, handlers, secret }: Place): Promise<Node> {
  const endpoint = `http://127.0.0.1:${port}`;
  const peers = seeds.map((seed) => `http://127.0.0.1:${seed}`);
  const backend = http(secret === undefined ? { peers } : { peers, secret });
  const runtime = processRuntime();
  await listen(backend.fetch, { port, runtime });
  return await joinCluster(createMediator({ handlers, runtime }), { node, endpoint, backend });
}

function remote(secret: string | undefined): Remote {
  return {
    serve: (port) =>
      join({ node: "server", port, seeds: [], handlers: [handle(PlaceOrder, accept)], secret }),
    connect: async (port) => {
      const node = await join({ node: "client", port: port + 1, seeds: [port], handlers: [], secret });
      while (!node.members().some((member) => member.id === "server")) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return async (order) => {
        const result = await node.send(PlaceOrder(order));
        if (result.ok) return result.value;
        throw new Error(result.error.message);
      };
    },
  };
}

export const plain: Remote = remote(undefined);
/** Each frame with its HMAC. */
export const signed: Remote = remote("a secret of both nodes, long enough");
