/** What crashes, pauses and goodbyes do to exchanges. */

import { describe, expect, test } from "bun:test";
import { open, pair, peer } from "./pair.ts";
import type { ExchangeOptions, Receiver } from "@catga/catga/ports";

/** Never answers, and tells what it was given. */
function silent(): { receiver: Receiver; options: () => ExchangeOptions; count: () => number } {
  const given: ExchangeOptions[] = [];
  return {
    receiver: (_frame, _reply, options) => {
      given.push(options);
      return new Promise(() => {});
    },
    options: () => given[0]!,
    count: () => given.length,
  };
}

describe("a receiver that crashes", () => {
  test("resets exchanges that reached it, after a while", async () => {
    const { receiver } = silent();
    const { simulation, send } = await pair(receiver, { latency: [10, 10] });
    const sent = send();
    await simulation.run(50);
    simulation.crash("b");
    await simulation.run(5);
    expect(sent.end).toBe("open");
    await simulation.run(10);
    expect(sent.end).toBe("TRANSPORT");
  });

  test("resets those on their way to it, and its next life does not get them", async () => {
    const { receiver, count } = silent();
    const { simulation, network, send } = await pair(receiver, { latency: [10, 10] });
    const sent = send();
    await simulation.run(5);
    simulation.crash("b");
    await open(network, simulation.restart("b"), "b").serve(peer("b"), receiver);
    await simulation.run(100);
    expect([sent.end, count()]).toEqual(["TRANSPORT", 0]);
  });

  test("refuses new ones", async () => {
    const { receiver } = silent();
    const { simulation, send } = await pair(receiver);
    simulation.crash("b");
    const sent = send();
    await simulation.run(100);
    expect(sent.end).toBe("UNAVAILABLE");
  });

  test("never lets a frame that travels twice look as if it had reached nobody", async () => {
    for (let seed = 0; seed < 50; seed++) {
      const { receiver, count } = silent();
      const { simulation, send } = await pair(receiver, { latency: [1, 100], duplicate: 1 }, seed);
      const sent = send();
      await simulation.until(() => count() > 0, 200);
      simulation.crash("b");
      await simulation.run(500);
      expect(["TRANSPORT", "open"]).toContain(sent.end);
    }
  });

  test("says nothing any more", async () => {
    const { simulation, send } = await pair((frame, reply) =>
      new Promise((resolve) => {
        simulation.after(50, () => {
          void reply(frame);
          resolve();
        });
      })
    );
    const sent = send();
    await simulation.run(20);
    simulation.crash("b");
    await simulation.run(100);
    expect(sent).toEqual({ replies: [], end: "TRANSPORT" });
  });
});

describe("a caller that crashes", () => {
  test("hears of nothing, its exchanges count no more, and the receiver is told", async () => {
    const { receiver, options } = silent();
    const { simulation, send } = await pair(receiver);
    const sent = send();
    await simulation.run(20);
    const { signal } = options();
    simulation.crash("a");
    expect(simulation.pending().exchanges).toBe(0);
    await simulation.run(20);
    expect(sent.end).toBe("open");
    expect(signal!.aborted).toBe(true);
  });

  test("can ask for nothing any more", async () => {
    const { receiver, count } = silent();
    const { simulation, a, send } = await pair(receiver);
    simulation.crash("a");
    const sent = send();
    void a[Symbol.asyncDispose]();
    await simulation.run(100);
    expect([sent.end, count()]).toEqual(["open", 0]);
  });

  test("in another place than the receiver goes unnoticed behind a cut, until the receiver speaks", async () => {
    let speak = (): void => {};
    let signal: AbortSignal | undefined;
    const { simulation, network, send } = await pair((_, reply, options) => {
      signal = options.signal;
      speak = () => void reply("still there?");
      return new Promise(() => {});
    });
    send();
    await simulation.run(20);
    network.cut("a", "b");
    simulation.crash("a");
    await simulation.run(100);
    expect(signal!.aborted).toBe(false);
    network.mend("a", "b");
    speak();
    await simulation.run(100);
    expect(signal!.aborted).toBe(true);
  });
});

describe("giving up", () => {
  test("reaches the receiver later, and never before the frame", async () => {
    const { receiver, count, options } = silent();
    const { simulation, network, send } = await pair(receiver, { latency: [50, 50] });
    const controller = new AbortController();
    const sent = send("", { signal: controller.signal });
    network.change({ latency: [1, 1] });
    controller.abort();
    await simulation.run(49);
    expect([sent.end, count()]).toEqual(["CANCELLED", 0]);
    expect(await simulation.until(() => count() === 1, 10)).toBe(true);
    expect(options().signal!.aborted).toBe(false);
    await simulation.run(10);
    expect(options().signal!.aborted).toBe(true);
  });
});

describe("standing still", () => {
  test("keeps frames waiting at the door, in order", async () => {
    const got: unknown[] = [];
    const { simulation, send } = await pair((frame) => Promise.resolve(void got.push(frame)));
    simulation.pause("b");
    const sent = ["1", "2", "3"].map((frame) => {
      const each = send(frame);
      simulation.note(frame);
      return each;
    });
    await simulation.run(1000);
    expect(got).toEqual([]);
    simulation.resume("b");
    await simulation.run(1000);
    expect(got.toSorted()).toEqual(["1", "2", "3"]);
    expect(sent.map(({ end }) => end)).toEqual(["ok", "ok", "ok"]);
  });
});

describe("a goodbye", () => {
  test("breaks off what is under way, and refuses what comes", async () => {
    const { receiver, options } = silent();
    const { simulation, served, send } = await pair(receiver);
    const before = send();
    await simulation.run(20);
    const { signal } = options();
    await served[Symbol.asyncDispose]();
    const after = send();
    await simulation.run(20);
    expect([before.end, after.end]).toEqual(["TRANSPORT", "UNAVAILABLE"]);
    expect(signal!.aborted).toBe(true);
  });

  test("of the caller ends its own exchanges", async () => {
    const { receiver, options } = silent();
    const { simulation, a, send } = await pair(receiver);
    const sent = send();
    await simulation.run(20);
    const { signal } = options();
    await a[Symbol.asyncDispose]();
    await simulation.run(20);
    expect([sent.end, send().end]).toEqual(["TRANSPORT", "open"]);
    expect(signal!.aborted).toBe(true);
  });
});
