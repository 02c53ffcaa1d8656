import { describe, expect, test } from "bun:test";
import type { RouteCall, Router, RouteTarget } from "@catga/catga";
import { leastConnections, leastLoad, powerOfTwo, random, roundRobin } from "@catga/catga/cluster";
import { hash32 } from "../../src/internal/hash.ts";

type Facts = { -readonly [Name in keyof RouteTarget]: RouteTarget[Name] };

const CALL: RouteCall = { type: "t", key: undefined, zone: undefined };

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

/** A runtime's chance and clock, from a seed and set by hand. */
function runtime(seed = 1) {
  let drawn = 0;
  const now = { ms: 0 };
  return { now, random: { u32: () => hash32(`${seed} ${drawn++}`) }, clock: { mono: () => now.ms } };
}

/** The part of many picks that each target gets. */
function shares(router: Router, candidates: readonly RouteTarget[], count = 4000): number[] {
  const picked = new Map<string, number>();
  for (let n = 0; n < count; n++) {
    const { id } = router(CALL, candidates)!;
    picked.set(id, (picked.get(id) ?? 0) + 1);
  }
  return candidates.map(({ id }) => (picked.get(id) ?? 0) / count);
}

interface Outcome {
  /** The part of the calls that each node answered. */
  readonly shares: readonly number[];
  /** Answers per second. */
  readonly rate: number;
}

/**
 * Callers that each send one call after the other to nodes that work on one at a time, each node with its own time
 * for a call, until a number of calls is answered. What nodes say of themselves is as old as their last heartbeat.
 */
function closed(
  router: Router,
  times: readonly number[],
  { now }: { now: { ms: number } },
  callers = 30,
): Outcome {
  const HEARTBEAT = 200;
  const nodes = times.map((time, at) => ({
    time,
    facts: target(`node-${at}`),
    free: 0,
    busy: 0,
    answered: 0,
  }));
  const candidates = nodes.map(({ facts }) => facts);
  const due: { readonly at: number; readonly done: () => void }[] = [];
  const send = (): void => {
    const picked = router(CALL, candidates);
    const node = nodes.find(({ facts }) => facts === picked)!;
    const sent = now.ms;
    node.facts.inFlight++;
    node.free = Math.max(node.free, sent) + node.time;
    node.busy += node.time;
    const done = (): void => {
      node.facts.inFlight--;
      node.answered++;
      const took = now.ms - sent;
      node.facts.latency += (took - node.facts.latency) * (node.facts.latency === 0 ? 1 : 0.1);
      send();
    };
    due.push({ at: node.free, done });
  };
  const beat = (): void => {
    for (const { facts, free } of nodes) {
      facts.load = facts.inFlight;
      facts.cpu = free > now.ms ? 1 : 0;
      facts.lag = Math.max(free - now.ms, 0) / 10;
    }
    due.push({ at: now.ms + HEARTBEAT, done: beat });
  };
  beat();
  for (let n = 0; n < callers; n++) send();
  const total = () => nodes.reduce((sum, { answered }) => sum + answered, 0);
  const start = now.ms;
  while (total() < 5000) {
    let next = 0;
    for (let at = 1; at < due.length; at++) if (due[at]!.at < due[next]!.at) next = at;
    const [event] = due.splice(next, 1);
    now.ms = event!.at;
    event!.done();
  }
  return { shares: nodes.map(({ answered }) => answered / total()), rate: total() * 1000 / (now.ms - start) };
}

/** Two nodes take 1 ms for a call, and one is ten times slower: its fair share is 1 of 21. */
const SKEWED = [1, 1, 10];
const FAIR = 1 / 21;
const MOST = 2100;

