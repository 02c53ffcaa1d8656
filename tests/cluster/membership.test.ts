import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeBeat, encodeBeat, heed } from "../../src/cluster/beat.ts";
import { compare, correction, summaryOf, tell } from "../../src/cluster/comparison.ts";
import { Membership } from "../../src/cluster/membership.ts";
import { decodeRecord, encodeRecord, type NodeRecord } from "../../src/cluster/record.ts";
import { Rounds } from "../../src/cluster/rounds.ts";
import { Rumours } from "../../src/cluster/rumours.ts";

const timing = { heartbeat: 100, timeout: 500, probe: 100 };
const clock = { mono: () => 0, wall: () => 0, timer: () => () => {} };

function record(id: string, change: Partial<NodeRecord> = {}): NodeRecord {
  return {
    id,
    endpoint: `memory:${id}`,
    kind: "process",
    incarnation: 1,
    revision: 1,
    seq: 1,
    status: "ready",
    contracts: [],
    load: 0,
    lag: 0,
    cpu: undefined,
    memory: undefined,
    tags: {},
    zone: undefined,
    version: undefined,
    weight: 1,
    standing: 1,
    fit: true,
    ...change,
  };
}

function membership(id = "a"): { all: Membership; names: () => string[]; events: () => string[] } {
  const all = new Membership(record(id), timing);
  return {
    all,
    names: () => all.members(clock).map((member) => member.id),
    events: () =>
      all.events().map((event) =>
        "member" in event ? `${event.type} ${event.member.id}` : JSON.stringify(event)
      ),
  };
}

const memberOf = (all: Membership, id: string) => all.members(clock).find((member) => member.id === id);

