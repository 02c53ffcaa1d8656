/** The event store on a real server. */

import { afterAll, beforeAll, describe, expect } from "bun:test";
import type { Msg, Subscription, SubscriptionOptions } from "@nats-io/nats-core";
import type { EventStore, NewEvent } from "@catga/catga/ports";
import { eventStoreConformance, type EventStoreUnderTest } from "@catga/catga/testing";
import { hash32 } from "../../src/internal/hash.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import { natsEvents } from "../../adapters/nats/events.ts";
import type { AskOptions, Link } from "../../adapters/nats/link.ts";
import { beside } from "../support/beside.ts";
import { type NatsServer, startNats } from "./server.ts";
import { openLink, type TestLink } from "./support.ts";

type Ask = Link["ask"];
type Tamper = (
  ask: Ask,
  subject: string,
  payload: Uint8Array | string,
  options: AskOptions,
) => ReturnType<Ask>;

const test = beside(6);
let server: NatsServer;
let clusters = 0;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

/** A link whose requests go through a function. */
function tampered(link: TestLink, tamper: Tamper): Link {
  return Object.create(link, {
    ask: {
      value: (subject: string, payload: Uint8Array | string = "", options: AskOptions = {}) =>
        tamper((...given) => link.ask(...given), subject, payload, options),
    },
  }) as Link;
}

/** As servers of another version, three of which keep each message. */
function threefold(link: TestLink, version: string): Link {
  const info = { value: { ...link.connection.info, version } };
  const connection = { value: Object.create(link.connection, { info }) };
  return Object.create(link, {
    connection,
    jetstream: { value: { ...link.jetstream, replicas: 3 } },
  }) as Link;
}

/** As three servers do that answer only through the one that leads; this one alone could not keep their stream. */
function led(link: TestLink): Link {
  return threefold(
    tampered(link, (ask, subject, payload, options) => {
      if (subject.startsWith("$JS.API.DIRECT.")) {
        throw new Error("any server may answer that, also one that lags");
      }
      const text = typeof payload === "string"
        ? payload.replace('"num_replicas":3', '"num_replicas":1')
        : payload;
      return ask(subject, text, options);
    }) as TestLink,
    "2.10.27",
  );
}

async function underTest(change: (link: TestLink) => Link = (link) => link): Promise<EventStoreUnderTest> {
  const cluster = `c${clusters++}`;
  const links = await Promise.all([0, 1].map(() => openLink(server.ws, { cluster })));
  const [events, other] = await Promise.all(links.map((link) => natsEvents(change(link))));
  return {
    events: events!,
    other: other!,
    pass: (ms) => new Promise((resolve) => void links[0]!.runtime.clock.timer(ms, resolve)),
    close: async () => {
      for (const store of [events!, other!]) await store[Symbol.asyncDispose]();
      for (const link of links) await link[Symbol.asyncDispose]();
    },
  };
}

describe("the conformance suite, over two connections", () => {
  for (const { name, run } of eventStoreConformance(underTest, { wait: 200 })) test(name, run);
});

describe("the conformance suite, where only the leading server is asked", () => {
  const checks = eventStoreConformance(() => underTest(led), { wait: 200 });
  for (const { name, run } of checks) test(name, run);
});

/** Two stores of a cluster of its own, and the links they stand on. */
async function pair(tamper?: Tamper): Promise<Pair> {
  const cluster = `c${clusters++}`;
  const link = await openLink(server.ws, { cluster });
  const away = await openLink(server.ws, { cluster });
  const events = await natsEvents(tamper === undefined ? link : tampered(link, tamper));
  const other = await natsEvents(away);
  const subject = `catga.${cluster}.e.n.`;
  const close = async (): Promise<void> => {
    for (const each of [events, other, link, away]) await each[Symbol.asyncDispose]();
  };
  return { cluster, subject, link, events, other, [Symbol.asyncDispose]: close };
}

interface Pair extends AsyncDisposable {
  readonly cluster: string;
  /** What subjects of streams begin with. */
  readonly subject: string;
  readonly link: TestLink;
  readonly events: EventStore;
  readonly other: EventStore;
}

