/** Connections to a real nats-server: how they begin, how they come back, and what they say. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { nkeys, wsconnect } from "@nats-io/nats-core";
import { nats, type WebSocketMaker } from "@catga/catga/nats";
import { type LogEntry, systemRuntime } from "@catga/catga/ports";
import { failed, openLink, sleep, until } from "./support.ts";
import { beside, roomOf } from "../support/beside.ts";
import { type NatsServer, startNats } from "./server.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

describe("a link", () => {
  test("asks, and is answered", async () => {
    await using link = await openLink(server.ws);
    expect(link.up).toBe(true);
    expect(link.jetstream).toBeDefined();
    link.connection.subscribe("echo", { callback: (_error, message) => void message.respond(message.data) });
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => link.ask("echo", `${n}`)));
    expect(answers.map((answer) => answer.string())).toEqual(Array.from({ length: 100 }, (_, n) => `${n}`));
  });

  test("says at once that nobody listens, after a while that nobody answers, and that it was given up", async () => {
    await using link = await openLink(server.ws);
    link.connection.subscribe("silent", { callback: () => {} });
    expect(await failed(link.ask("nobody"))).toBe("UNAVAILABLE");
    expect(await failed(link.ask("silent", "", { timeout: 20 }))).toBe("TRANSPORT");
    expect(await failed(link.ask("silent", "", { signal: AbortSignal.abort() }))).toBe("CANCELLED");
    const controller = new AbortController();
    const asked = failed(link.ask("silent", "", { signal: controller.signal }));
    controller.abort();
    expect(await asked).toBe("CANCELLED");
    expect(await failed(link.ask("no subject"))).toBe("UNAVAILABLE");
  });

  test("lets no more wait than it may", async () => {
    await using link = await openLink(server.ws);
    link.connection.subscribe("slow", { callback: (_error, message) => void message.respond() });
    const payload = new Uint8Array(1_000_000);
    const ends = await Promise.all(Array.from({ length: 70 }, () => failed(link.ask("slow", payload))));
    expect(ends.slice(0, 67)).toEqual(Array.from({ length: 67 }, () => "ok"));
    expect(ends.slice(67)).toEqual(["UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE"]);
    expect(await failed(link.ask("slow", payload))).toBe("ok");
  });

  test("warns of what its server is known for, less loud on this machine", async () => {
    await using link = await openLink(server.ws);
    const said = link.logs.filter(({ event }) => event === "nats.holes");
    const { version } = link.connection.info!;
    if (version.startsWith("2.9.")) expect(said).toMatchObject([{ level: "info", fields: { version } }]);
    else expect(said.length).toBeLessThan(2);
  });
});

describe("when the server goes and comes back", () => {
  const test = beside(6, async () => roomOf({ server: await startNats() }));

  test("a link comes back by itself, and runs what waits for that", async ({ server }) => {
    await using link = await openLink(server.ws);
    const seen: string[] = [];
    link.onReconnect(() => seen.push("again"));
    link.onStatus((status) => seen.push(status));
    link.connection.subscribe("silent", { callback: () => {} });
    await link.connection.flush();
    const open = failed(link.ask("silent"));
    await server.kill();
    await until(() => !link.up);
    expect(await open).toBe("TRANSPORT");
    expect(await failed(link.ask("silent"))).toBe("UNAVAILABLE");
    await server.restart();
    await until(() => link.up);
    expect(seen).toEqual(["away", "again", "connected"]);
    const events = link.logs.map(({ event }) => event).filter((event) => event !== "nats.holes");
    expect(events).toEqual(["nats.lost", "nats.reconnected"]);
  });

  test("nothing piles up while it is away, and health says why", async ({ server }) => {
    await using backend = await nats(server.ws, {
      reconnectWait: 50,
      runtime: systemRuntime({ log: () => {} }),
    });
    const self = { id: "a", endpoint: "a" };
    const { transport } = backend.open({ self, runtime: systemRuntime({ log: () => {} }) });
    expect(await backend.health()).toMatchObject({ healthy: true, version: expect.stringMatching(/^2\./) });
    await server.kill();
    await until(() => backend.status === "away");
    const frame = "x".repeat(1000);
    for (let round = 0; round < 100; round++) {
      const ends = Array.from({ length: 100 }, () => failed(transport.exchange(self, frame, () => {})));
      expect(new Set(await Promise.all(ends))).toEqual(new Set(["UNAVAILABLE"]));
    }
    expect(await backend.health()).toEqual({ healthy: false, reason: "no server is reached just now" });
    expect(await failed(transport.serve(self, () => Promise.resolve()))).toBe("UNAVAILABLE");
    await server.restart();
    await until(() => backend.status === "connected");
    expect((await backend.health()).healthy).toBe(true);
    await transport[Symbol.asyncDispose]();
  });

  for (
    const [how, messages] of [["with nothing to send", 0], ["with much that it does not take", 40]] as const
  ) {
    test(`one that stands still is found dead, ${how}`, async ({ server }) => {
      await using link = await openLink(server.ws, { pingInterval: 100, connectTimeout: 3000 });
      link.connection.subscribe("silent", { callback: () => {} });
      await link.connection.flush();
      server.pause();
      try {
        const open = failed(link.ask("silent", "", { timeout: 60_000 }));
        for (let n = 0; n < messages; n++) link.connection.publish("much", new Uint8Array(900_000));
        await until(() => !link.up);
        expect(await open).toBe("TRANSPORT");
        await sleep(1500);
      } finally {
        server.resume();
      }
      await until(() => link.up);
      expect(await failed(link.ask("nobody"))).toBe("UNAVAILABLE");
    });
  }

  test("goes over to another server, also to one that was away when it began", async () => {
    const [first, second] = [await startNats({ jetstream: false }), await startNats({ jetstream: false })];
    await first.kill();
    await using link = await openLink(`${first.ws},${second.ws}`, { connectTimeout: 3000 });
    await first.restart();
    let again = 0;
    link.onReconnect(() => again++);
    await second.kill();
    await until(() => again === 1);
    expect(await failed(link.ask("nobody"))).toBe("UNAVAILABLE");
    await link[Symbol.asyncDispose]();
    await first[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
  });

  test("a link whose tries are counted is closed for good, and says so", async () => {
    const own = await startNats({ jetstream: false });
    const link = await openLink(own.ws, { maxReconnectAttempts: 2, reconnectWait: 20 });
    await own[Symbol.asyncDispose]();
    await until(() => link.status === "closed");
    expect(await failed(link.ask("x"))).toBe("UNAVAILABLE");
    expect(link.logs.at(-1)).toMatchObject({ level: "error", event: "nats.closed" });
    await link[Symbol.asyncDispose]();
  });
});

describe("coming in", () => {
  const seed = nkeys.createUser();
  const text = new TextDecoder();
  const cases = [
    ["user and password", `authorization { user: me, password: secret }`, { user: "me", pass: "secret" }],
    ["token", `authorization { token: secret }`, { token: "secret" }],
    ["nkey", `authorization { users: [{ nkey: ${seed.getPublicKey()} }] }`, {
      nkey: text.decode(seed.getSeed()),
    }],
  ] as const;

  test.each(cases)("goes by %s", async (_way, settings, options) => {
    await using own = await startNats({ settings, jetstream: false });
    await using link = await openLink(own.ws, options);
    expect(await failed(link.ask("x"))).toBe("UNAVAILABLE");
    const refused = openLink(own.ws).then(() => "ok", (thrown) => thrown as Error & { code: string });
    expect(await refused).toMatchObject({ code: "UNAVAILABLE" });
    const wrong = await openLink(own.ws, { token: "wrong-secret" }).catch((thrown) => String(thrown));
    expect(wrong).not.toMatch(/secret/);
  });

  test("by an account that keeps nothing goes without", async () => {
    const settings = `accounts { A { users: [{ user: me, password: secret }] } }`;
    await using own = await startNats({ settings });
    const runtime = systemRuntime({ log: () => {} });
    await using backend = await nats(own.ws, { user: "me", pass: "secret", runtime, peers: ["a", "b"] });
    expect(backend).toMatchObject({ durability: "none", status: "connected" });
    expect(backend.store).toBe(undefined);
    const { seeds } = backend.open({ self: { id: "a", endpoint: "a" }, runtime });
    expect(seeds()).toEqual([{ id: "*", endpoint: "b" }]);
  });

  test("without the right to use JetStream says so, and goes without when told", async () => {
    const permissions = `permissions: { publish: "catga.>", subscribe: "catga.>" }`;
    const settings = `authorization { users: [{ user: me, password: secret, ${permissions} }] }`;
    await using own = await startNats({ settings });
    const options = { user: "me", pass: "secret", runtime: systemRuntime({ log: () => {} }) };
    const refused = await nats(own.ws, options).catch((error: Error) => error);
    expect(refused).toMatchObject({ code: "UNAVAILABLE", message: expect.stringMatching(/storage: false/) });
    await using backend = await nats(own.ws, { ...options, storage: false });
    const self = { id: "a", endpoint: "a" };
    const { transport, durability } = backend.open({ self, runtime: options.runtime });
    expect(durability).toBe("none");
    await transport.serve(self, async (frame, reply) => void await reply(frame));
    expect(await failed(transport.exchange(self, "?", () => {}))).toBe("ok");
  });

  test("without the right to send to a node says so at once", async () => {
    const permissions = `permissions: { publish: { deny: "catga.main.n.b" } }`;
    const settings = `authorization { users: [{ user: me, password: secret, ${permissions} }] }`;
    await using own = await startNats({ settings, jetstream: false });
    const runtime = systemRuntime({ log: () => {} });
    await using backend = await nats(own.ws, { user: "me", pass: "secret", runtime });
    const { transport } = backend.open({ self: { id: "a", endpoint: "a" }, runtime });
    expect(await failed(transport.exchange({ id: "b", endpoint: "b" }, "?", () => {}))).toBe("UNAVAILABLE");
  });

  test("without the right to listen serves nobody, and says why", async () => {
    const permissions = `permissions: { subscribe: { deny: "catga.main.n.>" } }`;
    const settings = `authorization { users: [{ user: me, password: secret, ${permissions} }] }`;
    await using own = await startNats({ settings, jetstream: false });
    const runtime = systemRuntime({ log: () => {} });
    await using backend = await nats(own.ws, { user: "me", pass: "secret", runtime });
    const self = { id: "a", endpoint: "a" };
    const { transport } = backend.open({ self, runtime });
    const refused = await transport.serve(self, () => Promise.resolve()).catch((error: Error) => error);
    expect(refused).toMatchObject({ code: "UNAVAILABLE", message: expect.stringMatching(/ermission/) });
  });

  test("goes by what stands in the URL", async () => {
    await using own = await startNats({ settings: cases[0][1], jetstream: false });
    await using link = await openLink(own.ws.replace("ws://", "ws://me:secret@"));
    expect(link.up).toBe(true);
  });

  test.each([
    ["where nobody is", "ws://127.0.0.1:1", {}, "UNAVAILABLE"],
    ["by TCP without it", "nats://127.0.0.1:4222", {}, "VALIDATION"],
    ["with certificates of its own by WebSocket", "wss://127.0.0.1:1", { tls: {} }, "VALIDATION"],
    ["under a name that is none", "ws://127.0.0.1:1", { cluster: "a.b" }, "VALIDATION"],
    ["under a name that reaches further", "ws://127.0.0.1:1", { cluster: ">" }, "VALIDATION"],
  ])("%s fails", async (_where, url, options, code) => {
    expect(await failed(nats(url, options))).toBe(code);
  });

  test("without a WebSocket says so, and takes one that is given", async () => {
    const here = globalThis as { WebSocket?: unknown; Deno?: unknown };
    const { WebSocket: real } = here;
    try {
      here.WebSocket = undefined;
      // Deno has sockets, so it needs none.
      if (here.Deno !== undefined) return await (await openLink(server.ws))[Symbol.asyncDispose]();
      const thrown = await nats(server.ws).catch((error: Error) => error);
      expect(thrown).toMatchObject({
        code: "VALIDATION",
        message: expect.stringMatching(/has no WebSocket.*webSocket/),
      });
      await using link = await openLink(server.ws, { webSocket: real as WebSocketMaker });
      expect(link.up).toBe(true);
    } finally {
      here.WebSocket = real;
    }
  });

  test("goes on a connection that is there, which stays open", async () => {
    const connection = await wsconnect({ servers: server.ws });
    const logs: LogEntry[] = [];
    const runtime = systemRuntime({ log: (entry) => void logs.push(entry) });
    const backend = await nats({ connection }, { runtime });
    expect((await backend.health()).healthy).toBe(true);
    await backend[Symbol.asyncDispose]();
    expect(backend.status).toBe("closed");
    expect(connection.isClosed()).toBe(false);
    await connection.close();
    expect(await failed(nats({ connection }))).toBe("UNAVAILABLE");
    expect(logs.filter(({ level }) => level === "error")).toEqual([]);
  });
});