describe("membership", () => {
  test("a node joins, says goodbye, and does not come back by hearsay", () => {
    const { all, names, events } = membership();
    all.hear(record("b"), 0);
    expect(names()).toEqual(["a", "b"]);
    all.hear(record("b", { revision: 2, status: "draining" }), 10);
    all.hear(record("b", { revision: 3, status: "left" }), 20);
    all.hear(record("b", { revision: 2 }), 30);
    all.hear(record("b", { revision: 9, seq: 9 }), 30);
    expect(names()).toEqual(["a"]);
    expect(events()).toEqual(["joined b", "draining b", "left b"]);
  });

  test("a suspected node that does not object is buried, and comes back only in a new life", () => {
    const { all, names, events } = membership();
    all.hear(record("b", { seq: 5 }), 0);
    all.suspect("b", 1, 5, 1000);
    expect(memberOf(all, "b")?.suspected).toBe(true);
    all.tick(1249, 0, 1);
    expect(names()).toEqual(["a", "b"]);
    all.tick(1250, 0, 1);
    expect(names()).toEqual(["a"]);
    expect(correction(all, { revision: 0, id: "b", incarnation: 1 })).toEqual([["gone", "b", 1, true]]);
    all.hear(record("b", { incarnation: 2 }), 1600);
    expect(names()).toEqual(["a", "b"]);
    expect(events()).toEqual(["joined b", "faulted b", "recovered b"]);
  });

  test.each<[string, (all: Membership) => void]>([
    ["a later heartbeat", (all) => all.heartbeat(record("b", { seq: 6 }), 0)],
    ["hearsay of a later number", (all) => all.alive("b", 1, 6, 0)],
    ["a later record", (all) => all.hear(record("b", { seq: 6, revision: 2 }), 0)],
    ["a new life", (all) => all.hear(record("b", { incarnation: 2 }), 0)],
  ])("%s clears a suspicion", (_what, object) => {
    const { all, names } = membership();
    all.hear(record("b", { seq: 5 }), 0);
    all.suspect("b", 1, 5, 0);
    object(all);
    expect(memberOf(all, "b")?.suspected).toBe(false);
    all.tick(10_000, 0, 1);
    expect(names()).toEqual(["a", "b"]);
  });

  test.each<[string, (all: Membership) => void]>([
    ["an old heartbeat", (all) => all.heartbeat(record("b", { seq: 5 }), 0)],
    ["hearsay of the same number", (all) => all.alive("b", 1, 5, 0)],
    ["hearsay of another life", (all) => all.alive("b", 0, 9, 0)],
    ["a record it knows", (all) => all.hear(record("b", { seq: 5 }), 0)],
    ["a second suspicion", (all) => all.suspect("b", 1, 5, 9000)],
  ])("%s does not clear or prolong a suspicion", (_what, object) => {
    const { all, names } = membership();
    all.hear(record("b", { seq: 5 }), 0);
    all.suspect("b", 1, 5, 0);
    object(all);
    all.tick(10_000, 0, 1);
    expect(names()).toEqual(["a"]);
  });

  test("a suspicion of what a node said long ago is answered with what it said since", () => {
    const { all } = membership();
    all.hear(record("b", { seq: 9 }), 0);
    all.rumours.take(99, 2);
    all.suspect("b", 1, 8, 0);
    expect(memberOf(all, "b")?.suspected).toBe(false);
    expect(all.rumours.take(1, 2)).toEqual([["alive", "b", 1, 9]]);
  });

  test("a node that hears that it is suspected says a later number", () => {
    const { all } = membership();
    all.suspect("a", 1, 40, 0);
    expect(all.self.seq).toBe(41);
    expect(all.rumours.take(1, 2)).toEqual([["alive", "a", 1, 41]]);
    all.suspect("a", 7, 99, 0);
    expect(all.self.seq).toBe(41);
  });

  test("a restarted node replaces its old self at once, and the old one is heard no more", () => {
    const { all, events } = membership();
    all.hear(record("b", { seq: 100, load: 7 }), 0);
    all.hear(record("b", { incarnation: 2, seq: 1 }), 10);
    all.hear(record("b", { incarnation: 1, seq: 101, revision: 9, load: 9 }), 20);
    all.heartbeat(record("b", { incarnation: 1, seq: 102, load: 9 }), 20);
    all.bury("b", 1, true);
    expect(all.records()[0]).toMatchObject({ incarnation: 2, seq: 1, load: 0 });
    expect(events()).toEqual(["joined b", "joined b"]);
  });

  test("a node that stood still gives the suspected the time it missed, one that is unwell gives more", () => {
    const { all, names } = membership();
    all.hear(record("b"), 0);
    all.suspect("b", 1, 1, 0);
    all.tick(5000, 4900, 1);
    expect(names()).toEqual(["a", "b"]);
    all.tick(5149, 0, 1);
    expect(names()).toEqual(["a", "b"]);
    all.tick(5200, 0, 3);
    expect(names()).toEqual(["a", "b"]);
    all.tick(5200, 0, 1);
    expect(names()).toEqual(["a"]);
  });

  test("a node that cannot be reached stays a member, and says so", () => {
    const { all } = membership();
    all.hear(record("b"), 0);
    expect(memberOf(all, "b")?.reachable).toBe(true);
    const before = all.version;
    all.contact("b", false);
    all.contact("b", false);
    expect(memberOf(all, "b")?.reachable).toBe(false);
    all.heartbeat(record("b", { seq: 2 }), 2);
    expect(memberOf(all, "b")?.reachable).toBe(false);
    all.contact("b", true);
    expect(memberOf(all, "b")?.reachable).toBe(true);
    expect(all.version).toBe(before + 2);
  });

  test("a node outlives a later life of its name and a verdict on its own, not the echo of itself", () => {
    const { all } = membership();
    all.hear(record("a"), 0);
    all.bury("a", 0, true);
    expect(all.self.incarnation).toBe(1);
    all.hear(record("a", { incarnation: 77 }), 0);
    expect(all.self.incarnation).toBe(78);
    all.bury("a", 80, true);
    expect(all.self.incarnation).toBe(81);
    all.say({ status: "left" });
    all.bury("a", 81, true);
    expect(all.self.incarnation).toBe(81);
  });

  test("a node whose clock went back while it was down is not taken for its former life", () => {
    const other = membership("b").all;
    const before = membership("a").all;
    for (let n = 0; n < 9; n++) before.beat({ load: 0, lag: 0, cpu: undefined, memory: undefined });
    before.say({ incarnation: 70 });
    before.say({ tags: { life: "former" } });
    other.hear(before.self, 0);
    for (const incarnation of [5, 70]) {
      const now = new Membership(
        record("a", { incarnation, revision: 0, tags: { life: "present" } }),
        timing,
      );
      now.hear(other.find("a")!, 0);
      expect(now.self.incarnation).toBe(71);
      other.hear(now.self, 0);
      expect(other.find("a")).toEqual(now.self);
      other.bury("a", 71, true);
      other.graves.rise("a");
      other.hear(before.self, 0);
    }
  });

  test("two nodes of one name outdo each other once a heartbeat, not without end", () => {
    const [one, other] = [membership("a").all, membership("a").all];
    other.say({ tags: { which: "other" } });
    for (let beats = 1; beats <= 3; beats++) {
      for (let n = 0; n < 50; n++) {
        one.hear(other.self, 0);
        other.hear(one.self, 0);
      }
      expect(Math.max(one.self.incarnation, other.self.incarnation)).toBeLessThanOrEqual(1 + 2 * beats);
      for (const each of [one, other]) each.beat({ load: 0, lag: 0, cpu: undefined, memory: undefined });
    }
    expect(one.self.incarnation).toBeGreaterThan(3);
  });

  test("a flood of nodes is bounded, of the living and of the dead", () => {
    const { all, names } = membership();
    for (let n = 0; n < 5000; n++) all.hear(record(`n${n}`), 0);
    expect(names().length).toBe(1024);
    for (let n = 0; n < 5000; n++) all.bury(`n${n}`, 1, true);
    expect(names()).toEqual(["a"]);
    expect(correction(all, { revision: 0, id: "n0", incarnation: 1 })).toEqual([]);
    expect(correction(all, { revision: 0, id: "n4999", incarnation: 1 })).toHaveLength(1);
  });

  test("who was declared dead is remembered with the place where it was, until it is back", () => {
    const { all } = membership();
    all.hear(record("b"), 0);
    all.hear(record("c"), 0);
    all.bury("b", 1, true);
    all.bury("c", 1, false);
    expect(all.graves.lost()).toEqual([{ id: "b", endpoint: "memory:b" }]);
    all.hear(record("b", { incarnation: 2 }), 0);
    expect(all.graves.lost()).toEqual([]);
  });
});

