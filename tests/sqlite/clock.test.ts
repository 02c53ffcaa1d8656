/** Times in a file, while the clock of the machine jumps and processes come and go. */

import { afterEach, describe, expect, test } from "bun:test";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";
import { type Folder, folder } from "./support.ts";

const HOUR = 3_600_000;
const START = 1_700_000_000_000;
let files: Folder = folder();

afterEach(async () => {
  await files.remove();
  files = folder();
});

/** A machine whose clock can be set, as each of its processes sees it. */
function machine() {
  const fake = fakeRuntime();
  let shift = START;
  const wall = (): number => fake.clock.mono() + shift;
  return {
    set: (ms: number) => void (shift += ms),
    advance: fake.advance,
    /** The monotonic clock of a process begins anywhere. */
    process: (begin = 0) => ({
      ...fake,
      clock: { ...fake.clock, mono: () => fake.clock.mono() + begin, wall },
    }),
  };
}

describe("the clock of a file", () => {
  test.each([HOUR, -HOUR])(
    "no time to live, delay or lease ends early or late when the clock jumps by %d ms",
    async (jump) => {
      const { set, advance, process } = machine();
      const { store, queue } = await files.open({ runtime: process() });
      await queue.subscribe("t", "a");
      await queue.push("t", [{ id: "1", payload: "" }]);
      await store.put("a", "", { ttl: 1000 });
      const [held] = await queue.pull("t", "a", { max: 1, lease: 1000 });
      await queue.push("t", [{ id: "2", payload: "", delay: 1000 }]);
      set(jump);
      await advance(900);
      expect(await store.get("a")).not.toBe(undefined);
      expect(await queue.pull("t", "a", { max: 9, lease: 1000 })).toEqual([]);
      await held!.extend(101);
      // A clock that is put right goes a little slower or faster.
      await advance(115);
      expect(await store.get("a")).toBe(undefined);
      const again = await queue.pull("t", "a", { max: 9, lease: 1000 });
      expect(again.map(({ id }) => id).toSorted()).toEqual(["1", "2"]);
    },
  );

  test.each([HOUR, -HOUR])(
    "a process that begins after a jump of %d ms goes by the same time as the others",
    async (jump) => {
      const { set, advance, process } = machine();
      const first = await files.open({ runtime: process(5000) });
      await first.store.put("a", "", { ttl: 1000 });
      set(jump);
      await first.store.put("b", "");
      const second = await files.open({ runtime: process(77) });
      expect(await second.store.get("a")).not.toBe(undefined);
      await advance(990);
      expect(await second.store.get("a")).not.toBe(undefined);
      await advance(20);
      expect(await second.store.get("a")).toBe(undefined);
      expect(await first.store.get("a")).toBe(undefined);
    },
  );

  test("a process that only waits tells the others of a jump", async () => {
    const { set, advance, process } = machine();
    const first = await files.open({ runtime: process() });
    await first.store.put("a", "", { ttl: 10_000 });
    const reader = first.store.watch("")[Symbol.asyncIterator]();
    await reader.next();
    set(HOUR);
    await advance(500);
    const second = await files.open({ runtime: process(3) });
    expect(await second.store.get("a")).not.toBe(undefined);
    await reader.return?.();
  });

  test("time never goes back: what is reopened after the clock was set back goes on", async () => {
    const { set, advance, process } = machine();
    const first = await files.open({ runtime: process() });
    await first.store.put("a", "", { ttl: 1000 });
    await first.queue.subscribe("t", "a");
    const { position } = await first.events.append("s", [{ id: "1", type: "t", data: "" }]);
    await first[Symbol.asyncDispose]();
    set(-48 * HOUR);
    const second = await files.open({ runtime: process() });
    await second.events.append("s", [{ id: "2", type: "t", data: "" }]);
    const [one, two] = await second.events.readAll({ after: position - 1 });
    expect(two!.at).toBeGreaterThanOrEqual(one!.at);
    await second.queue.push("t", [{ id: "1", payload: "", delay: 500 }]);
    await advance(600);
    expect((await second.queue.pull("t", "a", { max: 1, lease: 1 })).length).toBe(1);
    await advance(500);
    expect(await second.store.get("a")).toBe(undefined);
  });

  test("what is over stays so, though the clock was set back before the file was opened again", async () => {
    const { set, advance, process } = machine();
    const first = await files.open({ runtime: process() });
    await first.store.put("a", "", { ttl: 1000 });
    await advance(2000);
    await first.events.append("s", [{ id: "1", type: "t", data: "" }]);
    await first[Symbol.asyncDispose]();
    set(-48 * HOUR);
    const second = await files.open({ runtime: process() });
    expect(await second.store.get("a")).toBe(undefined);
  });

  test("a process whose clock is slower goes by the faster ones", async () => {
    const { advance, process } = machine();
    const fast = process();
    const slow = process();
    const { mono } = fast.clock;
    const start = mono();
    const [first, second] = [
      await files.open({
        runtime: { ...fast, clock: { ...fast.clock, mono: () => start + 1.01 * (mono() - start) } },
      }),
      await files.open({ runtime: slow }),
    ];
    for (let at = 0; at < 20; at++) {
      await advance(10_000);
      const events = (at % 2 === 0 ? first : second).events;
      await events.append("s", [{ id: `${at}`, type: "t", data: "" }]);
    }
    const times = (await first.events.read("s")).map((event) => event.at);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  test("time goes on while no process is there", async () => {
    const { advance, process } = machine();
    const first = await files.open({ runtime: process() });
    await first.store.put("a", "", { ttl: HOUR });
    await first.store.put("b", "", { ttl: 30 * HOUR });
    await first[Symbol.asyncDispose]();
    await advance(2 * HOUR);
    const second = await files.open({ runtime: process(-1000) });
    expect((await second.store.list("")).map(({ key }) => key)).toEqual(["b"]);
  });

  test("a clock that was set right is followed slowly, and at once by who opens the file a day later", async () => {
    const { set, advance, process } = machine();
    const first = await files.open({ runtime: process() });
    const timeOf = async (id: string): Promise<number> => {
      const { position } = await first.events.append("s", [{ id, type: "t", data: "" }]);
      return (await first.events.readAll({ after: position - 1 }))[0]!.at;
    };
    const before = await timeOf("1");
    set(HOUR);
    await advance(100_000);
    expect(await timeOf("2") - before).toBeGreaterThanOrEqual(100_400);
    expect(await timeOf("3") - before).toBeLessThanOrEqual(100_500);
    set(50 * HOUR);
    await timeOf("4");
    await first[Symbol.asyncDispose]();
    const second = await files.open({ runtime: process() });
    await second.events.append("s", [{ id: "5", type: "t", data: "" }]);
    const [last] = await second.events.read("s", { backward: true, limit: 1 });
    expect(last!.at - before).toBeGreaterThan(51 * HOUR);
  });
});
