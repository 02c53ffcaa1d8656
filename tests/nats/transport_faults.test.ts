/** Calls over NATS while servers, callers and receivers go away. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { nats, type NatsBackend, type NatsOptions } from "@catga/catga/nats";
import type { ExchangeOptions, Frame, Receiver, Reply, Transport } from "@catga/catga/ports";
import { wsconnect } from "@nats-io/nats-core";
import { failed, hurried, openLink, sleep, until } from "./support.ts";
import { type NatsServer, startNats } from "./server.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ jetstream: false });
});
afterAll(() => server[Symbol.asyncDispose]());

/** Nodes look after each other every 100 ms. */
const hurry = hurried(20);
const patient = hurried(1);
const to = { id: "b", endpoint: "b" };

interface Held {
  readonly frame: Frame;
  readonly reply: Reply;
  readonly options: ExchangeOptions;
  finish(): void;
}

interface Pair extends AsyncDisposable {
  readonly caller: Transport;
  readonly receiver: Transport;
  readonly backends: readonly [NatsBackend, NatsBackend];
  readonly held: Held[];
  /** Ends the receiver's connection. */
  kill(): Promise<void>;
  serve(): Promise<AsyncDisposable>;
}

/** Two nodes with a connection each, of which one holds on to what it is sent. */
async function pair({ runtime = patient, ...options }: NatsOptions = {}): Promise<Pair> {
  const connect = (): Promise<NatsBackend> => nats(server.ws, { runtime, reconnectWait: 50, ...options });
  const { pingInterval = 2000 } = options;
  const connection = await wsconnect({ servers: server.ws, reconnectTimeWait: 50, pingInterval });
  const backends = [await connect(), await nats({ connection }, { runtime, ...options })] as const;
  const caller = backends[0].open({ self: { id: "a", endpoint: "a" }, runtime }).transport;
  const receiver = backends[1].open({ self: to, runtime }).transport;
  const held: Held[] = [];
  const hold: Receiver = (frame, reply, options) =>
    new Promise((finish) => held.push({ frame, reply, options, finish }));
  return {
    caller,
    receiver,
    backends,
    held,
    // As by kill -9: nothing is said any more.
    kill: () => connection.close(),
    serve: () => receiver.serve(to, hold),
    [Symbol.asyncDispose]: async () => {
      for (const backend of backends) await backend[Symbol.asyncDispose]();
      await connection.close();
    },
  };
}