/** One exchange of the heart, without a network: what differs is told both ways. */
function meet(one: Membership, other: Membership): void {
  const send = (
    from: Membership,
    to: Membership,
    news: readonly (readonly unknown[])[],
    wanted: string[],
  ) => {
    const beat = decodeBeat(
      JSON.parse(JSON.stringify(encodeBeat({ vitals: from.self, digest: 0, news, wanted }))),
    );
    return [...heed(to, beat!, clock), ...tell(to, wanted)];
  };
  const { news, wanted } = compare(
    one,
    decodeBeat(
      JSON.parse(
        JSON.stringify(
          encodeBeat({ vitals: other.self, digest: 0, news: [], wanted: [], summary: summaryOf(other) }),
        ),
      ),
    )!.summary!,
    9999,
  );
  const told = send(one, other, news, [...wanted]);
  send(other, one, told, []);
}

describe("views that differ", () => {
  const facts = fc.record({
    id: fc.constantFrom("p", "q", "r", "s"),
    incarnation: fc.integer({ min: 1, max: 3 }),
    revision: fc.integer({ min: 1, max: 3 }),
    status: fc.constantFrom("ready" as const, "draining" as const),
    over: fc.boolean(),
  });

  test("are equal after they were compared, whatever each had heard", () => {
    fc.assert(fc.property(fc.array(facts), fc.array(facts), (left, right) => {
      const one = new Membership(record("a"), timing);
      const other = new Membership(record("b"), timing);
      for (const [all, heard] of [[one, left], [other, right]] as const) {
        for (const { over, ...fact } of heard) {
          // What one node says of itself is the same wherever it is heard.
          const status = fact.revision === 3 ? "draining" : "ready";
          if (over) all.bury(fact.id, fact.incarnation, true);
          else all.hear(record(fact.id, { ...fact, status }), 0);
        }
      }
      meet(one, other);
      expect(one.digest).toBe(other.digest);
      const shown = (all: Membership) =>
        all.members(clock).map(({ id, incarnation, status }) => `${id} ${incarnation} ${status}`);
      expect(shown(one)).toEqual(shown(other));
    }));
  });

  test("have different digests, and a heartbeat alone changes none", () => {
    const { all } = membership();
    const digests = [all.digest];
    all.hear(record("b"), 0);
    digests.push(all.digest);
    all.hear(record("b", { revision: 2 }), 0);
    digests.push(all.digest);
    all.say({ status: "draining" });
    digests.push(all.digest);
    expect(new Set(digests).size).toBe(4);
    all.heartbeat(record("b", { seq: 9, load: 3, revision: 2 }), 0);
    all.beat({ load: 1, lag: 0, cpu: 0.5, memory: 0.1 });
    expect(all.digest).toBe(digests[3]!);
  });
});

