/** The Kubernetes discovery against a server that speaks as the API does. */

import { describe, expect, test } from "bun:test";
import { kubernetes, type KubernetesOptions, mountedFile } from "@catga/catga/kubernetes";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { against, pods, sees, type StandIn, status, until } from "./support.ts";

const orders = (options: Partial<KubernetesOptions> = {}) => (api: StandIn) =>
  kubernetes({ service: "orders", namespace: "shop", api: api.url, ...options });
const at = (last: number | string, port = 5001): string => `http://10.0.0.${last}:${port}`;
const watched = (api: StandIn) => until(() => api.count("watch") > 0);

describe("list and watch", () => {
  test("lists, then follows what is added, modified and deleted", async () => {
    await against(orders(), async ({ api, open, logs }) => {
      await open.ready;
      expect(open.endpoints()).toEqual([at(1), at(2)]);
      api.put("b", { endpoints: pods("10.0.0.3") });
      await sees(open, at(1), at(2), at(3));
      api.put("a", { endpoints: pods("10.0.0.2", "10.0.0.4") });
      await sees(open, at(2), at(3), at(4));
      api.delete("b");
      await sees(open, at(2), at(4));
      api.put("a", { endpoints: null });
      await sees(open);
      expect(api.count("list")).toBe(1);
      expect(logs).toEqual([]);
      expect(open.failures).toBe(0);
    }, (api) => api.put("a", { endpoints: pods("10.0.0.1", "10.0.0.2") }));
  });

  test("the array stays the same while nothing changes", async () => {
    await against(orders(), async ({ api, open }) => {
      await open.ready;
      const before = open.endpoints();
      api.put("b", { endpoints: [] });
      api.put("a", { endpoints: pods("10.0.0.1") });
      await watched(api);
      api.put("c", { endpoints: pods("10.0.0.1") });
      expect(open.endpoints()).toBe(before);
    }, (api) => api.put("a", { endpoints: pods("10.0.0.1") }));
  });

  test("goes on from a bookmark after the watch has ended", async () => {
    await against(orders(), async ({ api, open }) => {
      await watched(api);
      api.bookmark();
      api.put("b", { endpoints: pods("10.0.0.2") });
      await sees(open, at(1), at(2));
      api.bookmark();
      const { version } = api;
      const before = api.count("watch");
      await new Promise((resolve) => setTimeout(resolve, 50));
      api.end();
      await until(() => api.count("watch") > before);
      expect(api.requests.at(-1)!.url.searchParams.get("resourceVersion")).toBe(String(version));
      expect(api.count("list")).toBe(1);
    }, (api) => api.put("a", { endpoints: pods("10.0.0.1") }));
  });

  test("a connection that drops is made anew and loses nothing", async () => {
    await against(orders(), async ({ api, open, logs }) => {
      await watched(api);
      api.put("b", { endpoints: pods("10.0.0.2") });
      await sees(open, at(1), at(2));
      for (let n = 3; n < 6; n++) {
        await until(() => api.watches > 0);
        api.end(true);
        api.put("b", { endpoints: pods(`10.0.0.${n}`) });
        await sees(open, at(1), at(n));
      }
      expect(api.count("list")).toBe(1);
      expect(logs.filter(({ level }) => level === "error")).toEqual([]);
    }, (api) => api.put("a", { endpoints: pods("10.0.0.1") }));
  });

  test.each([["by status", false], ["by event", true]])("410 Gone %s: lists again", async (_how, byEvent) => {
    await against(orders(), async ({ api, open, logs }) => {
      await watched(api);
      api.bookmark();
      await until(() => api.watches > 0);
      api.goneByEvent = byEvent;
      api.change("a", { endpoints: pods("10.0.0.9") });
      api.end();
      await sees(open, at(9));
      expect(api.count("list")).toBe(2);
      await until(() => api.watches > 0);
      expect(logs.filter(({ event }) => event === "discovery.failed").length).toBeLessThanOrEqual(1);
    }, (api) => api.put("a", { endpoints: pods("10.0.0.1") }));
  });

  test("a server that forgets at once what it lists is not asked without end", async () => {
    await against(orders(), async ({ api, open, logs }) => {
      await until(() => open.failures > 1);
      expect(api.count("list")).toBeLessThan(12);
      expect(logs.map(({ event }) => event)[0]).toBe("discovery.failed");
      expect(open.endpoints()).toEqual([at(1)]);
      api.compacted = 0;
      await until(() => api.watches > 0);
    }, (api) => {
      api.put("a", { endpoints: pods("10.0.0.1") });
      api.compacted = 1e9;
    });
  });
});

