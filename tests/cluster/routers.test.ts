import { describe, expect, test } from "bun:test";
import {
  createMediator,
  handle,
  query,
  type RouteCall,
  type Router,
  type RouteTarget,
  type,
  unwrap,
} from "@catga/catga";
import {
  consistentHash,
  firstOf,
  joinCluster,
  localFirst,
  roundRobin,
  tagged,
  toNode,
  weightedRoundRobin,
  zoneFirst,
} from "@catga/catga/cluster";
import { memory } from "@catga/catga/memory";
import fc from "fast-check";
import { createRing } from "../../src/cluster/ring.ts";
import { until } from "./support.ts";

type Facts = { -readonly [Name in keyof RouteTarget]: RouteTarget[Name] };

const CALL: RouteCall = { type: "t", key: undefined, zone: undefined };
const KEYS = Array.from({ length: 1000 }, (_, at) => `key-${at}`);

function target(id: string, facts: Partial<RouteTarget> = {}): Facts {
  return {
    id,
    local: false,
    load: 0,
    inFlight: 0,
    latency: 0,
    lag: 0,
    cpu: undefined,
    memory: undefined,
    weight: 1,
    leader: false,
    zone: undefined,
    version: undefined,
    tags: {},
    ...facts,
  };
}
const targets = (count: number): Facts[] => Array.from({ length: count }, (_, at) => target(`node-${at}`));

function picks(router: Router, candidates: readonly RouteTarget[], count: number, call = CALL): string {
  return Array.from({ length: count }, () => router(call, candidates)?.id ?? "-").join(" ");
}

describe("roundRobin", () => {
  test("begins with the sender, takes all in turn, for each message by itself, and no turn for a look", () => {
    const router = roundRobin();
    const list = [target("a"), target("b", { local: true }), target("c")];
    expect(picks(router, list, 4)).toBe("b c a b");
    expect(picks(router, list, 2, { ...CALL, type: "other" })).toBe("b c");
    expect(picks(router, list, 2, { ...CALL, peek: true })).toBe("c c");
    expect(picks(router, list, 1)).toBe("c");
  });
});

describe("weightedRoundRobin", () => {
  test("spreads the calls by weight and none in a row", () => {
    const list = [target("a", { weight: 5 }), target("b"), target("c")];
    expect(picks(weightedRoundRobin(), list, 7)).toBe("a a b a c a a");
  });

  test("gives exact shares over each whole round", () => {
    const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });
    fc.assert(fc.property(weights, (weights) => {
      const list = weights.map((weight, at) => target(`${at}`, { weight, local: at === 1 }));
      const router = weightedRoundRobin();
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (let round = 0; round < 2; round++) {
        const picked = picks(router, list, total).split(" ");
        expect(list.map(({ id }) => picked.filter((each) => each === id).length)).toEqual(weights);
      }
    }));
  });

  test("begins with the sender, and a look takes no turn", () => {
    const router = weightedRoundRobin();
    const list = [target("a"), target("b", { local: true })];
    expect(picks(router, list, 3, { ...CALL, peek: true })).toBe("b b b");
    expect(picks(router, list, 3)).toBe("b a b");
    const heavy = [target("a", { weight: 5 }), target("b"), target("c")];
    const other = weightedRoundRobin();
    picks(other, heavy, 3, { ...CALL, peek: true });
    expect(picks(other, heavy, 7)).toBe("a a b a c a a");
  });

  test("forgets nodes that are gone", () => {
    const router = weightedRoundRobin();
    for (let n = 0; n < 3000; n++) router(CALL, [target(`gone-${n}`)]);
    expect(picks(router, [target("a"), target("b")], 4)).toBe("a b a b");
  });
});

describe("the simple ones", () => {
  const list = [
    target("a", { zone: "x" }),
    target("b", { zone: "y", local: true }),
    target("c", { zone: "x" }),
  ];

  test("localFirst stays here, and asks another router elsewhere", () => {
    expect(picks(localFirst(), list, 2)).toBe("b b");
    expect(picks(localFirst(toNode("c")), [list[0]!, list[2]!], 2)).toBe("c c");
  });

  test("toNode goes to one node or nowhere", () => {
    expect(picks(toNode("c"), list, 2)).toBe("c c");
    expect(picks(toNode("d"), list, 1)).toBe("-");
  });

  test("firstOf asks until one picks", () => {
    expect(picks(firstOf(toNode("d"), toNode("c"), toNode("a")), list, 1)).toBe("c");
    expect(picks(firstOf(toNode("d")), list, 1)).toBe("-");
    expect(picks(firstOf(), list, 1)).toBe("-");
  });

  test("zoneFirst stays in the sender's zone while it has nodes there", () => {
    const router = zoneFirst();
    expect(picks(router, list, 4, { ...CALL, zone: "x" })).toBe("a c a c");
    expect(picks(zoneFirst(), list, 3, { ...CALL, zone: "z" })).toBe("b c a");
    expect(picks(zoneFirst(), list, 3)).toBe("b c a");
    expect(picks(zoneFirst(toNode("b")), list, 1, { ...CALL, zone: "x" })).toBe("b");
    expect(picks(router, list.slice(1, 2), 1, { ...CALL, zone: "x" })).toBe("b");
  });

  test("senders in two zones can share a router", () => {
    const router = zoneFirst();
    expect(picks(router, list, 1, { ...CALL, zone: "x" })).toBe("a");
    expect(picks(router, list, 1, { ...CALL, zone: "y" })).toBe("b");
  });

  test("tagged goes to nodes with all the tags and to no other", () => {
    const list = [
      target("a", { tags: { colour: "blue" }, version: "1" }),
      target("b", { tags: { colour: "green" }, version: "1" }),
      target("c", { tags: { colour: "green", version: "3" }, version: "2" }),
      target("d", { tags: { colour: "green" }, version: "2" }),
    ];
    expect(picks(tagged({ colour: "green" }), list, 3)).toBe("b c d");
    expect(picks(tagged({ colour: "green", version: "2" }), list, 2)).toBe("d d");
    expect(picks(tagged({ version: "3" }), list, 1)).toBe("c");
    expect(picks(tagged({ colour: "red" }), list, 1)).toBe("-");
    expect(picks(tagged({ toString: "x" }), list, 1)).toBe("-");
    expect(picks(tagged({ colour: "green" }, toNode("a")), list, 1)).toBe("-");
    expect(picks(firstOf(tagged({ colour: "red" }), toNode("a")), list, 1)).toBe("a");
  });
});

