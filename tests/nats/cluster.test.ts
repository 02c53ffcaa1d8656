/** Nodes of a cluster that have nothing but a nats-server between them. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { createMediator, on, reliableEvent, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { nats, type NatsBackend } from "@catga/catga/nats";
import { systemRuntime } from "@catga/catga/ports";
import { Break, Count, Hang, Happened, type Probe, probe, Trace, Who } from "../cluster/support.ts";
import { wsconnect } from "@nats-io/nats-core";
import { until } from "./support.ts";
import { type NatsServer, startNats } from "./server.ts";

let server: NatsServer;
let clusters = 0;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

const runtime = systemRuntime({ log: () => {} });
const backends: NatsBackend[] = [];
const nodes: Node[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.leave()));
  for (const backend of backends.splice(0)) await backend[Symbol.asyncDispose]();
});

async function connect(cluster = `t${clusters}`): Promise<NatsBackend> {
  const backend = await nats(server.ws, { cluster, runtime, reconnectWait: 50, pingInterval: 200 });
  backends.push(backend);
  return backend;
}

/** Nodes with a connection each, that find each other by what the server keeps. */
async function together(names: readonly string[]): Promise<Probe[]> {
  clusters++;
  const probes: Probe[] = [];
  for (const name of names) {
    const one = await probe(name, await connect(), {
      endpoint: name,
      timing: { heartbeat: 100, timeout: 600 },
    });
    nodes.push(one.node);
    probes.push(one);
  }
  await known(probes, names.length);
  return probes;
}

const known = (probes: readonly Probe[], count: number): Promise<void> =>
  until(() =>
    probes.every(({ node }) =>
      node.members().filter((member) => member.status === "ready" && member.reachable).length === count
    )
  );

describe("two nodes on NATS", () => {
  test("find each other, and answer each other's commands, queries and streams, and hear events", async () => {
    const [a, b] = await together(["a", "b"]);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => a!.node.send(Who({ n }))));
    expect(new Set(answers.map((answer) => answer.ok && answer.value))).toEqual(new Set(["a", "b"]));
    for (let n = 0; n < 4; n++) {
      expect(await a!.node.send(Trace(undefined))).toMatchObject({ ok: true });
      const failed = await a!.node.send(Break("fail"));
      expect(failed.ok || failed.error.code).toBe("BROKEN");
      const values: number[] = [];
      for await (const value of b!.node.stream(Count({ to: 500 }))) values.push(value);
      expect(values).toEqual(Array.from({ length: 500 }, (_, at) => at));
    }
    await a!.node.publish(Happened({ n: 7 }));
    await until(() => a!.heard.length === 1 && b!.heard.length === 1);
    const controller = new AbortController();
    const hanging = Promise.all([1, 2].map(() => a!.node.send(Hang(), { signal: controller.signal })));
    await new Promise((resolve) => setTimeout(resolve, 50));
    controller.abort();
    expect((await hanging).map((result) => !result.ok && result.error.code)).toEqual([
      "CANCELLED",
      "CANCELLED",
    ]);
    await until(() => a!.aborted() + b!.aborted() === 2);
  });

  test("go on when the server is killed and comes back, and nobody is declared dead for good", async () => {
    const [a, b] = await together(["a", "b"]);
    await server.kill();
    await until(() => backends.every(({ status }) => status === "away"));
    await server.restart();
    await until(() => backends.every(({ status }) => status === "connected"));
    await known([a!, b!], 2);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => a!.node.send(Who({ n }))));
    expect(new Set(answers.map((answer) => answer.ok && answer.value))).toEqual(new Set(["a", "b"]));
  });

  test("are routed around when they are gone without a word", async () => {
    const [a] = await together(["a"]);
    const connection = await wsconnect({ servers: server.ws });
    const lost = await nats({ connection }, { cluster: `t${clusters}`, runtime });
    const b = await probe("b", lost, { endpoint: "b", timing: { heartbeat: 100, timeout: 600 } });
    await known([a!, b], 2);
    await connection.close();
    // Not one call waits for the node that is gone for longer than its death takes to be noticed.
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => a!.node.send(Who({ n }))));
    expect(answers.filter((answer) => answer.ok).length).toBeGreaterThan(9);
    await known([a!], 1);
    expect(await a!.node.send(Who({}))).toMatchObject({ ok: true, value: "a" });
    await b.node.leave();
    await lost[Symbol.asyncDispose]();
  });

  test("hear reliable events, each service once", async () => {
    const Paid = reliableEvent("paid", { data: type<string>(), key: (body) => body.slice(0, 1) });
    clusters++;
    const heard: string[] = [];
    for (const name of ["a", "b"]) {
      const app = createMediator({
        runtime,
        handlers: [on(Paid, (body) => void heard.push(body), { name: "count" })],
      });
      nodes.push(
        await joinCluster(app, { node: name, endpoint: name, backend: await connect(), service: "shop" }),
      );
    }
    const bodies = Array.from({ length: 40 }, (_, n) => `${n % 4}-${n}`);
    for (const body of bodies) expect(await nodes[0]!.publish(Paid(body))).toMatchObject({ ok: true });
    await until(() => heard.length >= bodies.length);
    expect(heard.toSorted()).toEqual(bodies.toSorted());
    for (const key of ["0", "1", "2", "3"]) {
      const own = bodies.filter((body) => body.startsWith(key));
      expect(heard.filter((body) => body.startsWith(key))).toEqual(own);
    }
  });
});
