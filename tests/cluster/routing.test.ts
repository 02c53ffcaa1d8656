import { describe, expect, test } from "bun:test";
import {
  command,
  createMediator,
  handle,
  on,
  query,
  reliableEvent,
  type Router,
  stream,
  type,
  unwrap,
} from "@catga/catga";
import { joinCluster, localFirst, roundRobin } from "@catga/catga/cluster";
import { memory } from "@catga/catga/memory";
import {
  Break,
  cluster,
  Count,
  end,
  Hang,
  Happened,
  kindOf,
  probe,
  Relay,
  tampered,
  Trace,
  until,
  Who,
} from "./support.ts";

describe("routing", () => {
  test("round robin gives every node the same share, this one included", async () => {
    const probes = await cluster(["a", "b", "c"]);
    const results = await probes[0]!.node.sendAll(Array.from({ length: 30 }, () => Who({})));
    const counts = new Map<string, number>();
    for (const result of results) counts.set(unwrap(result), (counts.get(unwrap(result)) ?? 0) + 1);
    expect(Object.fromEntries(counts)).toEqual({ a: 10, b: 10, c: 10 });
    await end(probes);
  });

  test("local first stays on the node", async () => {
    const backend = memory();
    const a = await probe("a", backend, { router: localFirst() });
    const b = await probe("b", backend);
    for (let n = 0; n < 5; n++) expect(unwrap(await a.node.send(Who({})))).toBe("a");
    await end([a, b]);
  });

  test("a contract's own router is asked before the node's", async () => {
    const ToLast = query("to.last", {
      input: type<void>(),
      output: type<string>(),
      route: (_call, candidates) => candidates.at(-1),
    });
    const backend = memory();
    const join = (node: string) =>
      joinCluster(createMediator({ handlers: [handle(ToLast, () => node)] }), {
        node,
        endpoint: `memory:${node}`,
        backend,
        timing: "fast",
      });
    const nodes = [await join("a"), await join("b")];
    await until(() => nodes[0]!.members().some((member) => member.id === "b" && member.status === "ready"));
    for (let n = 0; n < 3; n++) expect(unwrap(await nodes[0]!.send(ToLast()))).toBe("b");
    for (const node of nodes) await node.leave();
  });

  test("a key that throws fails the call or the stream, and nothing is thrown at once", async () => {
    const key = (): string => {
      throw new Error("no key");
    };
    const Keyed = query("keyed", { input: type<void>(), output: type<string>(), key });
    const Each = stream("each", { input: type<void>(), output: type<string>(), key });
    const app = createMediator({ handlers: [handle(Keyed, () => "x"), handle(Each, async function* () {})] });
    const node = await joinCluster(app, { node: "a", endpoint: "memory:a", backend: memory() });
    expect(await node.send(Keyed())).toMatchObject({ ok: false, error: { code: "INTERNAL" } });
    const first = node.stream(Each())[Symbol.asyncIterator]().next();
    expect(await first.catch((thrown: unknown) => thrown)).toMatchObject({ code: "INTERNAL" });
    await node.leave();
  });

  test("a send may say where it goes, whatever the contract and the node say", async () => {
    const probes = await cluster(["a", "b", "c"]);
    const [a] = probes;
    const route: Router = (_call, targets) => targets.at(-1);
    for (let n = 0; n < 3; n++) expect(unwrap(await a!.node.send(Who({}), { route }))).toBe("c");
    const missing = await a!.node.send(Who({}), { route: () => undefined });
    expect(missing).toMatchObject({ ok: false, error: { code: "UNAVAILABLE" } });
    await end(probes);
  });

  test("a broadcast asks every node once, and tells one that fails from those that answer", async () => {
    const probes = await cluster(["a", "b", "c"]);
    const answers = await probes[1]!.node.broadcast(Who({}));
    expect(answers.map(({ node, result }) => [node, unwrap(result)])).toEqual([["a", "a"], ["b", "b"], [
      "c",
      "c",
    ]]);
    const failed = await probes[1]!.node.broadcast(Break("fail"));
    expect(failed.map(({ node, result }) => [node, result.ok ? "" : result.error.data])).toEqual(
      ["a", "b", "c"].map((node) => [node, { node }]),
    );
    const hanging = await probes[0]!.node.broadcast(Hang(), { timeout: 50 });
    expect(hanging.map(({ node, result }) => [node, result.ok ? "" : result.error.code])).toEqual(
      ["a", "b", "c"].map((node) => [node, "TIMEOUT"]),
    );
    await end(probes);
  });

  test("a broadcast leaves out what many instances stand behind, and is empty where nobody serves it", async () => {
    const backend = memory();
    const a = await probe("a", backend);
    const b = await probe("b", backend, { kind: "service" });
    await until(() => a.node.members().filter(({ status }) => status === "ready").length === 2);
    expect((await a.node.broadcast(Who({}))).map(({ node }) => node)).toEqual(["a"]);
    const Nobody = query("nobody", { input: type<void>(), output: type<void>() });
    expect(await a.node.broadcast(Nobody())).toEqual([]);
    await end([a, b]);
  });

  test("a message that is only explained goes nowhere and takes nobody's turn", async () => {
    const probes = await cluster(["a", "b", "c"]);
    const { node } = probes[0]!;
    expect(node.explain(Who({}))).toEqual({
      type: "who",
      key: undefined,
      routedBy: "node",
      shard: undefined,
      node: "a",
      candidates: ["a", "b", "c"],
      leftOut: [],
    });
    for (const name of ["a", "b", "c"]) {
      expect([node.explain(Who({})).node, unwrap(await node.send(Who({})))]).toEqual([name, name]);
    }
    const route: Router = (_call, targets) => targets.at(-1);
    expect(node.explain(Who({}), { route })).toMatchObject({ routedBy: "send", node: "c" });
    expect(probes.map(({ handled }) => handled())).toEqual([1, 1, 1]);
    await end(probes);
  });

  test("an inspection is plain data that tells of everybody", async () => {
    const probes = await cluster(["a", "b"]);
    const { node } = probes[0]!;
    for (let n = 0; n < 4; n++) await node.send(Who({}));
    const inspection = node.inspect();
    expect(JSON.parse(JSON.stringify(inspection))).toMatchObject({
      self: { id: "a", local: true, kind: "process", weight: 1 },
      view: { version: inspection.view.version, digest: inspection.view.digest },
      leader: { soft: false },
      stats: { sent: 2 },
      targets: [{ id: "a", inFlight: 0, state: "closed" }, { id: "b", inFlight: 0, state: "closed" }],
    });
    expect(inspection.view.members.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(probes[1]!.node.inspect().view.digest).toBe(inspection.view.digest);
    expect(probes[1]!.node.leader?.id).toBe(inspection.leader!.id);
    await end(probes);
  });

  test("a router is given the key of the message", async () => {
    const keys: (string | undefined)[] = [];
    const Keyed = query("keyed", {
      input: type<{ readonly id: string }>(),
      output: type<string>(),
      key: ({ id }) => id,
      route: (call, candidates) => {
        keys.push(call.key);
        return candidates[0];
      },
    });
    const app = createMediator({ handlers: [handle(Keyed, () => "x")] });
    const node = await joinCluster(app, {
      node: "a",
      endpoint: "memory:a",
      backend: memory(),
      router: roundRobin(),
    });
    await node.send(Keyed({ id: "k1" }));
    expect(keys).toEqual(["k1"]);
    await node.leave();
  });

  test("a key function that throws is a failure, not an exception", async () => {
    const Keyed = query("keyed", {
      input: type<void>(),
      output: type<string>(),
      key: () => {
        throw new Error("no key");
      },
    });
    const app = createMediator({ handlers: [handle(Keyed, () => "x")] });
    const node = await joinCluster(app, { node: "a", endpoint: "memory:a", backend: memory() });
    const result = await node.send(Keyed());
    expect(result.ok ? "" : result.error.code).toBe("INTERNAL");
    await node.leave();
  });

  test("nobody serves it: NO_HANDLER with the number of nodes looked at", async () => {
    const probes = await cluster(["a", "b"]);
    const Unknown = command("unknown", { input: type<void>(), output: type<void>() });
    const result = await probes[0]!.node.send(Unknown());
    expect(result.ok ? {} : result.error).toMatchObject({ code: "NO_HANDLER" });
    expect(result.ok ? "" : result.error.message).toContain("none of the 2 known nodes");
    await end(probes);
  });
});

describe("what travels with a message", () => {
  test("correlation, causation and headers cross nodes, from inside handlers too", async () => {
    const probes = await cluster(["a", "b", "c"]);
    const { node } = probes[0]!;
    for (let n = 0; n < 6; n++) {
      const [relayId, , id, correlation, causation, tenant] = unwrap(
        await node.send(Relay(), { headers: { tenant: "t1" } }),
      );
      expect(correlation).toBe(relayId!);
      expect(causation).toBe(relayId!);
      expect(id).not.toBe(relayId!);
      expect(tenant).toBe("t1");
    }
    await end(probes);
  });

  test("ids are unique across nodes", async () => {
    const probes = await cluster(["a", "b", "c"]);
    const results = await Promise.all(
      probes.flatMap(({ node }) => Array.from({ length: 50 }, () => node.send(Trace()))),
    );
    expect(new Set(results.map((result) => unwrap(result)[1])).size).toBe(150);
    await end(probes);
  });

  test("calls of one turn share one frame, also when answers wake their callers", async () => {
    const frames: number[] = [];
    const backend = tampered(memory(), (exchange, to, frame, ...rest) => {
      if (kindOf(frame) === "call") frames.push((JSON.parse(String(frame)) as unknown[][])[5]!.length);
      return exchange(to, frame, ...rest);
    });
    const client = await joinCluster(createMediator({ handlers: [] }), {
      node: "client",
      endpoint: "memory:client",
      backend,
    });
    const server = await probe("server", backend);
    await until(() => client.members().some((member) => member.id === "server" && member.status === "ready"));
    await Promise.all(Array.from({ length: 64 }, async () => {
      for (let n = 0; n < 10; n++) unwrap(await client.send(Who({})));
    }));
    expect(frames).toEqual(Array.from({ length: 10 }, () => 64));
    await client.leave();
    await end([server]);
  });

  test("events reach every node that listens, once", async () => {
    const probes = await cluster(["a", "b", "c"]);
    for (let n = 0; n < 10; n++) void probes[n % 3]!.node.publish(Happened({ n }));
    await until(() => probes.every(({ heard }) => heard.length >= 10));
    for (const { heard } of probes) expect([...heard].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await end(probes);
  });

  test("streams come from any node, in order, and a reader that breaks off ends the handler", async () => {
    const probes = await cluster(["a", "b"]);
    const { node } = probes[0]!;
    for (let n = 0; n < 2; n++) {
      const seen: number[] = [];
      for await (const value of node.stream(Count({ to: 300 }))) seen.push(value);
      expect(seen).toEqual(Array.from({ length: 300 }, (_, at) => at));
    }
    for (let n = 0; n < 2; n++) {
      for await (const value of node.stream(Count({ to: 1_000_000 }))) if (value === 100) break;
    }
    await until(() => probes.reduce((sum, { handled }) => sum + handled(), 0) === 4);
    await end(probes);
  });

  test("a reliable event is refused by name where nothing is kept", async () => {
    const Paid = reliableEvent("order.paid", { data: type<void>() });
    const app = createMediator({ handlers: [on(Paid, () => {})] });
    const options = { node: "a", endpoint: "memory:a", backend: memory() };
    const refused = await joinCluster(app, options).catch((thrown) => thrown);
    expect(refused).toMatchObject({ code: "CONFLICT" });
    expect(String(refused.message)).toContain("order.paid");
    const node = await joinCluster(app, { ...options, unsafe: true, service: "orders" });
    expect((await node.publish(Paid())).ok).toBe(true);
    await node.leave();
  });
});
