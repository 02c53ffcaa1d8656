/** Commands that wait until a node is there that serves them. */

import { describe, expect, test } from "bun:test";
import { command, createMediator, fail, handle, type Module, on, reliableEvent, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { deadLetters, records, startRelay } from "@catga/catga/durable";
import { http } from "@catga/catga/http";
import { memory, memoryStorage } from "@catga/catga/memory";
import { systemRuntime, withStorage } from "@catga/catga/ports";

const runtime = { ...systemRuntime(), log: () => {} };
const Mail = command("mail", {
  input: type<string>(),
  output: type<void>(),
  errors: { NO_SUCH_BOX: type<void>() },
  idempotency: {},
});
const Plain = command("plain", { input: type<string>(), output: type<void>() });

describe("a command that is enqueued", () => {
  test("waits for a node that serves it, and happens once", async () => {
    const storage = memoryStorage();
    const shop = await join("shop", storage, []);
    expect(await shop.enqueue(Mail("a"), { id: "mail-a", headers: { tenant: "t" } })).toMatchObject({
      ok: true,
    });
    expect(await shop.enqueue(Mail("a"), { id: "mail-a" })).toMatchObject({ ok: true });
    const sent: unknown[] = [];
    const posts = await join("post", storage, [
      handle(Mail, (body, { id, headers }) => void sent.push([body, id, headers])),
    ]);
    await until(() => sent.length === 1);
    expect(await shop.enqueue(Mail("b"))).toMatchObject({ ok: true });
    await until(() => sent.length === 2);
    expect(sent[0]).toEqual(["a", "mail-a", { tenant: "t", "idempotency-key": "mail-a" }]);
    await Promise.all([shop.leave(), posts.leave()]);
  });

  test("is kept back as long as it should be", async () => {
    const storage = memoryStorage();
    const sent: string[] = [];
    const node = await join("a", storage, [handle(Mail, (body) => void sent.push(body))]);
    await node.enqueue(Mail("late"), { delay: 80 });
    await node.enqueue(Mail("soon"));
    await until(() => sent.length === 2);
    expect(sent).toEqual(["soon", "late"]);
    await node.leave();
  });

  test("is handled where its declared failure is its answer, and a dead letter where it cannot be read", async () => {
    const storage = memoryStorage();
    let handled = 0;
    const serve = handle(Mail, () => {
      handled++;
      return fail("NO_SUCH_BOX");
    });
    const node = await join("a", storage, [serve]);
    await node.enqueue(Mail("a"));
    await until(() => node.inspect().deliveries[0]!.handled === 1);
    expect(handled).toBe(1);
    await storage.queue.push("commands/mail", [{ id: "odd", payload: "{" }]);
    await until(() => node.inspect().deliveries[0]!.buried === 1);
    const { letters } = await deadLetters(storage.store, { runtime }).list();
    expect(letters).toMatchObject([{
      topic: "commands/mail",
      group: "commands",
      id: "odd",
      code: "SERIALIZATION",
    }]);
    await node.leave();
  });

  test("comes from a record's outbox, with the change that wants it", async () => {
    const storage = memoryStorage();
    const store = storage.store;
    const sent: string[] = [];
    const Paid = reliableEvent("paid", { data: type<string>(), delivery: { qos: 2 } });
    const orders = records<string>("orders", { store, runtime, unsafe: true });
    const node = await join("a", storage, [
      handle(Mail, (body) => void sent.push(body)),
      on(Paid, async (order, context) => {
        await orders.update(order, (_state, tx) => {
          tx.enqueue(Mail(order));
          return "paid";
        }, { context });
      }, { name: "orders" }),
    ]);
    await using _relay = startRelay({ store, queue: storage.queue, runtime, owner: "a", unsafe: true });
    await node.publish(Paid("7"));
    await until(() => sent.length === 1);
    expect(sent).toEqual(["7"]);
    await node.leave();
  });

  test("is refused where it could happen twice, and where nothing keeps it", async () => {
    const node = await join("a", memoryStorage(), []);
    expect(await node.enqueue(Plain("x"))).toMatchObject({ error: { code: "VALIDATION" } });
    await node.leave();
    expect(await node.enqueue(Mail("x"))).toMatchObject({ error: { code: "UNAVAILABLE" } });
    const app = createMediator({ handlers: [], runtime });
    const keepsNothing = await joinCluster(app, {
      node: "b",
      endpoint: "http://127.0.0.1:1",
      backend: {
        ...http({ peers: [] }),
        open: (host) => ({ ...memory().open(host), queue: undefined as never }),
      },
    });
    expect(await keepsNothing.enqueue(Mail("x"))).toMatchObject({ error: { code: "UNAVAILABLE" } });
    await keepsNothing.leave();
  });
});

function join(node: string, storage: ReturnType<typeof memoryStorage>, handlers: Module): Promise<Node> {
  return joinCluster(createMediator({ handlers, runtime }), {
    node,
    endpoint: `memory:${node}`,
    backend: withStorage(memory(), storage),
    timing: { heartbeat: 20, timeout: 100 },
    service: "shop",
    unsafe: true,
  });
}

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`it did not come to that: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
