/** The discoveries of this library are discoveries, and what is none is found out. */

import { describe, expect, test } from "bun:test";
import { http } from "@catga/catga/http";
import { type Discovery, dns, type DnsRecord, kubernetes, type OpenDiscovery } from "@catga/catga/kubernetes";
import {
  createSimulation,
  discoveryConformance,
  type DiscoveryUnderTest,
  type LookOutcome,
} from "@catga/catga/testing";
import { hasty, type Pod, StandIn, status } from "../kubernetes/support.ts";
import { drain } from "../simulation/drain.ts";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const turn = (): Promise<void> => sleep(0);
const addressOf = (node: number): string => `10.0.${node >> 8}.${node & 255}`;
const podsOf = (nodes: readonly number[]): readonly Pod[] =>
  nodes.map((node) => ({ addresses: [addressOf(node)], conditions: { ready: true } }));

/** The Kubernetes discovery against a server on this machine that speaks as the API does. */
async function byApi(nodes: readonly number[]): Promise<DiscoveryUnderTest> {
  const api = await StandIn.start();
  api.put("a", { endpoints: podsOf(nodes) });
  let outcome: LookOutcome = "found";
  const silent = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const keepSilent = (): Response => {
    let mine: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        mine = controller;
        silent.add(controller);
      },
      cancel: () => void silent.delete(mine),
    });
    return new Response(body, { headers: { "content-type": "application/json" } });
  };
  api.instead = () => outcome === "failed" ? status(500) : outcome === "silent" ? keepSilent() : undefined;
  const speak = (): void => {
    for (const controller of silent) controller.close();
    silent.clear();
  };
  return {
    discovery: kubernetes({ service: "orders", namespace: "shop", api: api.url }),
    runtime: hasty().runtime,
    endpointOf: (node) => `http://${addressOf(node)}:5001`,
    list: (nodes) => api.put("a", { endpoints: podsOf(nodes) }),
    look: (next) => {
      outcome = next;
      speak();
      api.end();
    },
    pass: sleep,
    close: async () => {
      speak();
      await api.stop();
    },
  };
}

/** The DNS discovery against a name server that is a function, in virtual time. */
function byName(nodes: readonly number[], srv: boolean): Promise<DiscoveryUnderTest> {
  const simulation = createSimulation({ seed: 1, ...(drain === undefined ? {} : { drain }) });
  let listed = nodes;
  let outcome: LookOutcome = "found";
  let waiting: (() => void)[] = [];
  const answer = async (type: string): Promise<readonly DnsRecord[]> => {
    await Promise.resolve();
    if (outcome === "silent") await new Promise<void>((resolve) => void waiting.push(resolve));
    if (outcome === "failed") throw new Error("SERVFAIL");
    if (srv) return listed.map((node) => ({ host: `node-${node}.orders.shop.`, port: 5001 }));
    return type === "A" ? listed.map((node) => ({ host: addressOf(node) })) : [];
  };
  const address = { name: srv ? "_catga._tcp.orders.shop" : "orders.shop", refresh: 200 };
  let open = true;
  let until = 0;
  const pump = (async () => {
    while (open) {
      await simulation.run(Math.max(until - simulation.time, 0.5));
      await turn();
    }
  })();
  return Promise.resolve({
    discovery: dns({ ...address, ...(srv ? {} : { port: 5001 }), resolve: (_name, type) => answer(type) }),
    runtime: simulation.runtime("a"),
    endpointOf: (node) => srv ? `http://node-${node}.orders.shop:5001` : `http://${addressOf(node)}:5001`,
    list: (nodes) => void (listed = nodes),
    look: (next) => {
      outcome = next;
      const released = waiting;
      waiting = [];
      for (const go of released) go();
    },
    pass: async (ms) => {
      const end = simulation.time + ms;
      until = Math.max(until, end);
      while (open && simulation.time < end) await turn();
    },
    close: async () => {
      open = false;
      await pump;
      const { timers } = simulation.pending();
      if (timers > 0) throw new Error(`${timers} timers are left`);
    },
  });
}

/** The list of peers that the HTTP backend is given, as a discovery. */
function byList(nodes: readonly number[]): Promise<DiscoveryUnderTest> {
  const endpointOf = (node: number): string => `http://127.0.0.1:${5000 + node}`;
  const discovery: Discovery = {
    name: "a list",
    open: (runtime) => {
      const self = { id: "a", endpoint: endpointOf(9) };
      const { seeds, transport } = http({ peers: [9, ...nodes].map(endpointOf) }).open({ self, runtime });
      let last = seeds();
      let endpoints = last.map(({ endpoint }) => endpoint);
      return {
        endpoints: () => {
          if (seeds() === last) return endpoints;
          last = seeds();
          return endpoints = last.map(({ endpoint }) => endpoint);
        },
        ready: Promise.resolve(),
        failures: 0,
        [Symbol.asyncDispose]: () => Promise.resolve(transport[Symbol.asyncDispose]()),
      };
    },
  };
  return Promise.resolve({ discovery, runtime: hasty().runtime, endpointOf, pass: sleep });
}

describe.each(
  [
    ["Kubernetes", byApi, { refresh: 300 }],
    ["DNS by addresses", (nodes: readonly number[]) => byName(nodes, false), { refresh: 5000 }],
    ["DNS by services", (nodes: readonly number[]) => byName(nodes, true), { refresh: 5000 }],
    ["a list of peers", byList, { refresh: 10, fixed: true }],
  ] as const,
)("%s is a discovery", (_name, make, options) => {
  for (const { name, run } of discoveryConformance(make, options)) test(name, run);
});

