/** Events of one cluster copied to another's server, by the servers. */

import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { EventStore, NewEvent, StoredEvent } from "@catga/catga/ports";
import { natsEvents } from "../../adapters/nats/events.ts";
import { natsEventsCopy } from "../../adapters/nats/events_copy.ts";
import { freePort } from "../support/ports.ts";
import { type NatsServer, startNats } from "./server.ts";
import { openLink } from "./support.ts";

const eventOf = (id: string): NewEvent => ({ id, type: "t", data: `{"n":"${id}"}` });

/** Two servers, joined as hub and leaf, each with a JetStream domain of its own. */
async function regions(): Promise<{ readonly eu: NatsServer; readonly us: NatsServer } & AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), "catga-regions-"));
  const port = await freePort();
  const begin = (name: string, leafnodes: string): Promise<NatsServer> =>
    startNats({
      jetstream: false,
      settings: [
        `server_name: ${name}`,
        `jetstream { store_dir: "${join(folder, name)}", domain: ${name} }`,
        `leafnodes { ${leafnodes} }`,
      ].join("\n"),
    });
  const eu = await begin("eu", `host: "127.0.0.1", port: ${port}`);
  const us = await begin("us", `reconnect: 1, remotes: [{ url: "nats-leaf://127.0.0.1:${port}" }]`);
  const close = async (): Promise<void> => {
    for (const server of [us, eu]) await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  };
  return { eu, us, [Symbol.asyncDispose]: close };
}

async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 60_000; waited += 50) {
    if (await is().catch(() => false)) return;
    await sleep(50);
  }
  throw new Error(`It never came to this: ${what}`);
}

async function all(events: EventStore): Promise<readonly StoredEvent[]> {
  const found: StoredEvent[] = [];
  for (;;) {
    const page = await events.readAll({ after: found.at(-1)?.position ?? 0 });
    if (page.length === 0) return found;
    found.push(...page);
  }
}

describe("a copy of events", () => {
  test(
    "is the same as what it is of, says how far it is behind, and catches up when it was cut off",
    async () => {
      await using at = await regions();
      await using near = await openLink(at.eu.ws, { cluster: "eu" });
      await using far = await openLink(at.us.ws, { cluster: "us" });
      await using events = await natsEvents(near);
      await using own = await natsEvents(far);
      for (let n = 0; n < 200; n++) await events.append(`${n % 5}`, [eventOf(`${n} x`), eventOf(`${n} y`)]);
      await using copy = await natsEventsCopy(far, { cluster: "eu", domain: "eu" });
      const same = async (): Promise<boolean> => await copy.head() === await events.head();
      await until("it is copied", same);
      expect(await all(copy)).toEqual(await all(events));
      expect(await copy.read("3")).toEqual(await events.read("3"));
      expect(await copy.find("4", "9 y")).toEqual(await events.find("4", "9 y"));
      expect((await copy.lag()).appends).toBe(0);
      expect((await copy.lag()).silence).toBeLessThan(60_000);
      await own.append("3", [eventOf("over here")]);
      expect((await all(own)).length).toBe(1);
      expect((await all(copy)).length).toBe(400);

      const waits = copy.changed(await copy.head(), { wait: 60_000 });
      await events.append("new", [eventOf("1")]);
      await waits;

      await at.us.kill();
      for (let n = 0; n < 50; n++) await events.append("while away", [eventOf(`${n}`)]);
      await at.us.restart();
      await until("it has caught up", same);
      expect(await all(copy)).toEqual(await all(events));
      const known = await all(copy);
      await at.eu.kill();
      expect(await all(copy)).toEqual(known);
      const refused = copy.append("3", [eventOf("2")]).catch((error: unknown) => error);
      expect(await refused).toMatchObject({ code: "VALIDATION" });
    },
    90_000,
  );

  test("is of a cluster with a name that can be one", async () => {
    await using server = await startNats();
    await using link = await openLink(server.ws);
    const origins = [["a.b", "eu"], ["", "eu"], ["eu", "*"], ["eu", ""]] as const;
    for (const [cluster, domain] of origins) {
      await expect(natsEventsCopy(link, { cluster, domain })).rejects.toMatchObject({ code: "VALIDATION" });
    }
  });
});
