/** Nodes that find each other by what the server keeps, in the fast profile and with clocks an hour apart. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { wsconnect } from "@nats-io/nats-core";
import { command, createMediator, handle, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { nats, type NatsBackend, type NatsTarget } from "@catga/catga/nats";
import { type NatsServer, startNats } from "./server.ts";
import { skewed } from "./store_support.ts";
import { until } from "./support.ts";

const Who = command("who", { input: type<void>(), output: type<string>() });

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

let clusters = 0;
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

/** A node whose clock is so many hours wrong. */
async function join(name: string, hours: number, target: NatsTarget = server.ws): Promise<Node> {
  const runtime = skewed(hours);
  const backend: NatsBackend = await nats(target, { cluster: `r${clusters}`, runtime });
  const app = createMediator({ runtime, handlers: [handle(Who, () => name)] });
  const node = await joinCluster(app, { node: name, endpoint: name, backend, timing: "fast" });
  ends.push(async () => {
    await node.leave();
    await backend[Symbol.asyncDispose]();
  });
  return node;
}

const known = (node: Node): readonly string[] =>
  node.members().filter(({ status, reachable }) => status === "ready" && reachable).map(({ id }) => id)
    .toSorted();

describe("clocks an hour apart", () => {
  test("a late joiner knows everybody, and everybody knows it", async () => {
    clusters++;
    const nodes = await Promise.all(
      [["a", 0], ["b", 1], ["c", -1]].map(([name, hours]) => join(name as string, hours as number)),
    );
    await until(() => nodes.every((node) => known(node).join() === "a,b,c"));
    for (const [name, hours] of [["late", 1], ["later", -1]] as const) nodes.push(await join(name, hours));
    await until(() => nodes.every((node) => known(node).join() === "a,b,c,late,later"));
    const answers = await Promise.all(nodes.flatMap((node) => [...Array(5)].map(() => node.send(Who()))));
    expect(new Set(answers.map((answer) => answer.ok && answer.value)).size).toBe(5);
  }, 30_000);

  test("calls go around a node that is gone without a word, and it is forgotten", async () => {
    clusters++;
    const [a, b] = await Promise.all([join("a", 0), join("b", 1)]);
    const connection = await wsconnect({ servers: server.ws });
    await join("gone", -1, { connection });
    await until(() => [a, b].every((node) => known(node).join() === "a,b,gone"));
    await connection.close();
    // The server says that nobody listens: nothing was begun there, so each goes on to another node.
    const answers = await Promise.all([...Array(60)].map(() => a.send(Who())));
    expect(answers.filter((answer) => !answer.ok)).toEqual([]);
    expect(new Set(answers.map((answer) => answer.ok && answer.value))).toEqual(new Set(["a", "b"]));
    await until(() => [a, b].every((node) => known(node).join() === "a,b"));
  }, 30_000);
});
