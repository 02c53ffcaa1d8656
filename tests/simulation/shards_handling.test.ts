import { expect, test } from "bun:test";
import { command, createMediator, handle, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { simulate, simulatedStore } from "@catga/catga/testing";
import { drain } from "./drain.ts";

test("a handler that outlives its timeout keeps its shard, with no layer around it as well", async () => {
  const Slow = command("slow", {
    input: type<string>(),
    output: type<string>(),
    shard: { key: (body) => body, count: 1 },
    timeout: 400,
  });
  await simulate({ seed: 12, ...(drain === undefined ? {} : { drain }) }, async (simulation) => {
    const network = simulation.network();
    const store = simulatedStore(simulation);
    const nodes = new Map<string, Node>();
    const began: string[] = [];
    let ended = 0;
    for (const name of ["a", "b"]) {
      const runtime = simulation.runtime(name);
      const handler = async (body: string): Promise<string> => {
        began.push(`${name} ${body} after ${ended}`);
        if (name === "a") await new Promise<void>((resolve) => void runtime.clock.timer(1500, resolve));
        ended++;
        return name;
      };
      void joinCluster(createMediator({ runtime, handlers: [handle(Slow, handler)] }), {
        node: name,
        endpoint: `sim:${name}`,
        backend: {
          ...network.backend,
          open: (host) => ({ ...network.backend.open(host), store: store.open(host.runtime) }),
        },
        timing: "fast",
        drain: 3000,
      }).then((node) => nodes.set(name, node));
      await simulation.until(() => nodes.get(name)?.inspect().shards[0]?.owner === "a", 5000);
    }
    void nodes.get("a")!.send(Slow("first"));
    await simulation.run(500);
    void nodes.get("a")!.leave();
    await simulation.run(50);
    let result = "";
    while (result !== "b") {
      const sent = nodes.get("b")!.send(Slow("second"));
      void sent.then((answer) => result = answer.ok ? answer.value : "");
      await simulation.run(450);
    }
    expect(began).toEqual(["a first after 0", "b second after 1"]);
  });
});

test("no handler begins after its shard has gone, while its body was checked", async () => {
  let check = (): void => {};
  const Checked = command("checked", {
    input: {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value: unknown) =>
          new Promise<{ value: string }>((resolve) => check = () => resolve({ value: value as string })),
      },
    } as never,
    output: type<string>(),
    shard: { key: (body: string) => body, count: 1 },
  });
  await simulate({ seed: 13, ...(drain === undefined ? {} : { drain }) }, async (simulation) => {
    const network = simulation.network();
    const store = simulatedStore(simulation);
    const runtime = simulation.runtime("a");
    let handled = 0;
    let node: Node | undefined;
    void joinCluster(createMediator({ runtime, handlers: [handle(Checked, () => String(handled++))] }), {
      node: "a",
      endpoint: "sim:a",
      backend: {
        ...network.backend,
        open: (host) => ({ ...network.backend.open(host), store: store.open(host.runtime) }),
      },
      timing: "fast",
    }).then((joined) => node = joined);
    await simulation.until(() => node?.inspect().shards[0]?.here === "owned", 5000);
    void node!.send(Checked("x" as never));
    await simulation.run(10);
    store.cut("a");
    await simulation.run(2000);
    check();
    await simulation.run(10);
    expect(handled).toBe(0);
  });
});