describe("which endpoints", () => {
  const seen = async (spec: Parameters<StandIn["put"]>[1], options: Partial<KubernetesOptions> = {}) => {
    let endpoints: readonly string[] = [];
    let log: readonly { readonly message: string }[] = [];
    await against(orders(options), async ({ open, logs }) => {
      await open.ready;
      endpoints = open.endpoints();
      log = logs;
    }, (api) => api.put("a", spec));
    return { endpoints, log };
  };

  test("ready or not told, and not one that ends", async () => {
    const addresses = (n: number) => ({ addresses: [`10.0.0.${n}`] });
    const { endpoints } = await seen({
      endpoints: [
        { ...addresses(1), conditions: {} },
        addresses(2),
        { ...addresses(3), conditions: { ready: false, serving: false } },
        { ...addresses(4), conditions: { ready: false, serving: true, terminating: true } },
        { ...addresses(5), conditions: { ready: true, serving: true, terminating: true } },
        { ...addresses(6), conditions: { ready: true, serving: false, terminating: false } },
      ],
    });
    expect(endpoints).toEqual([at(1), at(2), at(6)]);
  });

  test("IPv6, host names and what is no address", async () => {
    const six = await seen({ addressType: "IPv6", endpoints: pods("fd00::1", "::1]/x", "10.0.0.1", "g::1") });
    expect(six.endpoints).toEqual(["http://[fd00::1]:5001"]);
    expect((await seen({ addressType: "FQDN", endpoints: pods("a.example") })).endpoints).toEqual([]);
    const odd = [null, 1, {}, { addresses: [] }, { addresses: [7] }, { addresses: ["10.0.0.1/x?y"] }];
    expect((await seen({ endpoints: [...odd, ...pods("10.0.0.1")] as never })).endpoints).toEqual([at(1)]);
  });

  test("ports by number, by name, the only one; several without a name are a mistake that is told", async () => {
    const two = [{ name: "http", port: 5001 }, { name: "catga", port: 6001 }];
    const endpoints = pods("10.0.0.1");
    expect((await seen({ endpoints, ports: two }, { port: "catga" })).endpoints).toEqual([at(1, 6001)]);
    expect((await seen({ endpoints, ports: two }, { port: 7001 })).endpoints).toEqual([at(1, 7001)]);
    expect((await seen({ endpoints, ports: null }, { port: 7001 })).endpoints).toEqual([at(1, 7001)]);
    expect((await seen({ endpoints, ports: two }, { port: "other" })).endpoints).toEqual([]);
    expect((await seen({ endpoints, ports: [] })).endpoints).toEqual([]);
    expect((await seen({ endpoints, ports: [{ port: 0 }, { port: 70000 }, {}] })).endpoints).toEqual([]);
    expect((await seen({ endpoints }, { scheme: "https" })).endpoints).toEqual(["https://10.0.0.1:5001"]);
    const udp = [{ name: "http", port: 5001 }, { name: "gossip", port: 7000, protocol: "UDP" }];
    expect((await seen({ endpoints, ports: udp })).endpoints).toEqual([at(1)]);
    expect((await seen({ endpoints, ports: udp }, { port: "gossip" })).endpoints).toEqual([]);
    const { endpoints: none, log } = await seen({ endpoints, ports: two });
    expect(none).toEqual([]);
    expect(log[0]!.message).toMatch(/"http", "catga".*Name one/);
  });

  test("10,000 endpoints in 100 slices: pages, and no more than 1,024 are kept", async () => {
    await against(orders(), async ({ api, open, logs }) => {
      await open.ready;
      expect(open.endpoints()).toHaveLength(1024);
      expect(new Set(open.endpoints()).size).toBe(1024);
      expect(api.count("list")).toBe(4);
      await watched(api);
      for (let n = 0; n < 99; n++) api.delete(`s${n}`);
      await until(() => open.endpoints().length === 100);
      expect(logs.map(({ event }) => event)).toEqual(["discovery.cut"]);
    }, (api) => {
      for (let n = 0; n < 100; n++) {
        const endpoints = pods(...Array.from({ length: 100 }, (_, at) => `10.1.${n}.${at}`));
        api.put(`s${n}`, { endpoints });
      }
    });
  });
});