/** Discoveries that are almost right, and the check that each of them fails. */
const broken: readonly [string, string, (right: OpenDiscovery) => Partial<OpenDiscovery>][] = [
  ["makes an array each time", "the array stays the same while nothing changes", (right) => ({
    endpoints: () => [...right.endpoints()],
  })],
  [
    "changes the array that it handed out",
    "an array that was handed out stays as it is, and a change makes another",
    (right) => {
      const endpoints: string[] = [];
      return {
        endpoints: () => {
          endpoints.splice(0, endpoints.length, ...right.endpoints());
          return endpoints;
        },
      };
    },
  ],
  ["knows only what came first", "nodes that come and go are followed", (right) => {
    let first: readonly string[] = [];
    return { endpoints: () => first = first.length > 0 ? first : right.endpoints() };
  }],
  ["tells a node twice", "a node that is found twice is told once", (right) => {
    let last: readonly string[] = [];
    let twice: readonly string[] = [];
    return {
      endpoints: () => {
        if (right.endpoints() === last) return twice;
        last = right.endpoints();
        return twice = last.length === 2 ? [...last, last[0]!] : last;
      },
    };
  }],
  ["tells more than there may be", "at most 1,024 endpoints are told", (right) => ({
    endpoints: () =>
      right.endpoints().length < 1024 ? right.endpoints() : [...right.endpoints(), "http://x:1"],
  })],
  [
    "forgets while it fails",
    "while looks fail what was found last stays, and failures only grow",
    (right) => {
      const none: readonly string[] = [];
      return { endpoints: () => right.failures > 0 ? none : right.endpoints() };
    },
  ],
  ["counts no failures", "a first look that fails is ready, and is made up for", () => ({ failures: 0 })],
  ["rejects when the first look fails", "a first look that fails is ready, and is made up for", (right) => {
    const ready = right.ready.then(() => {
      if (right.failures > 0) throw new Error("it failed");
    });
    ready.catch(() => {});
    return { ready };
  }],
  [
    "is ready before it has looked",
    "nothing is known before the first look has ended, and it is not ready",
    () => ({ ready: Promise.resolve() }),
  ],
  [
    "is never ready",
    "one that is disposed at once is ready, and ends",
    () => ({ ready: new Promise(() => {}) }),
  ],
  [
    "waits for an answer when it ends",
    "disposing waits for no answer, before the first look and after",
    (right) => ({
      [Symbol.asyncDispose]: async () => {
        await right.ready;
        await right[Symbol.asyncDispose]();
      },
    }),
  ],
  ["does not end", "one that is disposed follows nothing", () => ({
    [Symbol.asyncDispose]: () => Promise.resolve(),
  })],
  ["goes on failing when it has ended", "disposing while looks fail ends them", (right) => {
    let failures = 0;
    return {
      get failures() {
        return right.failures + ++failures;
      },
    };
  }],
  ["forgets when it ends", "disposing twice, at once or later, is the same as once", (right) => {
    let ended = false;
    return {
      endpoints: () => ended ? [] : right.endpoints(),
      [Symbol.asyncDispose]: () => {
        ended = true;
        return Promise.resolve(right[Symbol.asyncDispose]());
      },
    };
  }],
  ["cannot end twice", "disposing twice, at once or later, is the same as once", (right) => {
    let ended = false;
    return {
      [Symbol.asyncDispose]: () => {
        if (ended) throw new Error("It has ended");
        ended = true;
        return Promise.resolve(right[Symbol.asyncDispose]());
      },
    };
  }],
];

/** Has every look of a discovery opened through a change of it. */
function wrapped(discovery: Discovery, open: Discovery["open"]): Discovery {
  return { name: discovery.name, open };
}

describe("a discovery is found out that", () => {
  const caught = async (name: string, wrap: (discovery: Discovery) => Discovery) => {
    const rights: OpenDiscovery[] = [];
    const make = async (nodes: readonly number[]): Promise<DiscoveryUnderTest> => {
      const right = await byName(nodes, false);
      const noted = wrapped(right.discovery, (runtime) => {
        const opened = right.discovery.open(runtime);
        rights.push(opened);
        return opened;
      });
      const close = async (): Promise<void> => {
        for (const opened of rights) await opened[Symbol.asyncDispose]();
        await right.close?.();
      };
      return { ...right, discovery: wrap(noted), close };
    };
    const check = discoveryConformance(make, { refresh: 5000 }).find((each) => each.name === name);
    await expect(check!.run()).rejects.toThrow();
  };

  test.each(broken)("%s", async (_what, name, change) => {
    await caught(name, (discovery) =>
      wrapped(discovery, (runtime) => {
        const right = discovery.open(runtime);
        const own = change(right);
        return new Proxy(right, { get: (target, key) => Reflect.get(key in own ? own : target, key) });
      }));
  });

  test("looks once for all who open it", async () => {
    await caught("looks that go on at once know nothing of each other", (discovery) => {
      let one: OpenDiscovery | undefined;
      return wrapped(discovery, (runtime) => {
        if (one !== undefined) throw new Error("It looks already");
        return one = discovery.open(runtime);
      });
    });
  });

  test("looks from when it is made, not from when it is opened", async () => {
    await caught("each look sees what there is when it is opened", (discovery) => {
      let first: readonly string[] | undefined;
      return wrapped(discovery, (runtime) => {
        const right = discovery.open(runtime);
        void right.ready.then(() => first ??= right.endpoints());
        const endpoints = () => first ?? right.endpoints();
        return new Proxy(right, {
          get: (target, key) => key === "endpoints" ? endpoints : Reflect.get(target, key),
        });
      });
    });
  });
});