const eventOf = (id: string, size = 2): NewEvent => ({ id, type: "t", data: "d".repeat(size) });
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(() => "nothing", (error: { code: string }) => error.code);

describe("streams", () => {
  test("a long stream that others wrote is read, searched and appended to", async () => {
    await using at = await pair();
    for (let n = 0; n < 300; n++) await at.other.append("a", [eventOf(`${n} x`), eventOf(`${n} y`)]);
    expect((await at.events.read("a")).map(({ version }) => version)).toEqual(
      Array.from({ length: 600 }, (_, n) => n + 1),
    );
    expect((await at.events.read("a", { from: 599 })).map(({ id }) => id)).toEqual(["299 x", "299 y"]);
    expect((await at.events.read("a", { backward: true, from: 401, limit: 2 })).map(({ id }) => id)).toEqual([
      "200 x",
      "199 y",
    ]);
    expect((await at.events.find("a", "123 y"))?.version).toBe(248);
    expect((await at.events.readAll({ limit: 500 })).length).toBe(500);
    await using late = await natsEvents(at.link);
    expect(await codeOf(late.append("a", [eventOf("77 x"), eventOf("new")]))).toBe("CONFLICT");
    expect((await late.append("a", [eventOf("new")], { expected: 600 })).version).toBe(601);
  });

  test("what does not reach this process is not left out unseen", async () => {
    await using at = await pair();
    for (let n = 0; n < 200; n++) await at.other.append("a", [eventOf(`${n}`)]);
    let left = 50;
    const subscribe = (subject: string, options: SubscriptionOptions): Subscription =>
      at.link.connection.subscribe(subject, {
        callback: (error, message) => void (--left === 0 || options.callback?.(error, message)),
      });
    const connection = Object.create(at.link.connection, { subscribe: { value: subscribe } });
    await using events = await natsEvents(
      Object.create(at.link, { connection: { value: connection } }) as Link,
    );
    expect(await codeOf(events.readAll())).toBe("TRANSPORT");
    left = 50;
    expect(await codeOf(events.read("a"))).toBe("TRANSPORT");
    expect((await events.read("a")).length).toBe(200);
  });

  test("streams whose names are alike, long or hostile are not mixed up", async () => {
    await using at = await pair();
    const long = "ä".repeat(255);
    const names = [
      "a",
      "A",
      "a.b",
      "a_2eb",
      "a.>",
      "*",
      ">",
      " ",
      "\u0000",
      "$JS.API",
      `${long}1`,
      `${long}2`,
      "_",
    ];
    for (const name of names) await at.events.append(name, [eventOf(`of ${name}`.slice(0, 128))]);
    for (const name of names) {
      expect((await at.other.read(name)).map(({ id, stream }) => [id, stream])).toEqual([
        [`of ${name}`.slice(0, 128), name],
      ]);
    }
    expect((await at.other.readAll()).map(({ stream }) => stream)).toEqual(names);
  });

  test("what somebody else puts among the messages is passed over, and wakes nobody for ever", async () => {
    await using at = await pair();
    await at.events.append("a", [eventOf("1"), eventOf("2")]);
    for (let n = 0; n < 40; n++) await at.link.ask(`${at.subject}${n % 2 === 0 ? "a" : "b"}`, "rubbish");
    const head = await at.events.head();
    expect(head).toBe(1025);
    expect(await at.other.readAll({ after: head })).toEqual([]);
    await at.other.changed(head, { wait: 20 });
    expect((await at.events.append("a", [eventOf("3")], { expected: 2 })).version).toBe(3);
    expect((await at.other.append("b", [eventOf("1")], { expected: "absent" })).version).toBe(1);
    expect((await at.other.read("a")).map(({ id }) => id)).toEqual(["1", "2", "3"]);
    expect((await at.events.readAll()).map(({ stream, id }) => stream + id)).toEqual([
      "a1",
      "a2",
      "a3",
      "b1",
    ]);
    expect(await at.events.read("nobody's")).toEqual([]);
  });

  test("a page is not empty where only rubbish fills it", async () => {
    await using at = await pair();
    await Promise.all(Array.from({ length: 300 }, () => at.link.ask(`${at.subject}a`, "rubbish")));
    await at.events.append("a", [eventOf("1")]);
    expect((await at.other.readAll({ limit: 100 })).map(({ id }) => id)).toEqual(["1"]);
  });

  test("a message that somebody took away leaves a gap, and nothing comes twice", async () => {
    await using at = await pair();
    for (let n = 1; n <= 30; n++) await at.events.append(`${n % 3}`, [eventOf(`${n}`)]);
    for (const seq of [2, 5, 6, 7, 30]) {
      await at.link.ask(`$JS.API.STREAM.MSG.DELETE.CATGA_${at.cluster}_EVENTS`, JSON.stringify({ seq }));
    }
    const left = Array.from({ length: 30 }, (_, n) => `${n + 1}`).filter((id) => !/^([2567]|30)$/.test(id));
    for (const store of [at.events, at.other]) {
      expect((await store.readAll()).map(({ id }) => id)).toEqual(left);
      const versions = (await store.read("2")).map(({ id, version }) => [Number(id), version]);
      expect(versions).toEqual([8, 11, 14, 17, 20, 23, 26, 29].map((n) => [n, (n + 1) / 3]));
    }
    expect((await at.other.append("2", [eventOf("new")], { expected: 10 })).version).toBe(11);
  });

  test("what a newer version wrote is not passed over", async () => {
    await using at = await pair();
    await at.events.append("a", [eventOf("1")]);
    const { headers } = await import("@nats-io/nats-core");
    const newer = headers();
    newer.set("Catga-Append", "2 something else");
    await at.link.ask(`${at.subject}a`, "unknown", { headers: newer });
    expect(await codeOf(at.other.readAll())).toBe("SERIALIZATION");
    expect(await codeOf(at.other.read("a"))).toBe("SERIALIZATION");
    expect(await codeOf(at.other.append("a", [eventOf("2")]))).toBe("SERIALIZATION");
  });

  test("old events stay, whatever the stream was before (F24: they went after 7 days)", async () => {
    const cluster = `c${clusters++}`;
    await using link = await openLink(server.ws, { cluster });
    const name = `CATGA_${cluster}_EVENTS`;
    const settings = { name, subjects: [`catga.${cluster}.e.>`], max_age: 7 * 86_400e9, max_bytes: 50_000 };
    await link.ask(`$JS.API.STREAM.CREATE.${name}`, JSON.stringify({ ...settings, storage: "file" }));
    await using events = await natsEvents(link);
    const { config } = (await link.ask(`$JS.API.STREAM.INFO.${name}`)).json<
      { config: Record<string, unknown> }
    >();
    expect([config["max_age"], config["discard"], config["allow_direct"]]).toEqual([0, "new", true]);
    expect(config["max_bytes"]).toBe(50_000);
    await events.append("a", [eventOf("1", 30_000)]);
    expect(await codeOf(events.append("a", [eventOf("2", 30_000)]))).toBe("OVERLOADED");
    expect((await events.read("a")).length).toBe(1);
    const waits = events.changed(await events.head(), { wait: 20_000 });
    await events.append("a", [eventOf("3")]);
    await waits;
  });
});

