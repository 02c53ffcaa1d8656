/** Reliable events between two clusters with a server each, one of which goes away and comes back. */

import { describe, expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Replication, startReplication } from "@catga/catga/durable";
import { type Queue, type Store, systemRuntime } from "@catga/catga/ports";
import { natsQueue } from "../../adapters/nats/queue.ts";
import { natsStore } from "../../adapters/nats/store.ts";
import { json } from "../../src/wire/json.ts";
import { encodeParcel } from "../../src/wire/parcel.ts";
import { type NatsServer, startNats } from "./server.ts";
import { openLink } from "./support.ts";

const TOPIC = "orders.paid";

/** One connection of a process to the server of a cluster. */
interface Way extends AsyncDisposable {
  readonly queue: Queue;
  readonly store: Store;
  readonly up: boolean;
}

async function wayTo(server: NatsServer, cluster: string): Promise<Way> {
  const link = await openLink(server.ws, { cluster });
  const queue = await natsQueue(link);
  const store = await natsStore(link);
  return {
    queue,
    store,
    get up() {
      return link.up;
    },
    [Symbol.asyncDispose]: async () => {
      for (const each of [queue, store, link]) await each[Symbol.asyncDispose]();
    },
  };
}

/** Brings the events of one cluster to the other, over connections of its own. */
async function replicate(from: Way, cluster: string, to: Way, target: string): Promise<Replication> {
  return await startReplication({
    cluster,
    events: [TOPIC],
    from,
    to: { [target]: to.queue },
    runtime: systemRuntime({ log: () => {} }),
    lease: 5000,
  });
}

async function publish(way: Way, ...ids: readonly string[]): Promise<void> {
  const common = {
    type: TOPIC,
    body: 1,
    correlationId: undefined,
    causationId: undefined,
    headers: undefined,
  };
  await way.queue.push(
    TOPIC,
    ids.map((id) => ({ id, key: id.slice(0, 1), payload: encodeParcel(json, { ...common, id }) })),
  );
}

/** Collects what a cluster hears, until it is told to stop. */
function hear(way: Way): { readonly heard: string[]; stop(): Promise<void> } {
  const heard: string[] = [];
  let open = true;
  const pulling = (async () => {
    while (open) {
      try {
        for (const delivery of await way.queue.pull(TOPIC, "test", { max: 50, lease: 5000, wait: 200 })) {
          heard.push(delivery.id);
          await delivery.ack();
        }
      } catch {
        await sleep(50);
      }
    }
  })();
  return {
    heard,
    stop: async () => {
      open = false;
      await pulling;
    },
  };
}

async function until(what: string, is: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 40_000; waited += 50) {
    if (await is()) return;
    await sleep(50);
  }
  throw new Error(`It never came to this: ${what}`);
}

const idsOf = (key: string, from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, at) => `${key}${from + at}`);

describe("two clusters that replicate to each other", () => {
  test("hear all of both, in order, also when one was away", async () => {
    await using eu = await startNats();
    await using us = await startNats();
    const ways: Way[] = [];
    for (const name of ["eu", "us", "eu", "us"]) ways.push(await wayTo(name === "eu" ? eu : us, name));
    const [atEu, atUs, relayEu, relayUs] = ways as [Way, Way, Way, Way];
    await atEu.queue.subscribe(TOPIC, "test");
    await atUs.queue.subscribe(TOPIC, "test");
    const there = await replicate(relayEu, "eu", relayUs, "us");
    const back = await replicate(relayUs, "us", relayEu, "eu");
    const inEu = hear(atEu), inUs = hear(atUs);

    await publish(atEu, ...idsOf("a", 0, 40), ...idsOf("b", 0, 40));
    await publish(atUs, ...idsOf("c", 0, 40));
    const all = (heard: readonly string[], count: number) => () => new Set(heard).size >= count;
    await until("all hear 120", () => all(inEu.heard, 120)() && all(inUs.heard, 120)());

    await us.kill();
    await publish(atEu, ...idsOf("a", 40, 80));
    await until("it is seen to be behind", async () => (await there.lag())[0]!.items === 40);
    expect(there.stats()[0]!.sent).toBe(80);
    await us.restart();
    await until("it is up", () => atUs.up);
    await publish(atUs, ...idsOf("c", 40, 80));
    await until("all hear 200", () => all(inEu.heard, 200)() && all(inUs.heard, 200)());
    await until(
      "nothing is behind",
      async () => [...await there.lag(), ...await back.lag()].every(({ items }) => items === 0),
    );

    const wanted = [...idsOf("a", 0, 80), ...idsOf("b", 0, 40), ...idsOf("c", 0, 80)];
    for (const { heard, stop } of [inEu, inUs]) {
      await stop();
      const firsts = [...new Set(heard)];
      expect([...firsts].sort()).toEqual([...wanted].sort());
      for (const key of "abc") {
        expect(firsts.filter((id) => id.startsWith(key))).toEqual(wanted.filter((id) => id.startsWith(key)));
      }
    }
    // What was acknowledged while a server was killed may come again; nothing goes back where it came from.
    for (const { sent, passed, buried } of [...there.stats(), ...back.stats()]) {
      expect(buried).toBe(0);
      expect(sent + passed).toBeGreaterThanOrEqual(200);
    }
    expect(there.stats()[0]!.sent).toBeLessThan(200);
    await there[Symbol.asyncDispose]();
    await back[Symbol.asyncDispose]();
    for (const way of ways) await way[Symbol.asyncDispose]();
  }, 90_000);
});
