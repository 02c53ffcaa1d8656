/** What is pushed to a store: without a gap, kept up with, and broken off when the server is silent. */

import { describe, expect, test } from "bun:test";
import { headers } from "@nats-io/nats-core";
import { StoreConsumer } from "../../adapters/nats/store_consumer.ts";
import type { StoreStream } from "../../adapters/nats/store_stream.ts";
import { type FakeRuntime, fakeRuntime } from "../behaviors/fake_runtime.ts";

interface Pushed {
  readonly subject?: string;
  readonly reply?: string;
  readonly head?: Readonly<Record<string, string>>;
  /** Whether it is word of the server's own. */
  readonly status?: boolean;
}

interface Rig {
  readonly runtime: FakeRuntime;
  readonly taken: string[];
  readonly broken: string[];
  readonly published: string[];
  /** Whether it still listens. */
  open(): boolean;
  idle: number;
  push(message: Pushed): void;
  reconnect(): void;
  close(): void;
}

/** A message, by its place among those of the consumer. */
const place = (delivered: number, rest = 0, newer = false): string =>
  newer
    ? `$JS.ACK.hub.hash.S.c.1.${100 + delivered}.${delivered}.1700000000000000000.${rest}.random`
    : `$JS.ACK.S.c.1.${100 + delivered}.${delivered}.1700000000000000000.${rest}`;

async function rig(): Promise<Rig> {
  const runtime = fakeRuntime();
  let [heard, open] = [(_: unknown): void => {}, true];
  const reconnects = new Set<() => void>();
  const state = { taken: [] as string[], broken: [] as string[], published: [] as string[], idle: 0 };
  const link = {
    name: "main",
    up: true,
    runtime,
    onReconnect: (run: () => void) => {
      reconnects.add(run);
      return () => reconnects.delete(run);
    },
    connection: {
      publish: (subject: string) => state.published.push(subject),
      subscribe: (_: string, { callback }: { callback: (error: null, message: unknown) => void }) => {
        heard = (message) => callback(null, message);
        return { unsubscribe: () => open = false };
      },
    },
  };
  const stream = {
    link,
    api: () => Promise.resolve({ name: "c", num_pending: 3 }),
  } as unknown as StoreStream;
  const consumer = await StoreConsumer.open(stream, { name: "S", floor: 1 }, {
    filter: "f.>",
    deliver: "new",
    heartbeat: 1000,
    take: ({ sequence, stamp }, rest) => state.taken.push(`${sequence} ${stamp} ${rest}`),
    idle: () => state.idle++,
    broken: (why) => state.broken.push(why),
  });
  expect(consumer.pending).toBe(3);
  return Object.assign(state, {
    runtime,
    open: () => open,
    push: ({ subject = "f.a", reply, head = {}, status = false }: Pushed) => {
      const all = headers(status ? 100 : 0, status ? "Idle Heartbeat" : "");
      for (const [name, value] of Object.entries(head)) all.set(name, value);
      heard({ subject, reply, headers: all, data: new Uint8Array() });
    },
    reconnect: () => [...reconnects].forEach((run) => run()),
    close: () => consumer.close(),
  });
}

describe("a consumer of the store", () => {
  test("takes messages with their places, of older servers and newer", async () => {
    const { push, taken, broken } = await rig();
    push({ reply: place(1, 1) });
    push({ reply: place(2, 0, true) });
    expect(taken).toEqual(["101 1700000000000 1", "102 1700000000000 0"]);
    expect(broken).toEqual([]);
  });

  test("breaks off when a message is missing, and takes nothing more", async () => {
    const { push, taken, broken } = await rig();
    push({ reply: place(1) });
    push({ reply: place(3) });
    push({ reply: place(4) });
    expect(taken).toHaveLength(1);
    expect(broken).toEqual(["messages were lost"]);
  });

  test("breaks off when a heartbeat tells of more than has come", async () => {
    const { push, broken } = await rig();
    push({ reply: place(1) });
    push({ status: true, head: { "Nats-Last-Consumer": "1" } });
    expect(broken).toEqual([]);
    push({ status: true, head: { "Nats-Last-Consumer": "2" } });
    expect(broken).toEqual(["messages were lost"]);
  });

  test("answers a server that waits for it to keep up, and does not take that for the end", async () => {
    const made = await rig();
    made.push({ reply: place(1) });
    made.push({ status: true, reply: "$JS.FC.1" });
    made.push({ status: true, head: { "Nats-Last-Consumer": "1", "Nats-Consumer-Stalled": "$JS.FC.2" } });
    expect(made.published).toEqual(["$JS.FC.1", "$JS.FC.2"]);
    expect(made.idle).toBe(0);
    made.push({ status: true, head: { "Nats-Last-Consumer": "1" } });
    expect(made.idle).toBe(1);
  });

  test("breaks off when nothing is heard for three heartbeats, and not before", async () => {
    const { push, runtime, broken } = await rig();
    for (let at = 1; at < 5; at++) {
      await runtime.advance(2900);
      push({ reply: place(at) });
    }
    expect(broken).toEqual([]);
    await runtime.advance(4100);
    expect(broken).toEqual(["nothing was heard for 3000 ms"]);
    expect(runtime.pending()).toBe(0);
  });

  test("breaks off when the connection was lost meanwhile", async () => {
    const { reconnect, broken } = await rig();
    reconnect();
    expect(broken).toEqual(["the connection was lost meanwhile"]);
  });

  test("takes what is no message of a stream for nothing", async () => {
    const { push, taken, broken } = await rig();
    for (
      const reply of [undefined, "", "inbox", "$JS.ACK", "$JS.ACK.S.c.1.x.1.1.0", "$JS.ACK.a.b.c.d.e.f.g"]
    ) {
      push(reply === undefined ? {} : { reply });
    }
    push({ reply: place(1) });
    expect(taken).toHaveLength(1);
    expect(broken).toEqual([]);
  });

  test("leaves neither timer nor subscription behind, and tells the server", async () => {
    const { close, open, runtime, published, broken } = await rig();
    expect(open()).toBe(true);
    close();
    close();
    expect(open()).toBe(false);
    expect(runtime.pending()).toBe(0);
    expect(published).toEqual(["$JS.API.CONSUMER.DELETE.S.c"]);
    await runtime.advance(10_000);
    expect(broken).toEqual([]);
  });
});
