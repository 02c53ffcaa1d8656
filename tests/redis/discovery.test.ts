/** Nodes that find each other in Redis, as every discovery is promised to work. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createMediator, handle, query, type, unwrap } from "@catga/catga";
import { joinCluster } from "@catga/catga/cluster";
import { http } from "@catga/catga/http";
import type { LogEntry, OpenDiscovery } from "@catga/catga/ports";
import { serve } from "@catga/catga/serve";
import { discoveryConformance, type DiscoveryUnderTest, type LookOutcome } from "@catga/catga/testing";
import type { Commander } from "../../adapters/redis/commander.ts";
import { redisDiscovery, type RedisDiscoveryOptions } from "../../adapters/redis/discovery.ts";
import { beatScript, discoveryKeys } from "../../adapters/redis/discovery_scripts.ts";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";
import { endpointOf, replaceAll } from "./listed.ts";
import { openStand, quiet, type RedisStand, sleep } from "./support.ts";

let stand: RedisStand;
let direct: Commander;
beforeAll(async () => {
  stand = await openStand();
  direct = stand.open();
});
afterAll(async () => {
  await direct[Symbol.asyncDispose]();
  await stand[Symbol.asyncDispose]();
});

let names = 0;
const fresh = (): string => `nodes ${names++}`;

/** Runs scripts after something, or lets them fail or hang. */
function gated(before: () => Promise<unknown>): Commander & { outcome(next: LookOutcome): void } {
  let outcome: LookOutcome = "found";
  let changed = Promise.withResolvers<void>();
  return {
    ...direct,
    outcome: (next) => {
      outcome = next;
      changed.resolve();
      changed = Promise.withResolvers();
    },
    run: async (script, keys, args, options) => {
      await before();
      while (outcome === "silent") await changed.promise;
      if (outcome === "failed") throw new Error("the test lets it fail");
      return await direct.run(script, keys, args, options);
    },
  };
}

async function underTest(nodes: readonly number[]): Promise<DiscoveryUnderTest> {
  const name = fresh();
  const keys = discoveryKeys(name);
  let changing: Promise<unknown> = Promise.resolve();
  const list = (next: readonly number[]): void => {
    changing = changing.then(() => direct.run(replaceAll, keys, next.map(endpointOf)));
  };
  list(nodes);
  await changing;
  const commander = gated(() => changing);
  return {
    discovery: redisDiscovery(commander, { name, polling: "fast" }),
    runtime: quiet(),
    endpointOf,
    list,
    look: (outcome) => commander.outcome(outcome),
    pass: sleep,
  };
}

describe("discovery by Redis is a discovery", () => {
  for (const { name, run } of discoveryConformance(underTest, { refresh: 1100 })) test(name, run, 60_000);
});

/** Opens one, with its logs. */
function open(options: RedisDiscoveryOptions): OpenDiscovery & { readonly logs: readonly LogEntry[] } {
  const logs: LogEntry[] = [];
  const opened = redisDiscovery(direct, { polling: "fast", ...options }).open(quiet(logs));
  return Object.assign(opened, { logs });
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let looks = 0; looks < 1000; looks++) {
    if (holds()) return;
    await sleep(10);
  }
  throw new Error(`Expected, but did not happen: ${what}`);
}

const knows = (opened: OpenDiscovery, ...endpoints: readonly string[]): boolean =>
  opened.endpoints().join() === endpoints.join();

