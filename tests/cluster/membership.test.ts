import { describe, expect, test } from "bun:test";
import { Membership, type NodeRecord } from "../../src/cluster/membership.ts";
import { decodeRecord, encodeRecord } from "../../src/cluster/record.ts";

const timing = { heartbeat: 100, timeout: 500 };

function record(id: string, change: Partial<NodeRecord> = {}): NodeRecord {
  return {
    id,
    endpoint: `memory:${id}`,
    incarnation: 1,
    seq: 1,
    status: "ready",
    contracts: [],
    load: 0,
    lag: 0,
    tags: {},
    ...change,
  };
}

function membership(): {
  all: Membership;
  names: () => string[];
  events: () => string[];
  at: (now: number) => void;
} {
  const all = new Membership(record("a"), timing);
  let now = 0;
  return {
    all,
    names: () => all.view({ mono: () => now, wall: () => now }).map((member) => member.id),
    events: () =>
      all.events().map((event) => "member" in event ? `${event.type} ${event.member.id}` : event.status),
    at: (time) => now = time,
  };
}

describe("membership", () => {
  test("a node joins, says goodbye, and does not come back by hearsay", () => {
    const { all, names, events } = membership();
    all.hear(record("b"), 0, 0);
    expect(names()).toEqual(["a", "b"]);
    all.hear(record("b", { seq: 2, status: "draining" }), 10, 10);
    all.hear(record("b", { seq: 3, status: "left" }), 20, 20);
    all.hear(record("b", { seq: 2 }), 30, 30);
    all.hear(record("b", { seq: 9 }), 30, 30);
    expect(names()).toEqual(["a"]);
    expect(events()).toEqual(["joined b", "draining b", "left b"]);
  });

  test("silence is death, a new incarnation is a return, and old news refresh nothing", () => {
    const { all, names, events } = membership();
    all.hear(record("b", { seq: 5 }), 0, 0);
    all.hear(record("b", { seq: 5 }), 400, 400);
    all.hear(record("b", { seq: 4 }), 400, 400);
    all.tick(499, 0);
    expect(names()).toEqual(["a", "b"]);
    all.tick(501, 0);
    expect(names()).toEqual(["a"]);
    expect(all.goneSince("b")).toBe(1);
    all.hear(record("b", { incarnation: 2 }), 600, 600);
    expect(names()).toEqual(["a", "b"]);
    expect(events()).toEqual(["joined b", "faulted b", "recovered b"]);
  });

  test("a restarted node replaces its old self at once, and the old one is heard no more", () => {
    const { all, events } = membership();
    all.hear(record("b", { seq: 100, load: 7 }), 0, 0);
    all.hear(record("b", { incarnation: 2, seq: 1 }), 10, 10);
    all.hear(record("b", { incarnation: 1, seq: 101, load: 9 }), 20, 20);
    expect(all.records()[0]).toMatchObject({ incarnation: 2, seq: 1, load: 0 });
    expect(events()).toEqual(["joined b", "joined b"]);
  });

  test("a node that was late itself accuses nobody", () => {
    const { all, names } = membership();
    all.hear(record("b"), 0, 0);
    all.tick(5000, 4900);
    expect(names()).toEqual(["a", "b"]);
    all.tick(5600, 0);
    expect(names()).toEqual(["a"]);
  });

  test("a refused connection makes it unreachable until it answers again", () => {
    const { all, at } = membership();
    const reachable = () =>
      all.view({ mono: () => 0, wall: () => 0 }).find((member) => member.id === "b")!.reachable;
    all.hear(record("b"), 0, 0);
    expect(reachable()).toBe(true);
    const before = all.version;
    all.contact("b", "refused", 1);
    expect(reachable()).toBe(false);
    all.hear(record("b", { seq: 2 }), 2, 2);
    expect(reachable()).toBe(false);
    all.contact("b", "answered", 3);
    expect(reachable()).toBe(true);
    expect(all.version).toBe(before + 2);
    at(0);
  });

  test("a node that hears of a later life of its own outlives it", () => {
    const { all } = membership();
    all.hear(record("a", { incarnation: 77 }), 0, 0);
    expect(all.self.incarnation).toBe(78);
  });

  test("a flood of nodes is bounded", () => {
    const { all, names } = membership();
    for (let n = 0; n < 5000; n++) all.hear(record(`n${n}`), 0, 0);
    expect(names().length).toBeLessThanOrEqual(1025);
  });
});

describe("a node's record", () => {
  test("survives the wire", () => {
    const whole = record("b", { contracts: ["x.y"], tags: { zone: "eu" }, load: 3, lag: 2 });
    expect(decodeRecord(JSON.parse(JSON.stringify(encodeRecord(whole))))).toEqual(whole);
  });

  test.each([
    [undefined],
    [{}],
    [["b"]],
    [["b c", "e", 1, 1, "ready", 0, 0, [], {}]],
    [["b", "e", 1.5, 1, "ready", 0, 0, [], {}]],
    [["b", "e", 1, 1, "king", 0, 0, [], {}]],
    [["b", "e", 1, 1, "ready", 0, 0, [1], {}]],
    [["b", "e", 1, 1, "ready", 0, 0, Array.from({ length: 1001 }, () => "x"), {}]],
    [["b", "e", 1, 1, "ready", 0, 0, [], { x: 1 }]],
    [["b", "x".repeat(600), 1, 1, "ready", 0, 0, [], {}]],
  ])("is refused when it is none: %j", (item) => {
    expect(decodeRecord(item)).toBeUndefined();
  });

  test("cannot lie about its load beyond sense", () => {
    expect(decodeRecord(["b", "e", 1, 1, "ready", -5, "fast", [], {}])).toMatchObject({ load: 0, lag: 0 });
  });
});
