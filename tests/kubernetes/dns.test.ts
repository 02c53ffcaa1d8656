/** The DNS discovery: with a resolver that a test gives, and against a small name server on this machine. */

import { describe, expect, test } from "bun:test";
import { dns, type DnsOptions, type Resolve } from "@catga/catga/kubernetes";
import { createSocket } from "node:dgram";
import { hasty, sees, until } from "./support.ts";

/** What a discovery has found and logged after its first look. */
async function first(options: DnsOptions): Promise<{ endpoints: readonly string[]; log: readonly string[] }> {
  const { runtime, logs } = hasty();
  const open = dns(options).open(runtime);
  await open.ready;
  const endpoints = open.endpoints();
  await open[Symbol.asyncDispose]();
  return { endpoints, log: logs.map(({ message }) => message) };
}

describe("with a resolver", () => {
  const fails = (why: string) => Promise.reject(Object.assign(new Error("quotes s3cret"), { code: why }));

  test("addresses of both kinds, with a port", async () => {
    const asked: string[] = [];
    const resolve: Resolve = (name, type) => {
      asked.push(`${name} ${type}`);
      return Promise.resolve(
        type === "A" ? [{ host: "10.0.0.1" }, { host: "10.0.0.1" }] : [{ host: "fd00::1" }],
      );
    };
    const { endpoints, log } = await first({ name: "orders.shop", port: 5001, scheme: "https", resolve });
    expect(endpoints).toEqual(["https://10.0.0.1:5001", "https://[fd00::1]:5001"]);
    expect(asked).toEqual(["orders.shop A", "orders.shop AAAA"]);
    expect(log).toEqual([]);
  });

  test("one kind is enough; neither is a failure, told without what the error says", async () => {
    const one: Resolve = (_name, type) =>
      type === "A" ? fails("ENODATA") : Promise.resolve([{ host: "::2" }]);
    expect(await first({ name: "x", port: 1, resolve: one })).toEqual({
      endpoints: ["http://[::2]:1"],
      log: [],
    });
    const none: Resolve = () => fails("ENOTFOUND");
    const { endpoints, log } = await first({ name: "x", port: 1, resolve: none });
    expect(endpoints).toEqual([]);
    expect(log).toHaveLength(1);
    expect(log[0]).toMatch(/Cannot resolve x: .*ENOTFOUND/);
    expect(log[0]).not.toContain("s3cret");
  });

  test("a resolver that throws at once is a failure like others", async () => {
    const resolve: Resolve = () => {
      throw new Error("no");
    };
    expect((await first({ name: "x", port: 1, resolve })).log).toHaveLength(1);
    expect((await first({ name: "x", resolve })).log).toHaveLength(1);
  });

  test("no records are a failed look as well: what was found last stays", async () => {
    for (const port of [5001, undefined]) {
      let records = [{ host: "10.0.0.1", port: 5001 }];
      const { runtime, logs } = hasty();
      const resolve: Resolve = (_name, type) => Promise.resolve(type === "AAAA" ? [] : records);
      const name = { name: "orders.shop", ...(port === undefined ? {} : { port }) };
      const open = dns({ ...name, refresh: 100, resolve }).open(runtime);
      await sees(open, "http://10.0.0.1:5001");
      records = [];
      await until(() => open.failures > 1);
      expect(open.endpoints()).toEqual(["http://10.0.0.1:5001"]);
      expect(logs.map(({ message }) => message).join()).toMatch(
        /Cannot resolve orders.shop: it has no records/,
      );
      await open[Symbol.asyncDispose]();
    }
  });

  test("SRV records without a port; what is no host or port is passed over", async () => {
    const records = [
      { host: "a.orders.shop.", port: 5001 },
      { host: "b.orders.shop", port: 5002 },
      { host: "c.orders.shop" },
      { host: "d", port: 0 },
      { host: "e/../x@y", port: 1 },
      { host: ".", port: 1 },
    ];
    const asked: string[] = [];
    const resolve: Resolve = (_name, type) => {
      asked.push(type);
      return Promise.resolve(records);
    };
    const { endpoints } = await first({ name: "_catga._tcp.orders.shop", resolve });
    expect(endpoints).toEqual(["http://a.orders.shop:5001", "http://b.orders.shop:5002"]);
    expect(asked).toEqual(["SRV"]);
  });

  test("10,000 addresses are cut to 1,024", async () => {
    const all = Array.from({ length: 10_000 }, (_, n) => ({ host: `10.0.${n >> 8}.${n & 255}` }));
    const resolve: Resolve = (_name, type) => Promise.resolve(type === "A" ? all : []);
    const { endpoints, log } = await first({ name: "x", port: 1, resolve });
    expect(endpoints).toHaveLength(1024);
    expect(log).toHaveLength(1);
  });

  test("options that can't be", () => {
    for (const name of ["", "a b", "a..b", "-a", "x/y", `${"a".repeat(64)}.b`, "a.".repeat(130)]) {
      expect(() => dns({ name, port: 1 })).toThrow(RangeError);
    }
    for (const port of [0, 65_536, 1.5]) expect(() => dns({ name: "x", port })).toThrow(RangeError);
    expect(() => dns({ name: "x", refresh: 99 })).toThrow(RangeError);
    expect(() => dns({ name: "x", timeout: 0 })).toThrow(RangeError);
    expect(() => dns({ name: "x", scheme: "ws" as never })).toThrow(RangeError);
    expect(() => dns({ name: "_catga._tcp.orders.shop.svc.cluster.local." })).not.toThrow();
  });
});