describe("ids with one hash", () => {
  const [first, second] = twins();

  test("are two ids", async () => {
    await using at = await pair();
    await at.events.append("a", [eventOf(first)]);
    expect((await at.events.append("a", [eventOf(second)], { expected: 1 })).version).toBe(2);
    expect((await at.events.append("a", [eventOf(first)], { expected: 9 })).version).toBe(1);
    expect((await at.other.append("a", [eventOf(second)])).version).toBe(2);
    expect(await codeOf(at.other.append("a", [eventOf("new"), eventOf(second)]))).toBe("CONFLICT");
    expect((await at.other.find("a", second))?.version).toBe(2);
    expect((await at.other.find("a", first))?.version).toBe(1);
  });

  test("take a look, and what is appended and read meanwhile does not make an append fit that does not", async () => {
    let meanwhile = (): Promise<unknown> => Promise.resolve();
    await using at = await pair(async (ask, subject, payload, options) => {
      if (typeof payload === "string" && /^\{"seq":\d+\}$/.test(payload)) await meanwhile();
      return await ask(subject, payload, options);
    });
    await at.events.append("a", [eventOf(first)]);
    meanwhile = async () => {
      meanwhile = () => Promise.resolve();
      await at.other.append("a", [eventOf("between")]);
      await at.events.read("a");
    };
    expect(await codeOf(at.events.append("a", [eventOf(second)], { expected: 1 }))).toBe("CONFLICT");
    expect((await at.other.read("a")).map(({ id }) => id)).toEqual([first, "between"]);
  });
});

