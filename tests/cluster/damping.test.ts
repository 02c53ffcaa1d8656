import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { heed } from "../../src/cluster/beat.ts";
import { Candidates } from "../../src/cluster/candidates.ts";
import { type Change, Damping } from "../../src/cluster/damping.ts";
import { Membership } from "../../src/cluster/membership.ts";
import { encodeRecord, type NodeRecord } from "../../src/cluster/record.ts";
import { systemRuntime } from "@catga/catga/ports";

const timing = { heartbeat: 100, timeout: 500, probe: 100 };
const MINUTE = 60_000;

function record(id: string, change: Partial<NodeRecord> = {}): NodeRecord {
  return {
    id,
    endpoint: `memory:${id}`,
    kind: "process",
    incarnation: 1,
    revision: 1,
    seq: 1,
    status: "ready",
    contracts: ["ask"],
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

/** A view of one node on others, and what it would do with calls. */
function observer() {
  const all = new Membership(record("a", { contracts: [] }), timing);
  const options = { leading: () => undefined, guard: undefined, hotKeys: undefined };
  const candidates = new Candidates(all, options, systemRuntime());
  all.tick(0, 0, 1);
  return {
    all,
    routable: () => candidates.of("ask").map(({ id }) => id),
    told: () =>
      all.events().map((event) => "member" in event ? `${event.type} ${event.member.id}` : event.type),
  };
}

describe("a node that restarts", () => {
  test("once or twice within a minute is given calls at once", () => {
    const { all, routable } = observer();
    for (let life = 1; life <= 3; life++) {
      all.tick(life * 1000, 0, 1);
      all.hear(record("b", { incarnation: life }), 0);
      expect(routable()).toEqual(["b"]);
    }
  });

  test("a third time is given none before three heartbeats of that life, however they are heard of", () => {
    const hearing: readonly ((all: Membership, seq: number) => void)[] = [
      (all, seq) => all.heartbeat(record("b", { incarnation: 4, seq }), 0),
      (all, seq) => all.alive("b", 4, seq, 0),
      (all, seq) => all.hear(record("b", { incarnation: 4, seq, revision: 2 }), 0),
    ];
    for (const hear of hearing) {
      const { all, routable } = observer();
      for (let life = 1; life <= 4; life++) all.hear(record("b", { incarnation: life }), 0);
      expect(routable()).toEqual([]);
      hear(all, 3);
      expect(routable()).toEqual([]);
      const { version, digest } = all;
      hear(all, 4);
      expect(routable()).toEqual(["b"]);
      expect(all.version).toBeGreaterThan(version);
      if (hear !== hearing[2]) expect(all.digest).toBe(digest);
    }
  });

  test("a third time after it was declared dead each time is damped likewise", () => {
    const { all, routable } = observer();
    for (let life = 1; life <= 3; life++) {
      all.hear(record("b", { incarnation: life }), 0);
      expect(routable()).toEqual(["b"]);
      all.bury("b", life, true);
    }
    all.hear(record("b", { incarnation: 4 }), 0);
    expect(routable()).toEqual([]);
  });

  test("a third time in more than a minute, or after goodbyes, is given calls at once", () => {
    const slow = observer();
    for (let life = 1; life <= 9; life++) {
      slow.all.tick(life * MINUTE / 2, 0, 1);
      slow.all.hear(record("b", { incarnation: life }), 0);
      expect(slow.routable()).toEqual(["b"]);
    }
    const orderly = observer();
    for (let life = 1; life <= 9; life++) {
      orderly.all.hear(record("b", { incarnation: life }), 0);
      expect(orderly.routable()).toEqual(["b"]);
      orderly.all.bury("b", life, false);
    }
  });

  test("has not restarted if it only outlived verdicts on it", () => {
    const { all, routable } = observer();
    for (let life = 1; life <= 9; life++) {
      all.hear(record("b", { incarnation: life, seq: 500 + life }), 0);
      expect(routable()).toEqual(["b"]);
      all.bury("b", life, true);
    }
  });

  test("costs others nothing", () => {
    const { all, routable } = observer();
    all.hear(record("c"), 0);
    for (let life = 1; life <= 9; life++) all.hear(record("b", { incarnation: life }), 0);
    expect(routable()).toEqual(["c"]);
  });
});

describe("what is told of a node that restarts", () => {
  test("two changes a minute, and at last how it is", () => {
    const { all, told } = observer();
    all.hear(record("b"), 0);
    expect(told()).toEqual(["joined b"]);
    all.tick(1000, 0, 1);
    all.hear(record("b", { incarnation: 2 }), 0);
    all.tick(2000, 0, 1);
    all.bury("b", 2, true);
    expect(told()).toEqual(["joined b", "faulted b"]);
    all.tick(3000, 0, 1);
    all.hear(record("b", { incarnation: 3, load: 1 }), 0);
    all.heartbeat(record("b", { incarnation: 3, seq: 9, load: 7 }), 0);
    all.tick(60_999, 0, 1);
    expect(told()).toEqual([]);
    const { version } = all;
    all.tick(61_000, 0, 1);
    expect(all.version).toBe(version + 1);
    const events = all.events();
    expect(events).toMatchObject([{ type: "recovered", member: { id: "b", incarnation: 3, load: 7 } }]);
  });

  test("what has undone itself is not told, and what is held is told once", () => {
    const { all, told } = observer();
    for (let life = 1; life <= 3; life++) all.hear(record("b", { incarnation: life }), 0);
    expect(told()).toEqual(["joined b", "joined b", "joined b"]);
    all.bury("b", 3, true);
    all.hear(record("b", { incarnation: 4 }), 0);
    all.tick(2 * MINUTE, 0, 1);
    expect(told()).toEqual([]);
    all.bury("b", 4, true);
    all.tick(4 * MINUTE, 0, 1);
    all.tick(6 * MINUTE, 0, 1);
    expect(told()).toEqual(["faulted b"]);
  });

  test("a goodbye is told, and ends what was held", () => {
    const { all, told } = observer();
    for (let life = 1; life <= 3; life++) all.hear(record("b", { incarnation: life }), 0);
    all.bury("b", 3, true);
    all.hear(record("b", { incarnation: 4 }), 0);
    told();
    all.bury("b", 4, false);
    expect(told()).toEqual(["left b"]);
    all.tick(2 * MINUTE, 0, 1);
    expect(told()).toEqual([]);
  });

  test("times are those at which it was heard of, not those of this node's own heartbeats", () => {
    const { all, told } = observer();
    all.hear(record("b"), 0);
    const clock = { mono: () => 900, wall: () => 0, timer: () => () => {} };
    for (const incarnation of [2, 3]) {
      const vitals = record("b", { incarnation });
      heed(all, { vitals, digest: undefined, news: [["node", ...encodeRecord(vitals)]], wanted: [] }, clock);
    }
    expect(told()).toHaveLength(3);
    all.tick(60_500, 0, 1);
    all.bury("b", 3, true);
    expect(told()).toEqual([]);
    all.tick(60_900, 0, 1);
    expect(told()).toEqual(["faulted b"]);
  });

  test("who has gone is known at once, told or not", () => {
    const { all } = observer();
    const gone: string[] = [];
    for (let life = 1; life <= 9; life++) {
      all.hear(record("b", { incarnation: life }), 0);
      all.bury("b", life, life < 9);
      for (const { member, faulted } of all.told.departures()) gone.push(`${member.incarnation} ${faulted}`);
    }
    expect(gone).toEqual([
      "1 true",
      "2 true",
      "3 true",
      "4 true",
      "5 true",
      "6 true",
      "7 true",
      "8 true",
      "9 false",
    ]);
  });

  test("a cut that comes and goes without a restart is told as often as it does", () => {
    const { all, told } = observer();
    for (let life = 1; life <= 5; life++) {
      all.hear(record("b", { incarnation: life, seq: 100 }), 0);
      all.bury("b", life, true);
    }
    expect(told()).toHaveLength(10);
  });

  test("whatever happens: two of a restarting node in any minute, and the last word is true", () => {
    const steps = fc.array(
      fc.record({ kind: fc.constantFrom("crash", "dead", "wait"), ms: fc.integer({ min: 1, max: 20_000 }) }),
      {
        minLength: 20,
        maxLength: 120,
      },
    );
    fc.assert(fc.property(steps, (steps) => {
      const { all } = observer();
      let now = 0;
      let life = 1;
      const told: { readonly at: number; readonly here: boolean }[] = [];
      const listen = () => {
        for (const event of all.events()) told.push({ at: now, here: event.type !== "faulted" });
      };
      all.hear(record("b"), 0);
      all.hear(record("b", { incarnation: ++life }), 0);
      all.events();
      const restarts = [now];
      for (const { kind, ms } of steps) {
        if (kind === "crash" || kind === "dead") {
          if (kind === "dead") all.bury("b", life, true);
          listen();
          all.hear(record("b", { incarnation: ++life }), 0);
          restarts.push(now);
        }
        listen();
        // A node that did not restart for a minute is told of without delay.
        now += Math.min(ms, 59_999);
        all.tick(now, 0, 1);
        listen();
      }
      for (const [at, one] of told.entries()) {
        const restless = restarts.some((time) => one.at - time < MINUTE && time <= one.at);
        const third = told[at + 2];
        if (
          restless && third !== undefined &&
          restarts.some((time) => third.at - time < MINUTE && time < third.at)
        ) {
          expect(third.at - one.at).toBeGreaterThanOrEqual(MINUTE);
        }
      }
      all.tick(now += 10 * MINUTE, 0, 1);
      listen();
      expect(told.at(-1)?.here ?? true).toBe(all.find("b") !== undefined);
    }));
  });
});

test("as many nodes are remembered as it is told to, and none for longer than a minute or two", () => {
  const damping = new Damping(16);
  const change = (type: Change["type"], id: string): Change => ({ type, member: { id } as Change["member"] });
  damping.tick(0);
  for (let n = 0; n < 1000; n++) {
    damping.restarted(`n${n}`);
    damping.mayTell(change("faulted", `n${n}`));
    damping.mayTell(change("joined", `m${n}`));
  }
  expect(damping.size).toBe(16);
  damping.tick(MINUTE - 1);
  expect(damping.size).toBe(16);
  damping.tick(MINUTE);
  expect(damping.size).toBe(0);
});