describe("with a name server", () => {
  test("A, AAAA and SRV records, a name that is gone, one that comes back", async () => {
    const server = await nameServer();
    const servers = [`127.0.0.1:${server.port}`];
    const { runtime, logs } = hasty();
    server.a = ["10.0.0.1", "10.0.0.2"];
    const open = dns({ name: "orders.test", port: 5001, refresh: 100, servers }).open(runtime);
    const services = dns({ name: "_catga._tcp.orders.test", refresh: 100, servers }).open(runtime);
    try {
      await sees(open, "http://10.0.0.1:5001", "http://10.0.0.2:5001", "http://[fd00::1]:5001");
      await sees(services, "http://a.orders.test:5009");
      server.a = ["10.0.0.3"];
      await sees(open, "http://10.0.0.3:5001", "http://[fd00::1]:5001");
      server.gone = true;
      await until(() => open.failures > 1 && services.failures > 1);
      expect(open.endpoints()).toHaveLength(2);
      expect(logs.filter(({ event }) => event === "discovery.failed")).toHaveLength(2);
      server.gone = false;
      await until(() => logs.length === 4);
    } finally {
      await open[Symbol.asyncDispose]();
      await services[Symbol.asyncDispose]();
      server.close();
    }
  });
});

/** Answers on this machine as a name server does (RFC 1035), for the types A, AAAA and SRV (RFC 2782). */
async function nameServer() {
  const socket = createSocket("udp4");
  const self = { port: 0, a: [] as string[], gone: false, close: () => void socket.close() };
  const labels = (name: string): number[] => [
    ...name.split(".").flatMap((label) => [label.length, ...new TextEncoder().encode(label)]),
    0,
  ];
  const dataOf = (type: number): number[][] => {
    if (type === 1) return self.a.map((address) => address.split(".").map(Number));
    if (type === 28) return [[0xfd, ...new Array<number>(14).fill(0), 1]];
    return type === 33 ? [[0, 0, 0, 0, 5009 >> 8, 5009 & 255, ...labels("a.orders.test")]] : [];
  };
  socket.on("message", (query, from) => {
    let end = 12;
    while (query[end] !== 0) end += query[end]! + 1;
    const type = query[end + 2]!;
    const data = self.gone ? [] : dataOf(type);
    const flags = [0x84, self.gone ? 3 : 0];
    const head = [query[0]!, query[1]!, ...flags, 0, 1, 0, data.length, 0, 0, 0, 0];
    const answers = data.flatMap((each) => [0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, each.length, ...each]);
    socket.send(
      new Uint8Array([...head, ...query.subarray(12, end + 5), ...answers]),
      from.port,
      from.address,
    );
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  self.port = socket.address().port;
  return self;
}
