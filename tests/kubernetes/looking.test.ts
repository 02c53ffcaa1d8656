/** How discoveries wait, give up and end: in virtual time, against answers that a test gives. */

import { describe, expect, test } from "bun:test";
import { dns, kubernetes, type OpenDiscovery } from "@catga/catga/kubernetes";
import type { FetchInit, FetchReply, LogEntry } from "@catga/catga/ports";
import { simulate, type Simulation } from "@catga/catga/testing";
import { pods, slice } from "./support.ts";

type Answer = (url: URL, init: FetchInit) => Promise<FetchReply>;

const never = (): Promise<never> => new Promise(() => {});
const discovery = kubernetes({ service: "orders", namespace: "shop", api: "http://127.0.0.1:1" });
const items = [slice("a", 1, { endpoints: pods("10.0.0.1") })];
const list = (): FetchReply => Response.json({ items, metadata: { resourceVersion: "5" } }) as never;
const reply = (text: string): FetchReply => {
  const body = (async function* () {
    yield new TextEncoder().encode(text);
  })();
  return { status: 200, headers: { get: () => null }, body, text: never };
};
const isWatch = (url: URL): boolean => url.searchParams.has("watch");

async function looking(
  answer: Answer,
  scenario: (simulation: Simulation, open: OpenDiscovery, logs: readonly LogEntry[]) => Promise<void>,
): Promise<void> {
  const logs: LogEntry[] = [];
  const log = (_node: string, entry: LogEntry): void => void logs.push(entry);
  const fetch = (_node: string, url: string, init: FetchInit) => answer(new URL(url), init);
  await simulate({ seed: 7, fetch, log }, async (simulation) => {
    await scenario(simulation, discovery.open(simulation.runtime("a")), logs);
  });
}

/** Ends a discovery; fails when that has to wait for something. */
async function end(simulation: Simulation, open: OpenDiscovery): Promise<void> {
  let ended = false;
  void Promise.resolve(open[Symbol.asyncDispose]()).then(() => ended = true);
  await simulation.run(0);
  expect(ended).toBe(true);
  expect(simulation.pending().timers).toBe(0);
}

describe("a list", () => {
  test("that fails is asked for less and less often, at least every half minute", async () => {
    const asked: number[] = [];
    let time = () => 0;
    const answer: Answer = () => {
      asked.push(time());
      return Promise.reject(new Error("refused"));
    };
    await looking(answer, async (simulation, open, logs) => {
      time = () => simulation.time;
      await simulation.run(600_000);
      const waits = asked.slice(1).map((at, n) => at - asked[n]!);
      expect(open.failures).toBe(asked.length);
      expect(Math.max(...waits)).toBeLessThanOrEqual(30_050);
      expect(Math.min(...waits)).toBeGreaterThanOrEqual(50);
      expect(waits[0]).toBeLessThanOrEqual(550);
      expect(asked.length).toBeGreaterThan(20);
      expect(asked.length).toBeLessThan(100);
      expect(logs).toHaveLength(1);
      await end(simulation, open);
    });
  });

  test("that never comes is given up after 30 s; its late answer changes nothing", async () => {
    let late: (reply: FetchReply) => void = () => {};
    let lists = 0;
    const answer: Answer = (url) => {
      if (isWatch(url)) return never();
      return ++lists === 1 ? new Promise((resolve) => late = resolve) : never();
    };
    await looking(answer, async (simulation, open, logs) => {
      await simulation.run(29_999);
      expect(logs).toEqual([]);
      await simulation.run(1000);
      expect(logs[0]!.message).toMatch(/listing EndpointSlices.*30000 ms/);
      expect(lists).toBe(2);
      late(list());
      await simulation.run(10);
      expect(open.endpoints()).toEqual([]);
      await end(simulation, open);
    });
  });

  test("busy servers are left alone as long as they ask for, a minute at most", async () => {
    const asked: number[] = [];
    const waits = ["20", "99999", "Wed, 21 Oct 2026 07:28:00 GMT"];
    let time = () => 0;
    const answer: Answer = () => {
      asked.push(time());
      const headers = { "retry-after": waits.shift() ?? "0" };
      return Promise.resolve(new Response(null, { status: 429, headers }) as never);
    };
    await looking(answer, async (simulation, open) => {
      time = () => simulation.time;
      await simulation.run(82_000);
      expect(asked).toHaveLength(4);
      expect(asked[1]).toBe(20_000);
      expect(asked[2]).toBe(80_000);
      expect(asked[3]).toBeLessThan(82_000);
      await end(simulation, open);
    });
  });

  test("pages that follow each other without end are left", async () => {
    let lists = 0;
    const page = { items: [], metadata: { resourceVersion: "5", continue: "more" } };
    const answer: Answer = () => {
      lists++;
      return Promise.resolve(Response.json(page) as never);
    };
    await looking(answer, async (simulation, open, logs) => {
      await simulation.until(() => open.failures > 0, 40_000);
      expect(lists).toBe(1000);
      expect(logs[0]!.message).toMatch(/more than 1000 pages/);
      await end(simulation, open);
    });
  });
});