describe("one node is ten times slower", () => {
  test("what does not look at it waits for it: turns and lots", () => {
    const drawn = runtime();
    expect(closed(roundRobin(), SKEWED, runtime()).rate).toBeLessThan(0.2 * MOST);
    expect(closed(random(drawn), SKEWED, drawn).rate).toBeLessThan(0.3 * MOST);
  });

  test("least connections: it gets its fair share", () => {
    const { shares, rate } = closed(leastConnections(), SKEWED, runtime());
    expect(Math.abs(shares[2]! - FAIR)).toBeLessThan(0.01);
    expect(rate).toBeGreaterThan(0.95 * MOST);
  });

  test("power of two: it gets its fair share at most, and still gets calls", () => {
    const drawn = runtime();
    const { shares, rate } = closed(powerOfTwo(drawn), SKEWED, drawn);
    expect(shares[2]).toBeLessThan(1.2 * FAIR);
    expect(shares[2]).toBeGreaterThan(0.005);
    expect(rate).toBeGreaterThan(0.8 * MOST);
  });

  test("least load: it gets far fewer calls than by lot, by what the nodes say alone", () => {
    const drawn = runtime();
    const lots = runtime();
    const { shares, rate } = closed(leastLoad(drawn), SKEWED, drawn);
    expect(shares[2]).toBeLessThan(0.12);
    expect(rate).toBeGreaterThan(3 * closed(random(lots), SKEWED, lots).rate);
  });
});

describe("leastConnections", () => {
  test("equals take turns, beginning with the sender, and a look takes none", () => {
    const router = leastConnections();
    const list = [target("a", { inFlight: 1 }), target("b"), target("c"), target("d", { inFlight: 9 })];
    const pick = (peek = false) => router({ ...CALL, peek }, list)!.id;
    expect([pick(), pick(), pick(true), pick(), pick()]).toEqual(["b", "c", "b", "b", "c"]);
    const local = [target("a"), target("b", { local: true })];
    expect(leastConnections()(CALL, local)!.id).toBe("b");
  });

  test("goes by weight", () => {
    const list = [target("a", { inFlight: 2 }), target("b", { inFlight: 4, weight: 3 })];
    expect(leastConnections()(CALL, list)!.id).toBe("b");
    expect(leastConnections()(CALL, [target("a"), target("b", { inFlight: 3, weight: 3 })])!.id).toBe("a");
  });
});

describe("random", () => {
  test("gives shares by weight", () => {
    const [a, b, c] = shares(random(runtime()), [target("a"), target("b", { weight: 2 }), target("c")]);
    expect(Math.abs(a! - 0.25)).toBeLessThan(0.03);
    expect(Math.abs(b! - 0.5)).toBeLessThan(0.03);
    expect(Math.abs(c! - 0.25)).toBeLessThan(0.03);
  });

  test.each([0, 0xffffffff])("has a node for each lot: %p", (lot) => {
    const list = [target("a", { weight: 0.1 }), target("b", { weight: 0.2 })];
    expect(random({ random: { u32: () => lot } })(CALL, list)!.id).toBe(lot === 0 ? "a" : "b");
  });
});

describe("powerOfTwo", () => {
  test("compares latency times calls under way, for the weight", () => {
    const even = (a: Partial<RouteTarget>, b: Partial<RouteTarget>) =>
      shares(powerOfTwo(runtime()), [target("a", a), target("b", b)])[0]!;
    expect(even({ latency: 5, inFlight: 1 }, { latency: 20 })).toBeGreaterThan(0.95);
    expect(even({ latency: 5, inFlight: 9 }, { latency: 20 })).toBeLessThan(0.05);
    expect(even({ latency: 5, inFlight: 9, weight: 4 }, { latency: 20 })).toBeGreaterThan(0.95);
  });

  test("a node of which nothing is known is not flooded", () => {
    const list = [target("known", { latency: 5 }), target("new")];
    const router = powerOfTwo(runtime());
    for (let n = 0; n < 200; n++) router(CALL, list)!.inFlight++;
    expect(Math.abs(list[0]!.inFlight - list[1]!.inFlight)).toBeLessThan(20);
  });

  test("a node that was slow once is tried again, and one alone is taken", () => {
    const list = [target("a", { latency: 1 }), target("b", { latency: 1000 })];
    const [, slow] = shares(powerOfTwo(runtime()), list);
    expect(slow).toBeGreaterThan(0.005);
    expect(slow).toBeLessThan(0.05);
    expect(shares(powerOfTwo(runtime()), list.slice(1))).toEqual([1]);
  });

  test("any two may meet", () => {
    const list = Array.from({ length: 5 }, (_, at) => target(`${at}`));
    for (const share of shares(powerOfTwo(runtime()), list)) expect(Math.abs(share - 0.2)).toBeLessThan(0.03);
  });
});