describe("nodes", () => {
  test("see each other come, leave, and go without a word", async () => {
    const name = fresh();
    const a = open({ name, endpoint: "a" });
    await a.ready;
    const b = open({ name, endpoint: () => "b" });
    await b.ready;
    expect(b.endpoints()).toEqual(["a", "b"]);
    await until("a sees b", () => knows(a, "a", "b"));
    await direct.run(beatScript, discoveryKeys(name), ["c", "killed", 0, 1500, 0]);
    await until("both see c", () => [a, b].every((each) => knows(each, "a", "b", "c")));
    await until("c is gone", () => [a, b].every((each) => knows(each, "a", "b")));
    await b[Symbol.asyncDispose]();
    await until("b has left", () => knows(a, "a"));
    await a[Symbol.asyncDispose]();
  }, 30_000);

  test("without an endpoint see, and are not seen; services are always there", async () => {
    const name = fresh();
    const a = open({ name, endpoint: "a" });
    await a.ready;
    const b = open({ name, services: ["z", "a"] });
    await b.ready;
    expect(b.endpoints()).toEqual(["a", "z"]);
    await sleep(1200);
    expect(a.endpoints()).toEqual(["a"]);
    for (const each of [a, b]) await each[Symbol.asyncDispose]();
  }, 30_000);

  test("services are known also when the first look fails", async () => {
    const commander = gated(() => Promise.resolve());
    commander.outcome("failed");
    const opened = redisDiscovery(commander, { name: fresh(), services: ["z"] }).open(quiet());
    await opened.ready;
    expect(opened.endpoints()).toEqual(["z"]);
    await opened[Symbol.asyncDispose]();
  });

  test("a later one has the endpoint: what the one before says and does changes nothing", async () => {
    const name = fresh();
    const keys = discoveryKeys(name);
    const old = open({ name, endpoint: "a" });
    await old.ready;
    const young = open({ name, endpoint: "a" });
    await young.ready;
    await until("it is told", () => old.logs.some(({ event }) => event === "discovery.replaced"));
    await old[Symbol.asyncDispose]();
    await sleep(100);
    const [, , , listed] = await direct.run(beatScript, keys, ["", "", 0, 1, -1]) as readonly unknown[];
    expect(listed).toEqual(["a"]);
    await young[Symbol.asyncDispose]();
    expect(young.logs).toEqual([]);
  }, 30_000);

  test("instances of a shared endpoint do not drive each other away", async () => {
    const name = fresh();
    const all = [open({ name, endpoint: "a", shared: true }), open({ name, endpoint: "a", shared: true })];
    await sleep(2500);
    expect(all.map(({ logs }) => logs)).toEqual([[], []]);
    expect(all.every((each) => knows(each, "a"))).toBe(true);
    for (const each of all) await each[Symbol.asyncDispose]();
  }, 30_000);

  test("a list that was lost is made again, by all who are there", async () => {
    const name = fresh();
    const all = ["a", "b"].map((endpoint) => open({ name, endpoint }));
    await until("both know both", () => all.every((each) => knows(each, "a", "b")));
    await direct.send(["DEL", ...discoveryKeys(name)]);
    await until("both are listed", () => all.every((each) => knows(each, "a", "b")));
    await sleep(1100);
    await until("and stay", () => all.every((each) => knows(each, "a", "b")));
    for (const each of all) await each[Symbol.asyncDispose]();
  }, 30_000);

  test("a list that was lost and has as many changes again is seen to be another", async () => {
    const name = fresh();
    const keys = discoveryKeys(name);
    const beat = (endpoint: string) => direct.run(beatScript, keys, [endpoint, "test", 0, 60_000, 0]);
    await Promise.all(["a", "b"].map(beat));
    const opened = open({ name });
    await until("it knows both", () => knows(opened, "a", "b"));
    await Promise.all([direct.send(["DEL", ...keys]), beat("c"), beat("d")]);
    await until("it knows the others", () => knows(opened, "c", "d"));
    await opened[Symbol.asyncDispose]();
  });

  test("what somebody else has put into the list drives nobody away", async () => {
    const name = fresh();
    const [leases, owners, state] = discoveryKeys(name);
    await direct.send(["HSET", owners!, "a", "spoilt"]);
    await direct.send(["HSET", state!, "version", "spoilt"]);
    await direct.send(["ZADD", leases!, 1, "old"]);
    const opened = open({ name, endpoint: "a" });
    await until("it is listed", () => knows(opened, "a"));
    expect(opened.logs).toEqual([]);
    await opened[Symbol.asyncDispose]();
  });

  test("names that look like keys stay apart", () => {
    const apart = ["a", "a}:d", "{a}", "*", "a:d", "a/b", "\r\n", "ü"];
    expect(new Set(apart.flatMap(discoveryKeys)).size).toBe(apart.length * 3);
    for (const name of apart) {
      for (const key of discoveryKeys(name)) expect(key).toMatch(/^\{[^{}]+\}:[a-z]+$/);
    }
  });
});

describe("a node that is frozen between requests", () => {
  test("is listed again when it is used, if that is due, and not more often", async () => {
    const runtime = fakeRuntime();
    const before = direct.sent;
    const background: Promise<unknown>[] = [];
    const discovery = redisDiscovery(direct, { name: fresh(), endpoint: "a" });
    const opened = discovery.open({ ...runtime, background: (work) => void background.push(work) });
    await opened.ready;
    await sleep(10);
    const beats = (): number => direct.sent - before;
    const first = beats();
    for (let times = 0; times < 10; times++) discovery.renew();
    await Promise.all(background);
    expect(beats()).toBe(first);
    // No timer runs, and the monotonic clock stands still.
    const { clock } = runtime;
    const wall = clock.wall();
    Object.assign(clock, { wall: () => wall + 20_000 });
    for (let times = 0; times < 10; times++) discovery.renew();
    await Promise.all(background);
    expect(beats()).toBe(first + 1);
    await opened[Symbol.asyncDispose]();
    discovery.renew();
    await Promise.all(background);
  });
});

test("a cluster over HTTP finds its nodes by it", async () => {
  const name = fresh();
  const WhoAmI = query("who", { input: type<void>(), output: type<string>() });
  const nodes = await Promise.all(["a", "b", "c"].map(async (id) => {
    const app = createMediator({ handlers: [handle(WhoAmI, () => id)], runtime: quiet() });
    const at: { url?: string } = {};
    const peers = redisDiscovery(direct, { name, polling: "fast", endpoint: () => at.url });
    const backend = http({ peers });
    const server = await serve(backend.fetch, { port: 0 });
    const endpoint = at.url = server.url;
    const node = await joinCluster(app, { node: id, endpoint, backend, timing: "fast" });
    return { node, server };
  }));
  await until("all know all", () => nodes.every(({ node }) => node.members().length === 3));
  const said = new Set<string>();
  for (let times = 0; times < 500 && said.size < 3; times++) {
    said.add(unwrap(await nodes[0]!.node.send(WhoAmI())));
    await sleep(5);
  }
  expect([...said].toSorted()).toEqual(["a", "b", "c"]);
  for (const { node, server } of nodes) {
    await node.leave();
    await server.stop();
  }
}, 60_000);
