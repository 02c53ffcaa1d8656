import { describe, expect, test } from "bun:test";
import {
  type HotKeyEvent,
  type HotKeyOptions,
  type HotKeyResponse,
  HotKeys,
} from "../../src/cluster/hot_keys.ts";

/** Makes calls of `rate` a second for some ms, every `nth` with the key "hot", the others with keys of their own. */
function load(keys: HotKeys, from: number, ms: number, rate: number, nth: number): HotKeyEvent[] {
  const events: HotKeyEvent[] = [];
  const calls = ms * rate / 1000;
  let nextTick = from + 1000;
  for (let call = 0; call < calls; call++) {
    const now = from + call * 1000 / rate;
    const event = keys.hit("get", call % nth === 0 ? "hot" : `cold ${from + call}`, now);
    if (event !== undefined) events.push(event);
    if (now < nextTick) continue;
    nextTick += 1000;
    events.push(...keys.tick(now));
  }
  return events;
}

describe("a key gets hot", () => {
  test("by more than its share and more than its rate, once", () => {
    const keys = new HotKeys();
    const events = load(keys, 0, 10_000, 2000, 5);
    expect(events.map(({ type, contract, key }) => [type, contract, key])).toEqual([[
      "hotKey",
      "get",
      "hot",
    ]]);
    expect(events[0]!.share).toBeGreaterThan(0.1);
    expect(events[0]!.rate).toBeGreaterThan(100);
    expect(keys.isHot("get", "hot")).toBe(true);
    expect(keys.isHot("get", "cold 7")).toBe(false);
    expect(keys.isHot("other", "hot")).toBe(false);
    const [found, ...others] = keys.list(10_000);
    expect(others).toEqual([]);
    expect(found).toMatchObject({ contract: "get", key: "hot" });
    expect(Math.abs(found!.rate / 400 - 1)).toBeLessThan(0.05);
    expect(Math.abs(found!.share / 0.2 - 1)).toBeLessThan(0.05);
  });

  test("not by its share alone, nor by its rate alone", () => {
    expect(load(new HotKeys(), 0, 60_000, 160, 2)).toEqual([]);
    expect(load(new HotKeys(), 0, 20_000, 3000, 12)).toEqual([]);
  });

  test("not by the calls of keys whose place it took", () => {
    const keys = new HotKeys({ keys: 40 });
    for (let call = 0; call < 40_000; call++) {
      expect(keys.hit("get", `k${call % 80}`, call / 20)).toBe(undefined);
    }
  });

  test("only by calls that were surely its own", () => {
    const keys = new HotKeys({ keys: 40, window: 1e9 });
    for (let call = 0; call < 20_000; call++) keys.hit("get", `cold ${call}`, call / 2);
    for (let call = 0; call < 1978; call++) expect(keys.hit("get", "hot", 10_000)).toBe(undefined);
    const events = Array.from({ length: 500 }, () => keys.hit("get", "hot", 10_000));
    expect(events.filter((event) => event !== undefined).length).toBe(1);
  });

  test("not by a few calls in one moment", () => {
    const keys = new HotKeys();
    for (let call = 0; call < 100; call++) expect(keys.hit("get", "a", 0)).toBe(undefined);
    expect(keys.hit("get", "a", 0)).toMatchObject({ type: "hotKey", rate: 101, share: 1 });
  });
});