describe("leastLoad", () => {
  test("many senders with the same old figures do not all go to the node that looks best", () => {
    const list = [
      target("idle", { cpu: 0, load: 0 }),
      ...Array.from({ length: 9 }, (_, at) => target(`${at}`, { cpu: 0.4, load: 8, lag: 5 })),
    ];
    let toIdle = 0;
    for (let sender = 0; sender < 400; sender++) {
      if (leastLoad(runtime(sender))(CALL, list)!.id === "idle") toIdle++;
    }
    expect(toIdle / 400).toBeGreaterThan(0.12);
    expect(toIdle / 400).toBeLessThan(0.35);
  });

  test.each(
    [
      ["cpu", { cpu: 0.95 }, { cpu: 0.2 }],
      ["lag", { lag: 400 }, { lag: 0 }],
      ["load", { load: 100 }, { load: 1 }],
    ] as const,
  )("%s alone moves calls away, and not all of them", (_name, busy, idle) => {
    const [share] = shares(leastLoad(runtime()), [target("busy", busy), target("idle", idle)]);
    expect(share).toBeLessThan(0.4);
    expect(share).toBeGreaterThan(0);
  });

  test("calls in flight count for the node's weight", () => {
    const [a] = shares(leastLoad(runtime()), [
      target("a", { load: 100, weight: 10 }),
      target("b", { load: 10 }),
    ]);
    expect(Math.abs(a! - 10 / 11)).toBeLessThan(0.02);
  });

  test("weights decide what counts", () => {
    const list = [target("a", { memory: 0.9, cpu: 0 }), target("b", { memory: 0.1, cpu: 0.9 })];
    expect(shares(leastLoad(runtime(), { cpu: 0, lag: 0, load: 0, memory: 1 }), list)[0]).toBeLessThan(0.1);
    expect(shares(leastLoad(runtime(), { cpu: 1, lag: 0, load: 0, memory: 0 }), list)[0]).toBeGreaterThan(
      0.9,
    );
  });

  test("nodes without figures get calls like the average of the others", () => {
    const list = [target("a", { cpu: 0.1 }), target("b", { cpu: 0.9 }), target("silent")];
    const [a, b, silent] = shares(leastLoad(runtime()), list) as [number, number, number];
    expect(silent).toBeGreaterThan(b);
    expect(silent).toBeLessThan(a);
    for (const share of shares(leastLoad(runtime()), [target("a"), target("b")])) {
      expect(Math.abs(share - 0.5)).toBeLessThan(0.05);
    }
  });

  test("a changed figure counts by and by", () => {
    const source = runtime();
    const router = leastLoad(source);
    const list = [target("a", { cpu: 0.1 }), target("b", { cpu: 0.1 })];
    const share = (): number => shares(router, list)[0]!;
    expect(Math.abs(share() - 0.5)).toBeLessThan(0.05);
    list[0]!.cpu = 1;
    source.now.ms = 100;
    const soon = share();
    source.now.ms = 5000;
    const late = share();
    expect(soon).toBeGreaterThan(late + 0.05);
    expect(soon).toBeLessThan(0.5);
    expect(late).toBeLessThan(0.4);
  });

  test("a node that is full still gets a call now and then", () => {
    const list = [target("full", { cpu: 1 }), target("idle", { cpu: 0 })];
    const [full] = shares(leastLoad(runtime(), { memory: 0, lag: 0, load: 0 }), list);
    expect(full).toBeGreaterThan(0);
    expect(full).toBeLessThan(0.05);
  });

  test.each([{ cpu: -1 }, { cpu: 0, memory: 0, lag: 0, load: 0 }, { lag: NaN }])("refuses %j", (weights) => {
    expect(() => leastLoad(runtime(), weights)).toThrow(RangeError);
  });
});