describe("calls", () => {
  test("are TRANSPORT as soon as the connection is lost, and go on when it is back", async () => {
    await using nodes = await pair();
    await nodes.serve();
    const lost = failed(nodes.caller.exchange(to, "1", () => {}));
    await until(() => nodes.held.length === 1);
    const signal = nodes.held[0]!.options.signal!;
    await server.kill();
    expect(await lost).toBe("TRANSPORT");
    await until(() => signal.aborted);
    expect(await failed(nodes.caller.exchange(to, "2", () => {}))).toBe("UNAVAILABLE");
    await server.restart();
    await until(() => nodes.backends.every(({ status }) => status === "connected"));
    const replies: Frame[] = [];
    const next = nodes.caller.exchange(to, "3", (frame) => void replies.push(frame));
    await until(() => nodes.held.length === 2);
    await nodes.held[1]!.reply("yes");
    nodes.held[1]!.finish();
    await next;
    expect(replies).toEqual(["yes"]);
  });

  test("are TRANSPORT when the server stands still, and that is noticed", async () => {
    await using nodes = await pair({ pingInterval: 100 });
    await nodes.serve();
    const lost = failed(nodes.caller.exchange(to, "1", () => {}));
    await until(() => nodes.held.length === 1);
    server.pause();
    try {
      expect(await lost).toBe("TRANSPORT");
      expect(await failed(nodes.caller.exchange(to, "2", () => {}))).toBe("UNAVAILABLE");
    } finally {
      server.resume();
    }
    await until(() => nodes.backends.every(({ status }) => status === "connected"));
    const next = nodes.caller.exchange(to, "3", () => {});
    await until(() => nodes.held.length === 2);
    nodes.held[1]!.finish();
    await next;
  });

  test("whose caller is lost without a word are aborted after a while", async () => {
    await using nodes = await pair({ runtime: hurry });
    await nodes.serve();
    const kept = failed(nodes.caller.exchange(to, "kept", () => {}));
    const link = await openLink(server.ws);
    const gone = link.connection;
    // What a node would say, but for what it says later.
    const inbox = `catga.main.r.${"A".repeat(22)}`;
    const call = new Uint8Array([0xc1, 1, 7, 0, 0, 0, 4, 0, 0, 0, 103, 111, 110, 101]);
    gone.publish("catga.main.n.b", call, { reply: `${inbox}.0` });
    await until(() => nodes.held.length === 2);
    const lost = nodes.held.find(({ frame }) => frame === "gone")!.options.signal!;
    const still = nodes.held.find(({ frame }) => frame === "kept")!;
    await link[Symbol.asyncDispose]();
    await until(() => lost.aborted);
    // Another round or two, in which nothing befalls the one whose caller is there.
    await sleep(1500);
    expect(still.options.signal!.aborted).toBe(false);
    still.finish();
    expect(await kept).toBe("ok");
  });

  test("whose receiver is lost without a word are TRANSPORT after a while", async () => {
    await using nodes = await pair({ runtime: hurry });
    await nodes.serve();
    const lost = failed(nodes.caller.exchange(to, "1", () => {}));
    await until(() => nodes.held.length === 1);
    await nodes.kill();
    expect(await lost).toBe("TRANSPORT");
    expect(await failed(nodes.caller.exchange(to, "2", () => {}))).toBe("UNAVAILABLE");
  });

  test("that a new life of a node knows nothing of are TRANSPORT", async () => {
    await using nodes = await pair({ runtime: hurry });
    await nodes.serve();
    const lost = failed(nodes.caller.exchange(to, "1", () => {}));
    await until(() => nodes.held.length === 1);
    await nodes.kill();
    await using next = await nats(server.ws);
    await next.open({ self: to, runtime: patient }).transport.serve(to, () => new Promise(() => {}));
    expect(await lost).toBe("TRANSPORT");
  });

  test("are bounded, in number and in size", async () => {
    await using nodes = await pair({ limit: 8 * 1024 * 1024 });
    await nodes.serve();
    const frame = "x".repeat(8 * 1024 * 1024);
    const ends = Array.from({ length: 10 }, () => failed(nodes.caller.exchange(to, frame, () => {})));
    const refused = await Promise.race([ends[9]!, sleep(5000).then(() => "open")]);
    expect(refused).toBe("UNAVAILABLE");
    await until(() => nodes.held.length === 8);
    for (const held of nodes.held) held.finish();
    expect((await Promise.all(ends)).filter((end) => end === "ok")).toHaveLength(8);
  });

  test("hold on to a little of what is not taken, whatever is replied", async () => {
    await using nodes = await pair();
    const piece = "x".repeat(4000);
    let given = 0;
    await nodes.receiver.serve(to, async (_frame, reply, { signal }) => {
      while (!signal!.aborted) {
        await reply(piece);
        given++;
      }
    });
    const controller = new AbortController();
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => open = resolve);
    const { signal } = controller;
    const ended = failed(nodes.caller.exchange(to, "?", () => gate, { signal }));
    await until(() => given > 0);
    for (let before = -1; before !== given; await sleep(50)) before = given;
    expect(given * piece.length).toBeLessThan(2 * 1024 * 1024);
    open();
    const before = given;
    await until(() => given > before + 1000);
    controller.abort();
    expect(await ended).toBe("CANCELLED");
  });

  test("replies that stay below what is said of room need none", async () => {
    await using nodes = await pair();
    await nodes.receiver.serve(to, async (_frame, reply) => {
      await reply("x".repeat(15_000));
      for (const size of [3_000_000, 16_000, 2_000_000, 1]) await reply("x".repeat(size));
    });
    const sizes: number[] = [];
    await nodes.caller.exchange(to, "?", (frame) => void sizes.push(frame.length));
    expect(sizes).toEqual([15_000, 3_000_000, 16_000, 2_000_000, 1]);
  });

  test("go to no node from the moment when it stops on", async () => {
    await using nodes = await pair();
    const ends = new Set<unknown>();
    let late = 0;
    for (let round = 0; round < 40; round++) {
      let stopped = false;
      const served = await nodes.receiver.serve(to, () => {
        if (stopped) late++;
        return Promise.resolve();
      });
      const sent = Array.from({ length: 20 }, () => failed(nodes.caller.exchange(to, "?", () => {})));
      // Some rounds are on their way to the node by then, some are not.
      if (round % 4 > 0) await sleep(round % 4 - 1);
      stopped = true;
      await served[Symbol.asyncDispose]();
      for (const end of await Promise.all(sent)) ends.add(end);
    }
    expect(late).toBe(0);
    expect([...ends].filter((end) => end !== "ok")).toEqual(["UNAVAILABLE"]);
  });
});
