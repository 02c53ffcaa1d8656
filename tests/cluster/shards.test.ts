/** Who owns the shards of a contract, and what happens to calls when they move. */

import { describe, expect, test } from "bun:test";
import { command, createMediator, handle, type OwnedShard, query, type, unwrap } from "@catga/catga";
import { type ClusterOptions, joinCluster, type Node } from "@catga/catga/cluster";
import { memory } from "@catga/catga/memory";
import type { Backend } from "@catga/catga/ports";
import { rendezvous } from "../../src/cluster/rendezvous.ts";
import { until } from "./support.ts";

const COUNT = 32;
const shard = { key: ({ cart }: { cart: string }) => cart, count: COUNT, group: "carts" };
const Add = command("cart.add", {
  input: type<{ cart: string; ms?: number }>(),
  output: type<{ readonly node: string; readonly shard: OwnedShard }>(),
  shard,
});
const Get = query("cart.get", { input: type<{ cart: string }>(), output: type<string>(), shard });

/** A backend that keeps nothing. */
function storeless(backend: Backend): Backend {
  return {
    ...backend,
    open: (host) => {
      const { store: _store, ...parts } = backend.open(host);
      return parts;
    },
  };
}

function join(name: string, backend: Backend, options: Partial<ClusterOptions> = {}): Promise<Node> {
  const app = createMediator({
    handlers: [
      handle(Add, async ({ ms = 0 }, context) => {
        const { group, index, token } = context.shard!;
        if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
        return { node: name, shard: { group, index, token } };
      }),
      handle(Get, () => name),
    ],
  });
  return joinCluster(app, {
    node: name,
    endpoint: `memory:${name}`,
    backend,
    timing: { heartbeat: 40, timeout: 2000 },
    ...options,
  });
}

/** Whether all shards are where they should be, all nodes know it, and the owners have them. */
function settled(nodes: readonly Node[]): boolean {
  const { owner } = rendezvous(nodes.map(({ id }) => ({ id })));
  const held = nodes.flatMap((node) => node.inspect().shards.filter(({ here }) => here === "owned"));
  return held.length === COUNT &&
    nodes.every((node) =>
      node.inspect().shards.every((shard) => shard.owner === owner(`${shard.group}/${shard.index}`))
    );
}

const keys = Array.from({ length: 200 }, (_, n) => `cart-${n}`);

describe.each([
  ["by lease", memory],
  ["by the view alone", () => storeless(memory())],
])("shards owned %s", (_name, make) => {
  test("send each key to one node, the same for all contracts of the group and from every node", async () => {
    const backend = make();
    const nodes = await Promise.all(["a", "b", "c"].map((name) => join(name, backend)));
    await until(() => settled(nodes));
    const owners = new Map<string, string>();
    for (const cart of keys) {
      const results = await Promise.all(nodes.map((node) => node.send(Add({ cart }))));
      const reads = await Promise.all(nodes.map((node) => node.send(Get({ cart }))));
      const names = new Set([
        ...results.map((result) => unwrap(result).node),
        ...reads.map((read) => unwrap(read)),
      ]);
      expect(names.size).toBe(1);
      owners.set(cart, [...names][0]!);
    }
    expect(new Set(owners.values()).size).toBe(3);
    for (const cart of keys.slice(0, 5)) {
      const { routedBy, node, shard } = nodes[0]!.explain(Get({ cart }));
      expect([routedBy, node, shard?.owner]).toEqual(["shard", owners.get(cart), owners.get(cart)]);
    }
    await Promise.all(nodes.map((node) => node.leave()));
  });

  test("move to a node that joins and away from one that leaves, and no call fails meanwhile", async () => {
    const backend = make();
    const nodes = [await join("a", backend), await join("b", backend)];
    await until(() => settled(nodes));
    const before = new Map(nodes[0]!.inspect().shards.map(({ index, owner }) => [index, owner]));
    const failures: string[] = [];
    let running = true;
    const load = Promise.all([0, 1, 2, 3].map(async (n) => {
      for (let i = n; running; i++) {
        const result = await nodes[i % 2]!.send(Add({ cart: keys[i % keys.length]!, ms: i % 3 }));
        if (!result.ok) failures.push(result.error.message);
      }
    }));
    nodes.push(await join("c", backend));
    await until(() => settled(nodes));
    const after = nodes[2]!.inspect().shards;
    for (const { index, owner } of after) {
      // Only what the new node got has moved.
      if (owner !== "c") expect(owner).toBe(before.get(index)!);
    }
    await nodes.pop()!.leave();
    await until(() => settled(nodes));
    running = false;
    await load;
    expect(failures).toEqual([]);
    await Promise.all(nodes.map((node) => node.leave()));
  });
});

test("a key that throws fails its call alone, and the contracts of a group count alike", async () => {
  const Bad = command("bad", {
    input: type<void>(),
    output: type<void>(),
    shard: {
      count: 4,
      key: () => {
        throw new Error("no key");
      },
    },
  });
  const app = createMediator({ handlers: [handle(Bad, () => {})] });
  const node = await joinCluster(app, { node: "a", endpoint: "memory:a", backend: memory() });
  expect(await node.send(Bad())).toMatchObject({ ok: false, error: { code: "INTERNAL" } });
  await node.leave();

  const text = { input: type<string>(), output: type<string>() };
  const key = (body: string): string => body;
  const One = query("one", { ...text, shard: { key, count: 4, group: "g" } });
  const Two = query("two", { ...text, shard: { key, count: 5, group: "g" } });
  const both = createMediator({ handlers: [handle(One, (body) => body), handle(Two, (body) => body)] });
  const joined = joinCluster(both, { node: "b", endpoint: "memory:b", backend: memory() });
  expect(joined).rejects.toThrow('"two" has 5 shards');
});
