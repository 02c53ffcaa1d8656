/** The event store while its server is killed, stopped, or loses what it has. */

import { describe, expect } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { EventStore, NewEvent } from "@catga/catga/ports";
import { natsEvents } from "../../adapters/nats/events.ts";
import { beside, roomOf } from "../support/beside.ts";
import { startNats } from "./server.ts";
import { openLink } from "./support.ts";

const test = beside(6, async () => {
  const server = await startNats();
  const link = await openLink(server.ws, { pingInterval: 200 });
  return roomOf({ server, link, events: await natsEvents(link) });
});

const eventOf = (id: string): NewEvent => ({ id, type: "t", data: `{"n":"${id}"}` });
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(() => "nothing", (error: { code: string }) => error.code);

async function until(what: string, is: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 20_000; waited += 10) {
    if (await is()) return;
    await sleep(10);
  }
  throw new Error(`It never came to this: ${what}`);
}

/** Repeats an append until it is settled, as whoever uses a store does. */
async function surely<T>(append: () => Promise<T>, failed: (code: string) => void): Promise<T> {
  for (;;) {
    try {
      return await append();
    } catch (thrown) {
      const { code } = thrown as { code: string };
      failed(code);
      if (code !== "UNAVAILABLE" && code !== "TRANSPORT") throw thrown;
      await sleep(20);
    }
  }
}

async function all(events: EventStore): Promise<string[]> {
  const found: string[] = [];
  for (let after = 0;;) {
    const page = await events.readAll({ after });
    if (page.length === 0) return found;
    for (const { stream, version, id } of page) found.push(`${stream} ${version} ${id}`);
    after = page.at(-1)!.position;
  }
}

describe("a server that is killed", () => {
  test("loses no append that was answered, doubles none, and reading goes on by itself", async (at) => {
    await using reader = await openLink(at.server.ws);
    await using other = await natsEvents(reader);
    const codes = new Set<string>();
    const seen: string[] = [];
    let open = true;
    const following = (async () => {
      for (let last = 0; open || seen.length < 1200;) {
        try {
          const page = await other.readAll({ after: last, limit: 50 });
          for (const { stream, version, id } of page) seen.push(`${stream} ${version} ${id}`);
          last = page.at(-1)?.position ?? last;
          if (page.length === 0) await other.changed(last, { wait: 100 });
        } catch {
          await sleep(10);
        }
      }
    })();
    const answered: string[] = [];
    const writers = Array.from({ length: 4 }, async (_, stream) => {
      for (let n = 0; n < 150; n++) {
        const events = [eventOf(`${n} x`), eventOf(`${n} y`)];
        const { version } = await surely(
          () => at.events.append(`${stream}`, events, { expected: 2 * n }),
          (code) => codes.add(code),
        );
        answered.push(`${stream} ${version} ${n} y`);
      }
    });
    const killing = (async () => {
      for (let kill = 1; kill <= 5; kill++) {
        await until(`a part of ${kill}`, () => answered.length >= kill * 100);
        await at.server.kill();
        await sleep(30);
        await at.server.restart();
      }
    })();
    await Promise.all([...writers, killing]).finally(() => open = false);
    await following;
    const kept = await all(at.events);
    expect(kept.length).toBe(1200);
    expect(new Set(kept).size).toBe(1200);
    expect(answered.filter((answer) => !kept.includes(answer))).toEqual([]);
    expect(seen).toEqual(kept);
    expect([...codes].filter((code) => code !== "UNAVAILABLE" && code !== "TRANSPORT")).toEqual([]);
    expect(at.link.logs.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("is told of at once while it is away, and waits end or go on when it is back", async (at) => {
    const { position } = await at.events.append("a", [eventOf("1")]);
    const waits = codeOf(at.events.changed(position, { wait: 60_000 }));
    await sleep(20);
    await at.server.kill();
    expect(await waits).toBe("UNAVAILABLE");
    for (
      const work of [
        at.events.append("a", [eventOf("2")]),
        at.events.read("a"),
        at.events.readAll(),
        at.events.find("a", "1"),
        at.events.head(),
        at.events.changed(0, { wait: 1000 }),
      ]
    ) expect(await codeOf(work)).toBe("UNAVAILABLE");
    await at.server.restart();
    await until("it is reached", () => at.link.up);
    expect((await at.events.append("a", [eventOf("2")], { expected: 1 })).version).toBe(2);
    const again = at.events.changed(await at.events.head(), { wait: 60_000 });
    await at.events.append("a", [eventOf("3")]);
    await again;
  });
});

describe("a server that loses its files", () => {
  test("is told of, and what is appended by version fails: nothing begins at 1 unseen", async (at) => {
    await at.events.append("a", [eventOf("1"), eventOf("2"), eventOf("3")]);
    await at.events.append("b", [eventOf("1")]);
    await at.server.restart({ loseFiles: true });
    await until("the alarm", () => at.link.logs.some(({ event }) => event === "nats.events_lost"));
    const refused = at.events.append("a", [eventOf("4")], { expected: 3 }).catch((error: unknown) => error);
    expect(await refused).toMatchObject({ code: "CONFLICT", data: { expected: 3, found: 0 } });
    expect(await at.events.read("a")).toEqual([]);
    expect(await at.events.head()).toBe(0);
    expect((await at.events.append("b", [eventOf("1")])).version).toBe(1);
    expect(at.link.logs.filter(({ level }) => level === "error").length).toBe(1);
  });

  test("has nothing of what was known before, even if it looks alike", async (at) => {
    await at.events.append("a", [eventOf("before")]);
    await at.server.restart({ loseFiles: true });
    await using link = await openLink(at.server.ws);
    await using other = await natsEvents(link);
    await other.append("a", [eventOf("1"), eventOf("2")]);
    await until("it is reached", () => at.link.up);
    expect((await at.events.append("a", [eventOf("3")], { expected: 2 })).version).toBe(3);
    expect((await at.events.read("a")).map(({ id }) => id)).toEqual(["1", "2", "3"]);
    expect((await at.events.append("a", [eventOf("before")])).version).toBe(4);
  });
});

describe("a server that stands still", () => {
  test("makes an append end within its time, unsettled; it is settled afterwards", async (at) => {
    await at.events.append("a", [eventOf("1")]);
    at.server.pause();
    const asked = (): Promise<string> => codeOf(at.link.ask("$JS.API.INFO", "", { timeout: 100 }));
    await until("it stands still", async () => await asked() !== "nothing");
    const stuck = codeOf(at.events.append("a", [eventOf("2")], { expected: 1 }));
    const read = codeOf(at.events.read("a"));
    expect([await stuck, await read]).toEqual(["TRANSPORT", "TRANSPORT"]);
    at.server.resume();
    await until("it is reached", () => at.link.up);
    const codes: string[] = [];
    const append = (): Promise<unknown> => at.events.append("a", [eventOf("2")], { expected: 1 });
    await surely(append, (code) => void codes.push(code));
    expect((await at.events.read("a")).map(({ id, version }) => `${id} ${version}`)).toEqual(["1 1", "2 2"]);
  });
});