describe("an answer that is refused", () => {
  test("is not read, and its connection is given back", async () => {
    let left = 0;
    const parts = {
      next: () => Promise.reject(new Error("it was read")),
      return: () => {
        left++;
        return Promise.resolve({ done: true as const, value: undefined });
      },
    };
    const body = { [Symbol.asyncIterator]: () => parts };
    const refused: FetchReply = { status: 403, headers: { get: () => null }, body, text: never };
    await looking(() => Promise.resolve(refused), async (simulation, open) => {
      await simulation.run(10);
      expect(left).toBe(1);
      await end(simulation, open);
    });
  });
});

test("an answer of Node's that is refused is destroyed: leaving what was never begun ends nothing there", async () => {
  let destroyed = 0;
  const body = {
    [Symbol.asyncIterator]: async function* () {
      yield await Promise.reject(new Error("it was read"));
    },
    on: () => {},
    destroy: () => void destroyed++,
  };
  const refused: FetchReply = { status: 403, headers: { get: () => null }, body, text: never };
  await looking(() => Promise.resolve(refused), async (simulation, open) => {
    await simulation.run(10);
    expect(destroyed).toBe(1);
    await end(simulation, open);
  });
});

describe("a watch", () => {
  test("of more slices than there is room for ends with a new list, which may have room for all", async () => {
    const many = (count: number) => ({
      items: Array.from({ length: count }, (_, n) => {
        const addresses = Array.from({ length: 1000 }, (_, at) => `10.${n}.${at >> 8}.${at & 255}`);
        return slice(`s${n}`, 1, { endpoints: pods(...addresses) });
      }),
      metadata: { resourceVersion: "5" },
    });
    const lists = [many(24), { items, metadata: { resourceVersion: "6" } }];
    let listed = 0;
    const answer: Answer = (url) => {
      if (!isWatch(url)) return Promise.resolve(reply(JSON.stringify(lists[listed++])));
      return listed < lists.length ? Promise.resolve(reply("{}\n")) : never();
    };
    await looking(answer, async (simulation, open) => {
      await simulation.run(10);
      expect(open.endpoints()).toHaveLength(1024);
      await simulation.run(2000);
      expect(listed).toBe(2);
      expect(open.endpoints()).toEqual(["http://10.0.0.1:5001"]);
      await end(simulation, open);
    });
  });

  test("that falls silent for good is given up", async () => {
    let watches = 0;
    const body = { [Symbol.asyncIterator]: () => ({ next: never }) };
    const silent = { status: 200, headers: { get: () => null }, body, text: never } satisfies FetchReply;
    const answer: Answer = (url) => {
      if (!isWatch(url)) return Promise.resolve(list());
      watches++;
      expect(url.searchParams.get("timeoutSeconds")).toBe("290");
      return Promise.resolve(silent);
    };
    await looking(answer, async (simulation, open) => {
      await simulation.run(319_999);
      expect(watches).toBe(1);
      expect(open.failures).toBe(0);
      await simulation.run(1000);
      expect(watches).toBe(2);
      expect(open.endpoints()).toEqual(["http://10.0.0.1:5001"]);
      await end(simulation, open);
    });
  });

  test("that ends as soon as it begins, again and again, is not asked for without end", async () => {
    let watches = 0;
    const answer: Answer = (url) => {
      if (!isWatch(url)) return Promise.resolve(list());
      watches++;
      return Promise.resolve(reply(""));
    };
    await looking(answer, async (simulation, open) => {
      await simulation.run(60_000);
      expect(watches).toBeGreaterThan(3);
      expect(watches).toBeLessThan(30);
      await end(simulation, open);
    });
  });
});

