/** The HTTP backend with peers that are found. */

import { describe, expect, test } from "bun:test";
import { createMediator, handle, query, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { http, type HttpOptions } from "@catga/catga/http";
import { type Discovery, kubernetes } from "@catga/catga/kubernetes";
import { processRuntime, serve, type Server } from "@catga/catga/serve";
import { type Pod, StandIn } from "../kubernetes/support.ts";
import { echo, recorder, SECRET, until } from "./support.ts";

const SELF = { id: "a", endpoint: "http://127.0.0.1:5001" };

/** A discovery whose list a test sets. */
function listed(...list: readonly string[]) {
  const self = {
    list: list as readonly string[],
    opened: 0,
    closed: 0,
    ready: Promise.resolve(),
    discovery: undefined as unknown as Discovery,
  };
  self.discovery = {
    name: "a test",
    open: () => {
      self.opened++;
      return {
        endpoints: () => self.list,
        ready: self.ready,
        failures: 0,
        [Symbol.asyncDispose]: () => {
          self.closed++;
          return Promise.resolve();
        },
      };
    },
  };
  return self;
}

function opened(peers: Discovery, options: Partial<HttpOptions> = {}) {
  const { runtime, logs } = recorder();
  return { ...http({ peers, ...options }).open({ self: SELF, runtime }), logs };
}

const endpointsOf = (seeds: () => readonly { readonly endpoint: string }[]) =>
  seeds().map((seed) => seed.endpoint);

describe("seeds that are found", () => {
  test("follow the list, without the node's own, and stay the same array while it does", () => {
    const found = listed("http://127.0.0.1:5001/", "http://127.0.0.1:5002/");
    const { seeds, logs } = opened(found.discovery);
    expect(seeds()).toEqual([{ id: "*", endpoint: "http://127.0.0.1:5002" }]);
    expect(seeds()).toBe(seeds());
    found.list = ["http://127.0.0.1:5003"];
    expect(endpointsOf(seeds)).toEqual(["http://127.0.0.1:5003"]);
    expect(logs).toEqual([]);
  });

  test("that a list would refuse are passed over, and told of once for as long as there are any", () => {
    const found = listed("http://10.0.0.1:5001", "http://127.0.0.1:5002", "nonsense");
    const { seeds, logs } = opened(found.discovery);
    expect(endpointsOf(seeds)).toEqual(["http://127.0.0.1:5002"]);
    expect(logs).toHaveLength(1);
    expect(logs[0]!).toMatchObject({
      level: "warn",
      event: "discovery.refused",
      fields: { refused: 2, found: 3 },
    });
    expect(logs[0]!.message).toMatch(/no secret/);
    found.list = ["http://10.0.0.2:5001"];
    expect(seeds()).toEqual([]);
    expect(logs).toHaveLength(1);
    found.list = [];
    seeds();
    found.list = ["ftp://127.0.0.1"];
    seeds();
    expect(logs).toHaveLength(2);
  });

  test("beyond this machine need a secret", () => {
    const found = listed("http://10.0.0.1:5001", "http://[fd00::1]:5001");
    const { seeds } = opened(found.discovery, { secret: SECRET });
    expect(endpointsOf(seeds)).toEqual(["http://10.0.0.1:5001", "http://[fd00::1]:5001"]);
  });

  test("are 1,024 at most", () => {
    const many = Array.from({ length: 5000 }, (_, n) => `http://127.0.${n >> 8}.${n & 255}:1`);
    expect(opened(listed(...many).discovery).seeds()).toHaveLength(1024);
  });

  test("are looked for from when the backend is opened until its transport is disposed", async () => {
    const found = listed();
    const backend = http({ peers: found.discovery });
    expect(found.opened).toBe(0);
    const host = { self: SELF, runtime: recorder().runtime };
    const { transport } = backend.open(host);
    expect(() => backend.open(host)).toThrow(/serves a node already/);
    expect([found.opened, found.closed]).toEqual([1, 0]);
    await transport[Symbol.asyncDispose]();
    expect([found.opened, found.closed]).toEqual([1, 1]);
    backend.open(host);
    expect([found.opened, found.closed]).toEqual([2, 1]);
  });

  test("are not looked for by a node that is refused", () => {
    const found = listed();
    const self = { id: "a", endpoint: "http://10.0.0.1:5001" };
    expect(() => http({ peers: found.discovery }).open({ self, runtime: recorder().runtime })).toThrow();
    expect(found.opened).toBe(0);
  });

  test("a node waits for the first of them, and answers others meanwhile", async () => {
    const found = listed();
    let ready = (): void => {};
    found.ready = new Promise((resolve) => ready = resolve);
    const { runtime } = recorder();
    const backend = http({ peers: found.discovery });
    const { transport } = backend.open({ self: SELF, runtime });
    let serving = false;
    const served = transport.serve(SELF, echo).then(() => serving = true);
    const asked = await backend.fetch(new Request(`${SELF.endpoint}/catga/v1`, { method: "POST" }));
    expect(asked.status).toBe(415);
    expect(serving).toBe(false);
    await expect(transport.serve(SELF, echo)).rejects.toThrow(/twice/);
    ready();
    await served;
    await transport[Symbol.asyncDispose]();
  });

  test("a node that finds nobody in time begins alone", async () => {
    const found = listed();
    found.ready = new Promise(() => {});
    const timers: { readonly ms: number; readonly run: () => void }[] = [];
    const { runtime } = recorder();
    const timer = (ms: number, run: () => void) => {
      timers.push({ ms, run });
      return () => {};
    };
    const clock = { ...runtime.clock, timer };
    const { transport } = http({ peers: found.discovery }).open({
      self: SELF,
      runtime: { ...runtime, clock },
    });
    const served = transport.serve(SELF, echo);
    expect(timers.map(({ ms }) => ms)).toEqual([2000]);
    timers[0]!.run();
    await served;
    await transport[Symbol.asyncDispose]();
  });
});

describe("three nodes and Kubernetes", () => {
  const WhoAmI = query("who", { input: type<void>(), output: type<string>() });

  async function start(
    id: string,
    api: StandIn,
  ): Promise<{ id: string; node: Node; server: Server; pod: Pod & { port: number } }> {
    const app = createMediator({
      handlers: [handle(WhoAmI, () => id)],
      runtime: processRuntime({ log: () => {} }),
    });
    const peers = kubernetes({ service: "orders", namespace: "shop", api: api.url });
    const backend = http({ peers });
    const server = await serve(backend.fetch, { port: 0 });
    const node = await joinCluster(app, { node: id, endpoint: server.url, backend, timing: "fast" });
    return { id, node, server, pod: { addresses: ["127.0.0.1"], port: server.port } };
  }
  // On one machine pods differ by their port, so each has a slice of its own.
  const publish = (api: StandIn, { id, pod }: { id: string; pod: Pod & { port: number } }) =>
    api.put(id, { endpoints: [pod], ports: [{ name: "catga", port: pod.port }] });
  const sees = (node: Node): string =>
    node.members().filter(({ status, reachable }) => status === "ready" && reachable).map(({ id }) => id)
      .sort().join();

  test("find each other; one goes, a new one comes", async () => {
    const api = await StandIn.start();
    const running = await Promise.all(["a", "b", "c"].map((id) => start(id, api)));
    try {
      for (const each of running) publish(api, each);
      await until(() => running.every(({ node }) => sees(node) === "a,b,c"));

      const gone = running.shift()!;
      api.delete(gone.id);
      await gone.node.leave();
      await gone.server.stop();
      await until(() => running.every(({ node }) => sees(node) === "b,c"));

      const fresh = await start("d", api);
      running.push(fresh);
      publish(api, fresh);
      await until(() => running.every(({ node }) => sees(node) === "b,c,d"));
      const answers = new Set<unknown>();
      for (let n = 0; n < 6; n++) {
        const result = await running[0]!.node.send(WhoAmI());
        answers.add(result.ok ? result.value : result.error.code);
      }
      expect([...answers].sort()).toEqual(["b", "c", "d"]);
      expect(api.count("list")).toBe(4);
    } finally {
      await Promise.all(running.map(({ node }) => node.leave()));
      await Promise.all(running.map(({ server }) => server.stop()));
      await until(() => api.watches === 0);
      await api.stop();
    }
  });
});