describe("the token", () => {
  test("is read again when it has been replaced, and a 401 on the way is no failure", async () => {
    const path = join(await mkdtemp(join(tmpdir(), "catga-")), "token");
    await writeFile(path, "first\n");
    await against(orders({ token: mountedFile(path) }), async ({ api, open, logs }) => {
      await sees(open, at(1));
      await until(() => api.watches > 0);
      await writeFile(path, "second\n");
      api.tokens.clear();
      api.tokens.add("second");
      api.put("b", { endpoints: pods("10.0.0.2") });
      await sees(open, at(1), at(2));
      api.end();
      api.put("b", { endpoints: pods("10.0.0.3") });
      await sees(open, at(1), at(3));
      expect(api.requests.at(-1)!.authorization).toBe("Bearer second");
      expect(logs).toEqual([]);
    }, (api) => {
      api.tokens.add("first");
      api.put("a", { endpoints: pods("10.0.0.1") });
    });
    await rm(path);
  });

  test("that was replaced between reading and sending is sent again at once", async () => {
    const given = ["old", "new", "new"];
    await against(orders({ token: () => given.shift() ?? "new" }), async ({ api, open, logs }) => {
      await sees(open, at(1));
      expect(api.requests.slice(0, 2).map(({ authorization }) => authorization))
        .toEqual(["Bearer old", "Bearer new"]);
      expect(logs).toEqual([]);
    }, (api) => {
      api.tokens.add("new");
      api.put("a", { endpoints: pods("10.0.0.1") });
    });
  });

  test("that is refused is told of once, without the token, and works later", async () => {
    const token = "s3cret-token-value";
    await against(orders({ token }), async ({ api, open, logs }) => {
      await until(() => open.failures > 2);
      expect(logs).toHaveLength(1);
      expect(logs[0]!.message).toMatch(/answered 401/);
      api.tokens.add(token);
      await sees(open, at(1));
      await until(() => logs.length === 2);
      expect(logs[1]!.event).toBe("discovery.recovered");
      expect(JSON.stringify(logs)).not.toContain(token);
    }, (api) => {
      api.tokens.add("another");
      api.put("a", { endpoints: pods("10.0.0.1") });
    });
  });

  test.each([["two\nlines"], [""], ["ключ"]])("that is none is not sent: %j", async (token) => {
    await against(orders({ token }), async ({ api, open, logs }) => {
      await open.ready;
      expect(api.requests).toEqual([]);
      expect(logs[0]!.message).toMatch(/token is empty or no token/);
      if (token !== "") expect(JSON.stringify(logs)).not.toContain(token.slice(0, 3));
    });
  });

  test("whose reader fails with it in the message does not get into the log", async () => {
    const token = () => Promise.reject(new Error("cannot use s3cret"));
    await against(orders({ token }), async ({ open, logs }) => {
      await open.ready;
      expect(logs).toHaveLength(1);
      expect(JSON.stringify(logs)).not.toContain("s3cret");
    });
  });

  test("a file that is not there", async () => {
    await against(orders({ token: mountedFile("/nowhere/token") }), async ({ open, logs }) => {
      await open.ready;
      expect(logs[0]!.message).toMatch(/Cannot read \/nowhere\/token: (ENOENT|NotFound)/);
    });
  });
});