describe("waiting", () => {
  test("whoever waits is told, and need not look", async () => {
    const cluster = `c${clusters++}`;
    await using link = await openLink(server.ws, { cluster });
    const still = { ...link.runtime, clock: { ...link.runtime.clock, timer: () => () => {} } };
    await using events = await natsEvents(Object.create(link, { runtime: { value: still } }) as Link);
    const { position } = await events.append("a", [eventOf("1"), eventOf("2")]);
    let head = await events.head();
    expect(head).toBe(position);
    for (let n = 0; n < 20; n++) {
      const waits = [events.changed(head, { wait: 60_000 }), events.changed(head - 1, { wait: 60_000 })];
      await waits[1];
      const appended = await events.append(`${n % 3}`, [eventOf(`${n} x`), eventOf(`${n} y`)]);
      await waits[0];
      expect(await events.head()).toBe(head = appended.position);
    }
  });
});

describe("appends whose end is not known", () => {
  test("one whose answer was lost is settled by itself, and happens once", async () => {
    let lose = 0;
    await using at = await pair(async (ask, subject, payload, options) => {
      const answer = await ask(subject, payload, options);
      if (subject.startsWith("catga.") && lose-- > 0) throw lost;
      return answer;
    });
    for (const expected of ["any", 1, "exists"] as const) {
      const id = `after ${expected}`;
      lose = 1;
      if (expected === "any") await at.events.append("a", [eventOf(id)], { expected: "absent" });
      else await at.events.append("a", [eventOf(id)], { expected });
    }
    expect((await at.other.read("a")).map(({ id }) => id)).toEqual(["after any", "after 1", "after exists"]);
  });

  test("one that never gets an answer says that it may have happened, whatever comes last", async () => {
    let away = false;
    await using at = await pair(async (ask, subject, payload, options) => {
      if (away) throw unreached;
      const answer = await ask(subject, payload, options);
      away = subject.startsWith("catga.");
      if (away) throw lost;
      return answer;
    });
    expect(await codeOf(at.events.append("a", [eventOf("1")]))).toBe("TRANSPORT");
    expect((await at.other.read("a")).length).toBe(1);
    away = false;
  });

  for (const err_code of [10071, 10164]) {
    test(`one that is refused because another was first (${err_code}) looks again`, async () => {
      let refusals = 3;
      await using at = await pair(async (ask, subject, payload, options) => {
        if (!subject.startsWith("catga.") || refusals-- <= 0) return await ask(subject, payload, options);
        return {
          json: () => ({ error: { code: 400, err_code, description: "wrong last sequence" } }),
        } as Msg;
      });
      expect((await at.events.append("a", [eventOf("1")])).version).toBe(1);
      expect((await at.other.read("a")).length).toBe(1);
    });
  }

  test("one that nobody got says so at once", async () => {
    await using at = await pair((ask, subject, payload, options) =>
      subject.startsWith("catga.") ? Promise.reject(unreached) : ask(subject, payload, options)
    );
    expect(await codeOf(at.events.append("a", [eventOf("1")]))).toBe("UNAVAILABLE");
    expect(await at.other.read("a")).toEqual([]);
  });

  test("one that is no longer wanted ends at once", async () => {
    const controller = new AbortController();
    await using at = await pair((ask, subject, payload, options) => {
      if (subject.startsWith("catga.")) controller.abort();
      return ask(subject, payload, options);
    });
    const { signal } = controller;
    expect(await codeOf(at.events.append("a", [eventOf("1")], { signal }))).toBe("CANCELLED");
  });
});