describe("a watch that breaks off", () => {
  const change = new TextEncoder().encode(JSON.stringify({ type: "ADDED", object: items[0] }) + "\n");

  test.each([
    ["after it stood for a minute", 60_000, false, 700, 62_000],
    ["after it brought something", 10, true, 100, 1010],
  ])("%s is made anew within a second, each time", async (_what, stands, brings, most, longest) => {
    const asked: number[] = [];
    let sleep: (ms: number) => Promise<void> = never;
    let time = () => 0;
    const answer: Answer = (url) => {
      if (!isWatch(url)) return Promise.resolve(list());
      asked.push(time());
      const body = (async function* () {
        if (brings) yield change;
        await sleep(stands);
        throw Object.assign(new Error("reset"), { code: "ECONNRESET" });
      })();
      return Promise.resolve({ status: 200, headers: { get: () => null }, body, text: never });
    };
    await looking(answer, async (simulation, open, logs) => {
      const { clock } = simulation.runtime("server");
      sleep = (ms) => new Promise((resolve) => void clock.timer(ms, resolve));
      time = () => simulation.time;
      await simulation.run(brings ? 30_000 : 1_200_000);
      const waits = asked.slice(1).map((at, n) => at - asked[n]!);
      expect(waits.length).toBeGreaterThan(15);
      expect(Math.max(...waits)).toBeLessThanOrEqual(longest);
      expect(waits.length).toBeLessThan(most);
      expect(open.failures).toBe(0);
      expect(logs).toEqual([]);
    });
  });

  test("as soon as it begins and brings nothing is a failure", async () => {
    let watches = 0;
    const answer: Answer = (url) => {
      if (!isWatch(url)) return Promise.resolve(list());
      watches++;
      return Promise.reject(Object.assign(new Error("reset"), { code: "ECONNRESET" }));
    };
    await looking(answer, async (simulation, open) => {
      await simulation.run(60_000);
      expect(open.failures).toBe(watches);
      expect(watches).toBeLessThan(30);
      await end(simulation, open);
    });
  });
});

describe("a watch that is refused", () => {
  test.each([[500, undefined, true], [504, undefined, true], [429, "1", false]])(
    "with %d again and again: the list is asked for anew, unless the server is only busy",
    async (code, wait, again) => {
      const lists: number[] = [];
      const watches: number[] = [];
      let time = () => 0;
      const headers: Record<string, string> = wait === undefined ? {} : { "retry-after": wait };
      const answer: Answer = (url) => {
        if (!isWatch(url)) {
          lists.push(time());
          return Promise.resolve(list());
        }
        watches.push(time());
        return Promise.resolve(new Response("{}", { status: code, headers }) as never);
      };
      await looking(answer, async (simulation, open) => {
        time = () => simulation.time;
        await simulation.run(120_000);
        expect(watches.length).toBeGreaterThan(6);
        if (!again) expect(lists).toHaveLength(1);
        else {
          expect(lists.length).toBeGreaterThan(1);
          expect(watches.filter((at) => at < lists[1]!)).toHaveLength(3);
          expect(lists.length).toBeLessThanOrEqual(1 + watches.length / 3);
        }
        expect(open.endpoints()).toEqual(["http://10.0.0.1:5001"]);
        await end(simulation, open);
      });
    },
  );
});

