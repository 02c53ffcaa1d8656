/** The store on three servers that keep each message thrice: what one of them alone must not decide. */

import { afterAll, beforeAll, describe, expect } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { storeConformance } from "@catga/catga/testing";
import { type NatsStore, natsStore } from "../../adapters/nats/store.ts";
import { beside } from "../support/beside.ts";
import { type NatsServer, startNats } from "./server.ts";
import { eventually, skewed } from "./store_support.ts";
import { freePorts } from "../support/ports.ts";
import { openLink, type TestLink } from "./support.ts";

/** Three servers, and stores on the first two of them. */
interface Three {
  readonly servers: readonly NatsServer[];
  readonly links: TestLink[];
  readonly stores: NatsStore[];
}

const ended: AsyncDisposable[] = [];
let calm: Three;
let shaken: Three;

async function open({ links, stores }: Three, server: NatsServer): Promise<NatsStore> {
  return await eventually("the servers agree", async () => {
    const link = await openLink(server.ws, { replicas: 3, runtime: skewed(links.length - 1) });
    try {
      const store = await natsStore(link);
      links.push(link);
      stores.push(store);
      ended.unshift(store, link);
      return store;
    } catch (thrown) {
      await link[Symbol.asyncDispose]();
      throw thrown;
    }
  });
}

async function three(): Promise<Three> {
  const ports = await freePorts(3);
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
  const servers = await Promise.all(ports.map((port, at) =>
    startNats({
      settings:
        `server_name: s${at}\ncluster { name: three, host: 127.0.0.1, port: ${port}, routes: [${routes}] }`,
    })
  ));
  ended.push(...servers);
  const all: Three = { servers, links: [], stores: [] };
  for (const server of servers.slice(0, 2)) await open(all, server);
  return all;
}

beforeAll(async () => {
  [calm, shaken] = await Promise.all([three(), three()]);
}, 60_000);

afterAll(async () => {
  for (const part of ended) await part[Symbol.asyncDispose]();
}, 30_000);

const test = beside(6);

describe("a server that is gone", () => {
  // It lasts longest, so it begins first.
  test("what was acknowledged outlives the server that led, and revisions go on", async () => {
    const [store] = shaken.stores as [NatsStore];
    const { manager } = shaken.links[0]!.jetstream!;
    const revisions = new Map<string, number>();
    for (let at = 0; at < 50; at++) revisions.set(`kept/${at}`, await store.put(`kept/${at}`, ""));
    const { cluster } = await manager.streams.info("CATGA_main_kv");
    const leader = Number(cluster!.leader!.slice(1));
    await shaken.servers[leader]!.kill();
    const left = await open(shaken, shaken.servers[(leader + 1) % 3]!);
    const last = await eventually("a write goes through", () => left.put("kept/after", ""));
    for (const [key, revision] of revisions) {
      expect((await eventually("it is read", () => left.get(key)))?.revision).toBe(revision);
      expect(last).toBeGreaterThan(revision);
    }
    await shaken.servers[leader]!.restart();
  });
});

describe("the store on three servers is a store", () => {
  let count = 0;
  const prefix = (): string => `conformance/${count++}/`;
  const make = () =>
    Promise.resolve({
      store: calm.stores[0]!,
      other: calm.stores[1]!,
      pass: async (ms: number) => void await sleep(ms),
    });
  const names = storeConformance(make).map(({ name }) => name);
  for (const [at, name] of names.entries()) {
    test(name, () => storeConformance(make, { ttl: 600, prefix: prefix() })[at]!.run());
  }

  test(
    "of many that put over one revision at the same time one does, though the servers do not see to that",
    async () => {
      for (let round = 0; round < 10; round++) {
        let expected: number | "absent" = "absent";
        for (let step = 0; step < 10; step++) {
          const outcomes = await Promise.allSettled(
            Array.from(
              { length: 8 },
              (_, at) => calm.stores[at % 2]!.put(`cas/${round}`, `${at}`, { expected }),
            ),
          );
          const won = outcomes.flatMap((each) => each.status === "fulfilled" ? [each.value] : []);
          expect(won).toHaveLength(1);
          for (const each of outcomes) {
            if (each.status === "rejected") {
              expect(each.reason.code).toBe("CONFLICT");
            }
          }
          expect((await calm.stores[step % 2]!.get(`cas/${round}`))?.revision).toBe(won[0]!);
          expected = won[0]!;
        }
      }
    },
  );
});