describe("consistentHash", () => {
  const route = (router: Router, candidates: readonly RouteTarget[], key: string) =>
    router({ ...CALL, key }, candidates)?.id;

  test("a key goes where the ring of the candidates says, whoever comes, goes or is left out", () => {
    const router = consistentHash();
    const all = targets(12);
    const steps = fc.array(
      fc.tuple(fc.subarray(all, { minLength: 1 }), fc.integer({ min: 1, max: 3 }), fc.constantFrom(1, 2)),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(steps, (steps) => {
        for (const [list, times, weight] of steps) {
          const candidates = list.map((each) => ({ ...each, weight: each.id === "node-3" ? weight : 1 }));
          const ring = createRing(candidates);
          for (let time = 0; time < times; time++) {
            for (const key of KEYS.slice(0, 20)) {
              expect(route(router, candidates, key)).toBe(ring.owner(key)!);
            }
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  test("the order of the candidates does not matter", () => {
    const list = targets(9);
    const [one, other] = [consistentHash(), consistentHash()];
    const turned = list.toReversed();
    expect(KEYS.map((key) => route(one, list, key))).toEqual(KEYS.map((key) => route(other, turned, key)));
  });

  test("without a key another router chooses", () => {
    expect(picks(consistentHash(), targets(2), 3)).toBe("node-0 node-1 node-0");
    expect(picks(consistentHash({ otherwise: toNode("node-1") }), targets(2), 2)).toBe("node-1 node-1");
  });

  test("no node gets more than its bound of one hot key, and the key spills in the ring's order", () => {
    const list = targets(10);
    const router = consistentHash({ bound: 1.25 });
    const order = createRing(list).owners("hot", 10);
    const met: string[] = [];
    for (let n = 1; n <= 400; n++) {
      const most = Math.ceil(1.25 * n / 10);
      const next = order.find((id) => list.find((each) => each.id === id)!.inFlight < most);
      const id = route(router, list, "hot");
      expect(id).toBe(next!);
      const picked = list.find((each) => each.id === id)!;
      picked.inFlight++;
      if (!met.includes(picked.id)) met.push(picked.id);
    }
    expect(met).toEqual(order.slice(0, met.length));
    expect(Math.max(...list.map(({ inFlight }) => inFlight))).toBe(50);
    const unbounded = consistentHash();
    expect(route(unbounded, list, "hot")).toBe(order[0]!);
  });

  test("the bound goes by weight, and somebody always has room", () => {
    fc.assert(fc.property(
      fc.array(fc.record({ weight: fc.integer({ min: 1, max: 4 }), inFlight: fc.nat(20) }), {
        minLength: 1,
        maxLength: 8,
      }),
      fc.constantFrom(1, 1.25, 2),
      fc.string(),
      (facts, bound, key) => {
        const list = facts.map((each, at) => target(`n${at}`, each));
        const calls = list.reduce((sum, { inFlight }) => sum + inFlight, 1);
        const weights = list.reduce((sum, { weight }) => sum + weight, 0);
        const picked = consistentHash({ bound })({ ...CALL, key }, list)!;
        expect(picked.inFlight + 1).toBeLessThanOrEqual(Math.ceil(bound * calls * picked.weight / weights));
      },
    ));
  });

  test.each([0, 0.99, NaN])("refuses a bound of %p", (bound) => {
    expect(() => consistentHash({ bound })).toThrow(RangeError);
  });

  test("in a cluster all senders reach the same node by a key, and a router of one's own is asked as it is", async () => {
    const ByKey = query("by.key", {
      input: type<string>(),
      output: type<string>(),
      key: (body) => body,
      route: consistentHash(),
    });
    const Last = query("last", {
      input: type<void>(),
      output: type<string>(),
      route: (_call, candidates) => candidates.toSorted((a, b) => a.id < b.id ? 1 : -1)[0],
    });
    const backend = memory();
    const nodes = await Promise.all(
      ["a", "b", "c"].map((node) =>
        joinCluster(createMediator({ handlers: [handle(ByKey, () => node), handle(Last, () => node)] }), {
          node,
          endpoint: `memory:${node}`,
          backend,
          timing: "fast",
        })
      ),
    );
    await until(() =>
      nodes.every((node) => node.members().filter(({ status }) => status === "ready").length === 3)
    );
    const ring = createRing([{ id: "a" }, { id: "b" }, { id: "c" }]);
    for (const node of nodes) {
      for (const key of KEYS.slice(0, 20)) expect(unwrap(await node.send(ByKey(key)))).toBe(ring.owner(key)!);
      expect(unwrap(await node.send(Last()))).toBe("c");
    }
    for (const node of nodes) await node.leave();
  });
});
