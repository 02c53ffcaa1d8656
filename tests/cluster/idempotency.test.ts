/** Commands that come again, on whichever node they come. */

import { expect, test } from "bun:test";
import { command, createMediator, handle, type } from "@catga/catga";
import { joinCluster } from "@catga/catga/cluster";
import { http } from "@catga/catga/http";
import { memory } from "@catga/catga/memory";

const Pay = command("pay", {
  input: type<{ readonly order: string; readonly amount: number }>(),
  output: type<string>(),
  idempotency: { key: ({ order }) => order },
});

test("happen once, wherever they come, and all get the first answer", async () => {
  const backend = memory();
  const handled: string[] = [];
  const join = (node: string) =>
    joinCluster(
      createMediator({
        handlers: [handle(Pay, async ({ order }) => {
          handled.push(order);
          await new Promise((resolve) => setTimeout(resolve, 5));
          return `${order} by ${node}`;
        })],
      }),
      { node, endpoint: `memory:${node}`, backend, timing: { heartbeat: 20, timeout: 200 } },
    );
  const nodes = [await join("a"), await join("b")];
  const sent = Array.from(
    { length: 60 },
    (_, at) => nodes[at % 2]!.send(Pay({ order: `o${at % 3}`, amount: 1 })),
  );
  const answers = new Map(["o0", "o1", "o2"].map((order) => [order, new Set<string>()]));
  for (const result of await Promise.all(sent)) {
    if (!result.ok) throw new Error(result.error.message);
    answers.get(result.value.slice(0, 2))!.add(result.value);
  }
  expect(handled.toSorted()).toEqual(["o0", "o1", "o2"]);
  expect([...answers.values()].map((those) => those.size)).toEqual([1, 1, 1]);
  const other = await nodes[0]!.send(Pay({ order: "o1", amount: 2 }));
  expect(other).toMatchObject({ error: { code: "CONFLICT", data: { reason: "IDEMPOTENCY_MISMATCH" } } });
  for (const node of nodes) await node.leave();
});

test("of a handler are not taken for the command that it handles", async () => {
  const backend = memory();
  const Buy = command("buy", { input: type<void>(), output: type<readonly string[]>(), idempotency: {} });
  const pays = createMediator({ handlers: [handle(Pay, ({ order }) => order)] });
  const buys = createMediator({
    handlers: [handle(Buy, async (_body, context) => {
      const results = [
        await context.send(Pay({ order: "1", amount: 1 })),
        await context.send(Pay({ order: "2", amount: 1 })),
      ];
      return results.map((result) => result.ok ? result.value : result.error.message);
    })],
  });
  const timing = { heartbeat: 20, timeout: 200 };
  const a = await joinCluster(buys, { node: "a", endpoint: "memory:a", backend, timing });
  const b = await joinCluster(pays, { node: "b", endpoint: "memory:b", backend, timing });
  expect(await a.send(Buy(), { headers: { "idempotency-key": "k" } })).toMatchObject({ value: ["1", "2"] });
  await a.leave();
  await b.leave();
});

test("are refused by name where nothing keeps their answers", async () => {
  const app = createMediator({ handlers: [handle(Pay, () => "")] });
  const refused = await joinCluster(app, {
    node: "a",
    endpoint: "http://127.0.0.1:1",
    backend: http({ peers: [] }),
  })
    .catch((thrown) => thrown);
  expect(refused).toMatchObject({ code: "CONFLICT" });
  expect(String(refused.message)).toContain('"pay" has idempotency');
});