describe("answers that are wrong", () => {
  const json = (value: unknown): Response => Response.json(value);
  const answers: readonly (readonly [string, () => Response])[] = [
    ["no JSON", () => new Response("<html>")],
    ["null", () => json(null)],
    ["an array", () => json([])],
    ["no items", () => json({ metadata: { resourceVersion: "1" } })],
    ["no version", () => json({ items: [] })],
    ["a version made to break a URL", () => json({ items: [], metadata: { resourceVersion: "1&x=\n" } })],
    ["a slice without a name", () => json({ items: [{}], metadata: { resourceVersion: "1" } })],
    ["a slice that is null", () => json({ items: [null], metadata: { resourceVersion: "1" } })],
    ["deep nesting", () => new Response("[".repeat(100_000))],
    ["a redirect", () => new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1/" } })],
    ["403", () => status(403)],
    ["500", () => status(500)],
    ["an empty body", () => new Response(null)],
    ["a page over the limit", () => new Response("x".repeat(20_000))],
  ];
  test.each(answers)("%s: the last list is kept, told once, and left behind", async (_name, answer) => {
    await against(orders({ limit: 10_000 }), async ({ api, open, logs }) => {
      await sees(open, at(1));
      await until(() => api.watches > 0);
      api.bookmark();
      api.instead = (url) => url.searchParams.has("watch") ? undefined : answer();
      api.compacted = 1e9;
      api.end();
      await until(() => open.failures > 2);
      expect(open.endpoints()).toEqual([at(1)]);
      expect(logs.map(({ event }) => event)).toEqual(["discovery.failed"]);
      api.instead = () => undefined;
      api.compacted = 0;
      api.put("a", { endpoints: pods("10.0.0.2") });
      await sees(open, at(2));
      await until(() => logs.length > 1);
      expect(logs[1]!.event).toBe("discovery.recovered");
    }, (api) => api.put("a", { endpoints: pods("10.0.0.1") }));
  });

  test.each(answers)("to a watch, %s: the last list is kept", async (_name, answer) => {
    await against(orders({ limit: 10_000 }), async ({ api, open, logs }) => {
      await sees(open, at(1));
      await until(() => api.watches > 0);
      api.instead = (url) => url.searchParams.has("watch") ? answer() : undefined;
      api.end();
      await until(() => open.failures > 1);
      expect(open.endpoints()).toEqual([at(1)]);
      expect(logs[0]!.event).toBe("discovery.failed");
      api.instead = () => undefined;
      await until(() => api.watches > 0);
      api.put("a", { endpoints: pods("10.0.0.2") });
      await sees(open, at(2));
    }, (api) => api.put("a", { endpoints: pods("10.0.0.1") }));
  });

  const lines: readonly (readonly [string, string])[] = [
    ["garbage", "}{\n"],
    ["null", "null\n"],
    ["a slice without a name", '{"type":"ADDED","object":{}}\n'],
    ["a change without an object", '{"type":"DELETED"}\n'],
    ["an error of the server's", '{"type":"ERROR","object":{"code":500}}\n'],
    ["an error that is none", '{"type":"ERROR","object":null}\n'],
    ["an endless line", "x".repeat(30_000)],
    ["bytes that are no UTF-8", "\ud800\xff\n"],
  ];
  test.each(lines)("in a watch, %s: goes on", async (name, text) => {
    await against(orders({ limit: 10_000 }), async ({ api, open, logs }) => {
      await sees(open, at(1));
      await until(() => api.watches > 0);
      api.say(text);
      await until(() => open.failures > 0);
      expect(open.endpoints()).toEqual([at(1)]);
      api.put("b", { endpoints: pods("10.0.0.2") });
      await sees(open, at(1), at(2));
      expect(logs[0]!.event).toBe("discovery.failed");
      expect(api.count("list")).toBe(name.startsWith("an error") ? 1 : 2);
    }, (api) => api.put("a", { endpoints: pods("10.0.0.1") }));
  });

  test("a page over the limit is left, however sound", async () => {
    await against(orders({ limit: 10_000 }), async ({ open, logs }) => {
      await open.ready;
      expect(logs[0]!.message).toMatch(/a page is over 10000 bytes. Raise limit/);
    }, (api) => api.put("a", { endpoints: pods(...new Array<string>(500).fill("10.0.0.1")) }));
  });

  test("an unknown type and an empty line are passed over", async () => {
    await against(orders(), async ({ api, open }) => {
      await until(() => api.watches > 0);
      api.say('\n{"type":"NEWS","object":{"metadata":{}}}\n{"type":7}\n{}\n');
      api.put("b", { endpoints: pods("10.0.0.2") });
      await sees(open, at(1), at(2));
      expect(open.failures).toBe(0);
    }, (api) => api.put("a", { endpoints: pods("10.0.0.1") }));
  });

  test("a line in pieces, and several at once", async () => {
    await against(orders(), async ({ api, open }) => {
      await until(() => api.watches > 0);
      const object = (name: string, last: number) => ({
        metadata: { name, resourceVersion: "7" },
        addressType: "IPv4",
        endpoints: pods(`10.0.0.${last}`),
        ports: [{ name: "ünïcode", port: 5001 }],
      });
      const text = [object("x", 7), object("y", 8)]
        .map((object) => JSON.stringify({ type: "ADDED", object }) + "\n").join("");
      for (let at = 0; at < text.length; at += 60) {
        api.say(text.slice(at, at + 60));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await sees(open, at(7), at(8));
    });
  });
});

describe("options", () => {
  const made = (options: Partial<KubernetesOptions>) => () =>
    kubernetes({ service: "orders", namespace: "shop", ...options });

  test("what can't be is refused", () => {
    for (const service of ["", "A", "a/b", "a.b", "-a", "a".repeat(64), "a,b=c"]) {
      expect(made({ service })).toThrow(RangeError);
    }
    expect(made({ namespace: "../x" })).toThrow(RangeError);
    for (const port of [0, -1, 1.5, 65_536, NaN]) expect(made({ port })).toThrow(RangeError);
    expect(made({ limit: 0 })).toThrow(RangeError);
    expect(made({ scheme: "ftp" as never })).toThrow(RangeError);
    for (const api of ["", "ftp://x", "https://u:p4ss@x", "https://x?y", "https://x#y"]) {
      expect(made({ api })).toThrow(/^Cannot use the URL of the Kubernetes API/);
      expect(made({ api })).not.toThrow(/p4ss/);
    }
    expect(made({})).not.toThrow();
  });

  test("a token travels encrypted or not at all", () => {
    expect(made({ api: "http://10.0.0.1", token: "x" })).toThrow(/unencrypted/);
    expect(made({ api: "http://127.0.0.1.example.com", token: "x" })).toThrow(/unencrypted/);
    expect(made({ api: "http://10.0.0.1" })).not.toThrow();
    expect(made({ api: "http://127.0.0.1:8001", token: "x" })).not.toThrow();
    expect(made({ api: "https://10.0.0.1", token: "x" })).not.toThrow();
    expect(made({ api: "http://127.0.0.1", ca: "x" })).toThrow(/https/);
  });

  test("outside of a pod it says what is missing", async () => {
    await against(() => kubernetes({ service: "orders" }), async ({ open, logs }) => {
      await open.ready;
      expect(logs[0]!.message).toMatch(/serviceaccount\/namespace.*Run in a pod/);
    });
  });

  test("a namespace that a function gives is checked as well", async () => {
    await against(orders({ namespace: () => "../../secrets" }), async ({ api, open, logs }) => {
      await open.ready;
      expect(api.requests).toEqual([]);
      expect(logs[0]!.message).toMatch(/namespace is no DNS label/);
    });
  });
});