describe("the server's stream", () => {
  test("is made when it can be: a creation that failed counts for nothing (C10)", async () => {
    let failures = 2;
    await using at = await pair((ask, subject, payload, options) =>
      subject.startsWith("$JS.API.STREAM.") && failures-- > 0
        ? Promise.reject(unreached)
        : ask(subject, payload, options)
    );
    const events = at.link.logs.map(({ event }) => event).filter((event) => event.startsWith("nats.events"));
    expect(events).toEqual(["nats.events_unreachable"]);
    expect(await codeOf(at.events.append("a", [eventOf("1")]))).toBe("UNAVAILABLE");
    expect((await at.events.append("a", [eventOf("1")])).version).toBe(1);
  });

  test("is made anew when somebody took it away, with an alarm; what was expected is not there any more", async () => {
    await using at = await pair();
    await at.events.append("a", [eventOf("1"), eventOf("2")]);
    await at.events.append("b", [eventOf("1")]);
    await at.link.ask(`$JS.API.STREAM.DELETE.CATGA_${at.cluster}_EVENTS`);
    expect(await codeOf(at.events.append("a", [eventOf("3")], { expected: 2 }))).toBe("CONFLICT");
    expect((await at.events.append("b", [eventOf("2")])).version).toBe(1);
    expect((await at.other.read("b")).map(({ id, version }) => [id, version])).toEqual([["2", 1]]);
    expect(
      at.link.logs.filter(({ level, event }) => level === "error" && event === "nats.events_lost").length,
    ).toBe(1);
  });

  test("has to be kept by somebody", async () => {
    await using bare = await startNats({ jetstream: false });
    await using link = await openLink(bare.ws);
    expect(await codeOf(natsEvents(link))).toBe("VALIDATION");
  });

  for (const version of ["2.9.10", "2.9.29", "2.10.18"]) {
    test(`is not kept by several servers of ${version}, where two could win (nats-server 4320, 5794)`, async () => {
      await using link = await openLink(server.ws);
      expect(await codeOf(natsEvents(threefold(link, version)))).toBe("VALIDATION");
    });
  }

  test("takes appends as large as its messages may be, and says what to do for larger ones", async () => {
    const large = Array.from({ length: 16 }, (_, n) => eventOf(`${n}`, 262_000));
    await using at = await pair();
    const refused = at.events.append("a", large).catch((error: unknown) => error);
    expect(await refused).toMatchObject({ code: "VALIDATION", data: { most: 1_048_576 }, retryable: false });
    expect((await at.events.append("a", large.slice(0, 3))).version).toBe(3);
    const most = Array.from({ length: 1000 }, (_, n) => eventOf(`${n}`.padStart(128, "i"), 890));
    const ends = new Set<string>();
    for (let more = 7500; more <= 9000; more += 100) {
      const filled = [{ ...most[0]!, data: "d".repeat(890 + more) }, ...most.slice(1)];
      ends.add(await codeOf(at.events.append(`full ${more}`, filled)));
    }
    expect([...ends]).toEqual(["nothing", "VALIDATION"]);
    await using roomy = await startNats({ settings: "max_payload: 16MB" });
    await using link = await openLink(roomy.ws);
    await using events = await natsEvents(link);
    expect((await events.append("a", large)).version).toBe(16);
    for (let n = 0; n < 70; n++) await events.append("b", [eventOf(`${n}`, 262_000)]);
    const page = await events.readAll();
    expect(page.length).toBeLessThan(60);
    let count = 0;
    for (let from = 1;; from = count + 1) {
      const { length } = await events.read("b", { from });
      if (length === 0) break;
      count += length;
    }
    expect(count).toBe(70);
  });
});

/** Two texts with the same hash. */
function twins(): [string, string] {
  const seen = new Map<number, string>();
  for (let n = 0;; n++) {
    const text = `twin ${n}`;
    const twin = seen.get(hash32(text));
    if (twin !== undefined) return [twin, text];
    seen.set(hash32(text), text);
  }
}

const lost = new CatgaError(systemFault("TRANSPORT", "No answer came"));
const unreached = new CatgaError(systemFault("UNAVAILABLE", "Nobody was asked"));
