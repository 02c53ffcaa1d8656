/** What a node does by itself about keys that take more than their share of its calls. */

import { describe, expect, test } from "bun:test";
import { createMediator, handle, query, type, unwrap } from "@catga/catga";
import {
  type ClusterEvent,
  consistentHash,
  type HotKeyResponse,
  joinCluster,
  type Node,
} from "@catga/catga/cluster";
import { memory } from "@catga/catga/memory";
import { until } from "./support.ts";

const Price = query("price", {
  input: type<{ readonly sku: string }>(),
  output: type<{ readonly node: string }>(),
  key: ({ sku }) => sku,
});

/** Three nodes that answer slowly, and one that asks. */
async function shop(respond: HotKeyResponse) {
  const backend = memory();
  const timing = { heartbeat: 40, timeout: 1000 };
  let handled = 0;
  const servers = await Promise.all(["a", "b", "c"].map((name) => {
    const serve = handle(Price, async () => {
      handled++;
      await new Promise((resolve) => setTimeout(resolve, 2));
      return { node: name };
    });
    const app = createMediator({ handlers: [serve] });
    return joinCluster(app, { node: name, endpoint: `memory:${name}`, backend, timing });
  }));
  const caller = await joinCluster(createMediator({ handlers: [] }), {
    node: "z",
    endpoint: "memory:z",
    backend,
    timing,
    router: consistentHash(),
    hotKeys: { rate: 20, share: 0.5, respond },
  });
  await until(() => caller.members().length === 4);
  return { nodes: [...servers, caller], caller, handled: () => handled };
}

/** Who answers many calls at once. */
async function ask(caller: Node, sku: string, calls: number): Promise<Set<string>> {
  const results = await caller.sendAll(Array.from({ length: calls }, () => Price({ sku })));
  return new Set(results.map((result) => unwrap(result).node));
}

async function hot(caller: Node): Promise<void> {
  await until(() => caller.inspect().hotKeys.some(({ key }) => key === "hot"));
}

describe("a hot key", () => {
  test("is split over the first of its owners, and over no more", async () => {
    const { nodes, caller } = await shop({ type: "split", owners: 2 });
    const events: ClusterEvent[] = [];
    void (async () => {
      for await (const view of caller.watch()) events.push(...view.events);
    })();
    expect((await ask(caller, "hot", 10)).size).toBe(1);
    await ask(caller, "hot", 200);
    await hot(caller);
    expect((await ask(caller, "hot", 50)).size).toBe(2);
    expect((await ask(caller, "cold", 20)).size).toBe(1);
    await until(() => events.some((event) => event.type === "hotKey" && event.key === "hot"));
    await Promise.all(nodes.map((node) => node.leave()));
  });

  test("is answered from what the asking node keeps, though its contract keeps nothing", async () => {
    const { nodes, caller, handled } = await shop({ type: "cache", ttl: 60_000 });
    await ask(caller, "hot", 200);
    await hot(caller);
    await ask(caller, "hot", 1);
    const before = handled();
    await ask(caller, "hot", 100);
    expect(handled()).toBe(before);
    await ask(caller, "cold", 3);
    expect(handled()).toBe(before + 3);
    await Promise.all(nodes.map((node) => node.leave()));
  });
});
