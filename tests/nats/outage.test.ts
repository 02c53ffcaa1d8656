/** Nodes whose only server is away for a while, or comes back without its files: they stay up, and go on by themselves. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createMediator, handle, type LogEntry, on, query, reliableEvent, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { nats, type NatsBackend } from "@catga/catga/nats";
import { systemRuntime } from "@catga/catga/ports";
import { type NatsServer, startNats } from "./server.ts";
import { sleep, until } from "./support.ts";

const Who = query("who", { input: type<void>(), output: type<string>() });
const Paid = reliableEvent("paid", { data: type<number>(), delivery: { qos: 2 } });

/** How long the server is away, in ms. `npm run soak:faults -- --only outage` has a minute. */
const AWAY = 3000;

interface Member {
  readonly node: Node;
  readonly backend: NatsBackend;
  readonly logs: readonly LogEntry[];
}

let server: NatsServer;
let members: Member[];
let heard: number[];

beforeEach(async () => {
  server = await startNats();
  heard = [];
  members = [];
  for (const name of ["a", "b", "c"]) members.push(await join(name));
  await until(allKnown);
});
afterEach(async () => {
  await Promise.all(members.map(({ node }) => node.leave()));
  for (const { backend } of members) await backend[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function join(name: string): Promise<Member> {
  const logs: LogEntry[] = [];
  const runtime = systemRuntime({ log: (entry) => void logs.push(entry) });
  const backend = await nats(server.ws, { runtime, pingInterval: 500 });
  const app = createMediator({
    runtime,
    handlers: [handle(Who, () => name), on(Paid, (n) => void heard.push(n), { name: "count" })],
  });
  const node = await joinCluster(app, {
    node: name,
    endpoint: name,
    backend,
    service: "shop",
    timing: "fast",
  });
  return { node, backend, logs };
}

function allKnown(): boolean {
  return members.every(({ node }) =>
    node.members().filter(({ status, reachable }) => status === "ready" && reachable).length ===
      members.length
  );
}

/** Publishes under one id until it is stored. */
async function publish({ node }: Member, n: number): Promise<void> {
  for (;;) {
    const result = await node.publish(Paid(n), { id: `paid-${n}` });
    if (result.ok) return;
    expect(result.error.retryable).toBe(true);
    await sleep(50);
  }
}

describe("the server is away", () => {
  test("nodes stay up and say so at once, and all goes on when it is back", async () => {
    for (let n = 0; n < 30; n++) await publish(members[n % 3]!, n);
    await server.kill();
    await until(() => members.every(({ backend }) => backend.status === "away"));
    const waiting = [30, 31, 32].map((n) => publish(members[n % 3]!, n));
    const outcomes = new Set<string>();
    for (const end = Date.now() + AWAY; Date.now() < end;) {
      for (const { node } of members) {
        const answers = await Promise.all([...Array(100)].map(() => node.send(Who())));
        for (const answer of answers) outcomes.add(answer.ok ? "ok" : answer.error.code);
      }
      await sleep(100);
    }
    // Who knows nobody else any more serves it itself.
    expect([...outcomes].filter((code) => code !== "ok" && code !== "UNAVAILABLE")).toEqual([]);
    await server.restart();
    await Promise.all(waiting);
    await until(allKnown);
    const names = await Promise.all([...Array(30)].map(() => members[0]!.node.send(Who())));
    expect(new Set(names.map((answer) => answer.ok && answer.value))).toEqual(new Set(["a", "b", "c"]));
    for (let n = 33; n < 60; n++) await publish(members[n % 3]!, n);
    await until(() => new Set(heard).size === 60);
    for (const { logs } of members) {
      const events = logs.map(({ event }) => event);
      expect(events.filter((event) => event === "nats.lost").length).toBe(1);
      expect(events.filter((event) => event === "nats.reconnected").length).toBe(1);
      expect(logs.filter(({ level }) => level === "error")).toEqual([]);
      // It says what is the matter, and not again and again.
      expect(events.length).toBeLessThan(120);
    }
  }, 60_000);
});

describe("the server comes back without its files", () => {
  test("that is said aloud, and events are heard again", async () => {
    for (let n = 0; n < 30; n++) await publish(members[n % 3]!, n);
    await until(() => new Set(heard).size === 30);
    await server.restart({ loseFiles: true });
    const alarms = (event: string): number =>
      members.filter(({ logs }) => logs.some((entry) => entry.event === event && entry.level === "error"))
        .length;
    await until(() => alarms("nats.store_lost") === 3 && alarms("nats.events_lost") === 3);
    // Whoever looks after its groups looks after the queue.
    await until(() => alarms("nats.queue_lost") > 0);
    for (let n = 30; n < 60; n++) await publish(members[n % 3]!, n);
    await until(() => new Set(heard).size === 60);
    await until(allKnown);
    const late = await join("late");
    members.push(late);
    await until(allKnown);
  }, 60_000);
});