describe("rumours", () => {
  test("are told a number of times that grows with the logarithm of the cluster, the freshest first", () => {
    const rumours = new Rumours();
    rumours.add({ about: "b", item: ["b"] });
    for (let n = 0; n < 5; n++) expect(rumours.take(9, 3)).toEqual([["b"]]);
    rumours.add({ about: "c", item: ["c"] });
    expect(rumours.take(1, 3)).toEqual([["c"]]);
    expect(rumours.take(9, 3)).toEqual([["c"], ["b"]]);
    expect(rumours.take(9, 3)).toEqual([["c"]]);
  });

  test("hold the last word on each node only", () => {
    const rumours = new Rumours();
    rumours.add({ about: "b", item: ["old"] });
    rumours.add({ about: "b", item: ["new"] });
    expect(rumours.take(9, 3)).toEqual([["new"]]);
  });
});

test("rounds reach everybody once before anybody twice, in another order each time", () => {
  let n = 7;
  const rounds = new Rounds({ u32: () => n = (n * 48271) % 2147483647 });
  const all = Array.from({ length: 12 }, (_, at) => ({ id: `n${at}` }));
  const round = () => Array.from({ length: 4 }, () => rounds.next(all, 3)).flat().map((each) => each.id);
  const [first, second] = [round(), round()];
  expect(new Set(first).size).toBe(12);
  expect(new Set(second).size).toBe(12);
  expect(first).not.toEqual(second);
  expect(rounds.next(all.slice(0, 2), 3)).toEqual(all.slice(0, 2));
});

describe("a node's record", () => {
  test("survives the wire", () => {
    const whole = record("b", {
      contracts: ["x.y"],
      tags: { disk: "ssd" },
      zone: "eu",
      version: "1.2",
      weight: 2,
      load: 3,
      lag: 2,
      cpu: 0.5,
      memory: 0.25,
    });
    expect(decodeRecord(JSON.parse(JSON.stringify(encodeRecord(whole))))).toEqual(whole);
  });

  const vitals = ["b", 1, 1, 1, 0, 0, -1, -1];
  const tail = ["process", "ready", [], {}, "", "", 1, 1];
  test.each([
    [undefined],
    [{}],
    [["b"]],
    [[["b c", 1, 1, 1, 0, 0, -1, -1], "e", ...tail]],
    [[["b", 1.5, 1, 1, 0, 0, -1, -1], "e", ...tail]],
    [[["b", 1, -1, 1, 0, 0, -1, -1], "e", ...tail]],
    [[vitals, "e", "king", "ready", [], {}, "", "", 1]],
    [[vitals, "e", "process", "king", [], {}, "", "", 1]],
    [[vitals, "e", "process", "ready", [1], {}, "", "", 1]],
    [[vitals, "e", "process", "ready", Array.from({ length: 1001 }, () => "x"), {}, "", "", 1]],
    [[vitals, "e", "process", "ready", [], { x: 1 }, "", "", 1]],
    [[vitals, "e", "process", "ready", [], {}, 7, "", 1]],
    [[vitals, "x".repeat(600), ...tail]],
  ])("is refused when it is none: %j", (item) => {
    expect(decodeRecord(item)).toBeUndefined();
  });

  test("cannot lie about its load or weight beyond sense", () => {
    expect(decodeRecord([["b", 1, 1, 1, -5, "fast", -1, NaN], "e", ...tail.slice(0, -2), -3, 1]))
      .toMatchObject({
        load: 0,
        lag: 0,
        cpu: undefined,
        memory: undefined,
        weight: 1,
      });
  });
});