describe("a hot key cools", () => {
  test("when its calls stop, also when all calls stop", () => {
    const keys = new HotKeys();
    load(keys, 0, 10_000, 2000, 5);
    const events = load(keys, 10_000, 30_000, 2000, 1e9);
    expect(events.map(({ type, key }) => [type, key])).toEqual([["coolKey", "hot"]]);
    expect(events[0]!.share).toBeLessThan(0.07);
    expect(keys.list(40_000)).toEqual([]);

    const silent = new HotKeys();
    load(silent, 0, 10_000, 2000, 5);
    expect(silent.tick(11_000)).toEqual([]);
    expect(silent.tick(50_000)).toMatchObject([{ type: "coolKey", contract: "get", key: "hot", rate: 0 }]);
    expect(silent.tick(51_000)).toEqual([]);
  });

  test("but not while it goes up and down at the line", () => {
    const keys = new HotKeys();
    const events: HotKeyEvent[] = [];
    for (let round = 0; round < 20; round++) {
      events.push(
        ...load(keys, round * 4000, 2000, 1200, 8),
        ...load(keys, round * 4000 + 2000, 2000, 1200, 13),
      );
    }
    expect(events.map(({ type }) => type)).toEqual(["hotKey"]);
  });

  test("and gets hot again", () => {
    const keys = new HotKeys();
    const types: string[] = [];
    for (let round = 0; round < 3; round++) {
      types.push(...load(keys, round * 60_000, 20_000, 2000, 5).map(({ type }) => type));
      types.push(...load(keys, round * 60_000 + 20_000, 40_000, 2000, 1e9).map(({ type }) => type));
    }
    expect(types).toEqual(["hotKey", "coolKey", "hotKey", "coolKey", "hotKey", "coolKey"]);
  });
});

describe("what is done about it", () => {
  const heat = (respond?: (contract: string) => HotKeyResponse | undefined): HotKeys => {
    const keys = new HotKeys(respond === undefined ? {} : { respond });
    for (let call = 0; call < 500; call++) keys.hit("get", "hot", call);
    return keys;
  };

  test("is nothing unless it is asked for", () => {
    expect(heat().response("get", "hot")).toBe(undefined);
  });

  test("is asked of the contract, and ends with the heat", () => {
    const keys = heat((contract) => contract === "get" ? { type: "split", owners: 3 } : undefined);
    expect(keys.response("get", "hot")).toEqual({ type: "split", owners: 3 });
    expect(keys.response("get", "cold")).toBe(undefined);
    for (let call = 0; call < 500; call++) keys.hit("put", "hot", call);
    expect(keys.isHot("put", "hot")).toBe(true);
    expect(keys.response("put", "hot")).toBe(undefined);
    keys.tick(60_000);
    expect(keys.response("get", "hot")).toBe(undefined);
  });

  test("long keys are found again", () => {
    const keys = new HotKeys({ respond: { type: "cache", ttl: 1000 } });
    const long = "x".repeat(100_000);
    for (let call = 0; call < 500; call++) keys.hit("get", long, call);
    expect(keys.response("get", long)).toEqual({ type: "cache", ttl: 1000 });
    expect(keys.list(500)[0]!.key.length).toBe(129);
  });
});

describe("limits", () => {
  test("only so many contracts are watched, and an idle one makes room", () => {
    const keys = new HotKeys({ contracts: 2 });
    for (const contract of ["a", "b", "c"]) {
      for (let call = 0; call < 500; call++) keys.hit(contract, "k", call);
    }
    expect(keys.list(500).map(({ contract }) => contract).sort()).toEqual(["a", "b"]);
    for (let call = 0; call < 500; call++) keys.hit("a", "k", 30_000 + call);
    keys.tick(50_000);
    for (let call = 0; call < 500; call++) keys.hit("c", "k", 50_000 + call);
    expect(keys.isHot("b", "k")).toBe(false);
    expect(keys.isHot("c", "k")).toBe(true);
  });

  test("a year without a call costs no time, and time that runs back does no harm", () => {
    const keys = new HotKeys();
    load(keys, 0, 5000, 2000, 5);
    expect(keys.hit("get", "hot", 3e15)).toBe(undefined);
    expect(keys.hit("get", "hot", 5)).toBe(undefined);
    expect(keys.tick(3e15)).toMatchObject([{ type: "coolKey", key: "hot" }]);
  });

  test("numbers that cannot work are refused with what was wanted", () => {
    const wrong: HotKeyOptions[] = [{ share: 0 }, { share: 1 }, { share: NaN }, { rate: 0 }, { leave: 0 }];
    wrong.push({ leave: 1.1 }, { window: 0 }, { window: Infinity }, { keys: 39 }, { keys: 40.5 }, {
      contracts: 0,
    });
    for (const options of wrong) {
      const [name] = Object.keys(options);
      expect(() => new HotKeys(options)).toThrow(`Cannot watch for hot keys: ${name} is`);
    }
  });
});