describe("a watch that brings something and ends at once", () => {
  const change = JSON.stringify({ type: "ADDED", object: items[0] }) + "\n";
  const gone = JSON.stringify({ type: "ERROR", object: { code: 410 } }) + "\n";

  test.each([["in order", change], ["as gone", change + gone]])(
    "%s, is not asked for without end",
    async (_how, body) => {
      let watches = 0;
      const answer: Answer = (url) => {
        if (!isWatch(url)) return Promise.resolve(list());
        watches++;
        return Promise.resolve(new Response(body) as never);
      };
      await looking(answer, async (simulation, open) => {
        await simulation.run(60_000);
        expect(watches).toBeGreaterThan(50);
        expect(watches).toBeLessThan(300);
        expect(open.failures).toBe(0);
        await end(simulation, open);
      });
    },
  );
});

describe("the end", () => {
  test.each([["a list", (): Promise<FetchReply> => never()], ["a watch", () => Promise.resolve(list())]])(
    "does not wait for %s, and aborts it",
    async (_what, first) => {
      let signal: AbortSignal | undefined;
      const answer: Answer = (url, init) => {
        signal = init.signal;
        return isWatch(url) ? never() : first();
      };
      await looking(answer, async (simulation, open) => {
        await simulation.run(10);
        expect(signal!.aborted).toBe(false);
        await end(simulation, open);
        expect(signal!.aborted).toBe(true);
        await open.ready;
      });
    },
  );

  test("comes also while a token is read, and between two looks", async () => {
    await simulate({ seed: 1 }, async (simulation) => {
      const api = "http://127.0.0.1:1";
      const stuck = kubernetes({ service: "orders", namespace: "shop", api, token: never });
      const open = stuck.open(simulation.runtime("a"));
      await simulation.run(10);
      await end(simulation, open);
      const names = dns({ name: "x", port: 1, resolve: () => Promise.resolve([]) });
      const looked = names.open(simulation.runtime("a"));
      await simulation.run(10);
      await end(simulation, looked);
    });
  });
});

describe("DNS", () => {
  test("looks every refresh, give or take a tenth, gives up a look that hangs, keeps what it knew", async () => {
    const asked: number[] = [];
    const logs: LogEntry[] = [];
    const log = (_node: string, entry: LogEntry): void => void logs.push(entry);
    await simulate({ seed: 3, log }, async (simulation) => {
      let hangs = false;
      const resolve = (_name: string, type: string) => {
        if (type === "AAAA") return Promise.reject(new Error("none"));
        asked.push(simulation.time);
        return hangs ? never() : Promise.resolve([{ host: "10.0.0.1" }]);
      };
      const open = dns({ name: "x", port: 1, refresh: 1000, timeout: 700, resolve })
        .open(simulation.runtime("a"));
      await simulation.run(10_500);
      const waits = asked.slice(1).map((at, n) => at - asked[n]!);
      for (const wait of waits) {
        expect(wait).toBeGreaterThanOrEqual(900);
        expect(wait).toBeLessThanOrEqual(1100);
      }
      expect(new Set(waits).size).toBeGreaterThan(3);
      hangs = true;
      await simulation.run(10_000);
      expect(open.endpoints()).toEqual(["http://10.0.0.1:1"]);
      expect(open.failures).toBeGreaterThan(2);
      hangs = false;
      await simulation.until(() => logs.length === 2, 60_000);
      expect(logs.map(({ event }) => event)).toEqual(["discovery.failed", "discovery.recovered"]);
      await end(simulation, open);
    });
  });
});
