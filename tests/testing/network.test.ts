/** What the simulated network does to frames. */

import { describe, expect, test } from "bun:test";
import { createSimulation } from "@catga/catga/testing";
import type { Reply } from "@catga/catga/ports";
import { echo, open, pair, peer } from "./pair.ts";

describe("a frame", () => {
  test("takes as long as the latency says, there and back", async () => {
    const { simulation, send } = await pair(echo, { latency: [10, 10] });
    const sent = send();
    await simulation.run(19);
    expect(sent).toEqual({ replies: [], end: "open" });
    await simulation.run(2);
    expect(sent).toEqual({ replies: ["hello"], end: "ok" });
    expect(simulation.pending().exchanges).toBe(0);
  });

  test("that is lost leaves silence, until the caller gives up", async () => {
    const { simulation, network, send } = await pair(echo, { loss: 1 });
    const controller = new AbortController();
    const sent = send("hello", { signal: controller.signal });
    await simulation.run(60_000);
    expect(sent).toEqual({ replies: [], end: "open" });
    expect(network.exchanges()).toEqual([{ from: "a", to: "sim:b", since: 0 }]);
    controller.abort();
    await simulation.run(0);
    expect(sent.end).toBe("CANCELLED");
    expect(network.exchanges()).toEqual([]);
    expect(network.stats).toMatchObject({ sent: 1, lost: 1 });
  });

  test("that is doubled arrives twice, a doubled reply likewise, and the exchange ends once", async () => {
    let received = 0;
    const { simulation, send } = await pair(
      (frame, reply) => echo(`${String(frame)} ${++received}`, reply, {}),
      {
        duplicate: 1,
      },
    );
    const sent = send();
    await simulation.run(100);
    expect(received).toBe(2);
    expect(sent.end).toBe("ok");
    expect([2, 4]).toContain(sent.replies.length);
  });

  test("that is slow comes when it comes; others overtake it", async () => {
    const { simulation, network, send } = await pair(echo, { slow: 1, slowLatency: [1000, 1000] });
    const slow = send("slow");
    network.change({ slow: 0 });
    const fast = send("fast");
    await simulation.run(500);
    expect([slow.end, fast.end]).toEqual(["open", "ok"]);
    await simulation.run(1000);
    expect(slow.end).toBe("ok");
  });

  test("to nobody is refused after a while", async () => {
    const simulation = createSimulation({ seed: 1 });
    const network = simulation.network({ latency: [10, 10] });
    const a = open(network, simulation.runtime("a"), "a");
    let code = "open";
    a.exchange(peer("b"), "", () => {}).catch((error: { code: string }) => code = error.code);
    await simulation.run(19);
    expect(code).toBe("open");
    await simulation.run(2);
    expect(code).toBe("UNAVAILABLE");
  });
});

describe("replies", () => {
  const many = (count: number) => async (_: unknown, reply: Reply): Promise<void> => {
    for (let part = 0; part < count; part++) await reply(String(part));
  };

  test("of one exchange come in order, then its end, unless the network puts them out of order", async () => {
    const inOrder = Array.from({ length: 20 }, (_, part) => String(part));
    const { simulation, network, send } = await pair(many(20), { latency: [1, 50] });
    const sent = send();
    await simulation.run(1000);
    expect(sent).toEqual({ replies: inOrder, end: "ok" });
    network.change({ reorder: 1 });
    const mixed = send();
    await simulation.run(1000);
    expect(mixed.replies).not.toEqual(inOrder);
  });

  test("after one that was lost are lost, too", async () => {
    const { simulation, send } = await pair(many(200), { loss: 0.05 }, 5);
    const sent = send();
    await simulation.run(60_000);
    expect(sent.replies.length).toBeGreaterThan(0);
    expect(sent.replies.length).toBeLessThan(200);
    expect(sent.replies).toEqual(Array.from({ length: sent.replies.length }, (_, part) => String(part)));
    expect(sent.end).toBe("open");
  });

  test("wait for a slow caller, and so does the receiver", async () => {
    let given = 0;
    const { simulation, send } = await pair(async (_, reply) => {
      for (; given < 200; given++) await reply("");
    });
    const { clock } = simulation.runtime("a");
    const sent = send("", { reply: () => new Promise((resolve) => void clock.timer(10, resolve)) });
    await simulation.run(100);
    expect(given).toBeLessThan(60);
    await simulation.run(3000);
    expect(sent.replies).toHaveLength(200);
    expect(sent.end).toBe("ok");
  });

  test("that the caller cannot take end the exchange", async () => {
    const { simulation, send } = await pair(many(2));
    const sent = send("", { reply: () => Promise.reject(new Error("no")) });
    await simulation.run(100);
    expect(sent.end).toBe("TRANSPORT");
  });
});

describe("links", () => {
  test("are cut in one direction", async () => {
    let received = 0;
    const { simulation, network, send } = await pair((frame, reply, options) => {
      received++;
      return echo(frame, reply, options);
    });
    network.cut("b", "a");
    const oneWay = send();
    await simulation.run(100);
    expect([received, oneWay.end]).toEqual([1, "open"]);
    network.cut("a", "b");
    send();
    await simulation.run(100);
    expect(received).toBe(1);
    network.mend("b", "a");
    network.mend("a", "b");
    const mended = send();
    await simulation.run(100);
    expect(mended.end).toBe("ok");
  });

  test("have conditions of their own, and heal", async () => {
    const { simulation, network, send } = await pair(echo, { loss: 0.5, duplicate: 0.5 });
    network.change({ latency: [100, 100], loss: 0, duplicate: 0 }, "a", "b");
    network.change({ loss: 0 }, "b", "a");
    const lagging = send();
    await simulation.run(90);
    expect(lagging.end).toBe("open");
    await simulation.run(20);
    expect(lagging.end).toBe("ok");
    network.heal();
    const healed = Array.from({ length: 50 }, () => send());
    await simulation.run(10);
    expect(healed.filter(({ end, replies }) => end === "ok" && replies.length === 1)).toHaveLength(50);
  });

  test("refuse what is not a rate or a range", () => {
    const simulation = createSimulation({ seed: 1 });
    expect(() => simulation.network({ loss: 2 })).toThrow("loss is 2, but must be 0 to 1");
    expect(() => simulation.network().change({ latency: [3, 2] })).toThrow("latency is [3, 2]");
  });
});

test("a runtime of another world is refused", () => {
  const runtime = createSimulation({ seed: 1 }).runtime("a");
  const { backend } = createSimulation({ seed: 1 }).network();
  expect(() => backend.open({ self: peer("a"), runtime })).toThrow("not of this simulation");
});
