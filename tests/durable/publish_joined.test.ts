/** Publishes of one turn, put into the queue together: each has its own outcome, order is kept, and pushes are bounded. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CatgaError, command, createMediator, on, reliableEvent, systemFault, type } from "@catga/catga";
import { joinCluster } from "@catga/catga/cluster";
import { memory, memoryQueue, memoryStorage } from "@catga/catga/memory";
import { type Queue, type QueueItem, systemRuntime, withStorage } from "@catga/catga/ports";
import { keepingCommands } from "../../src/durable/command_group.ts";
import { type JoinedLimits, JoinedPushes } from "../../src/durable/joined_pushes.ts";
import { type FakeRuntime, fakeRuntime } from "../behaviors/fake_runtime.ts";

describe("publishes of one turn", () => {
  test("are one push a topic, in the order in which they came", async () => {
    const bench = await Bench.open();
    const all = ["1", "2", "3", "4"].map((id) => bench.put(id, {}, id === "3" ? "other" : "t"));
    await bench.runtime.advance(0);
    expect(await Promise.all(all)).toMatchObject(all.map(() => ({ ok: true })));
    expect(bench.pushes).toEqual([["1", "2", "4"], ["3"]]);
    expect(await bench.kept()).toEqual(["1", "2", "4"]);
    expect(bench.runtime.pending()).toBe(0);
  });

  test("are joined with those that come when earlier ones are answered", async () => {
    const bench = await Bench.open();
    const lane = async (name: string): Promise<void> => {
      for (let n = 0; n < 3; n++) await bench.put(`${name}${n}`);
    };
    await Promise.all(["a", "b", "c"].map(lane));
    expect(bench.pushes).toEqual([0, 1, 2].map((n) => [`a${n}`, `b${n}`, `c${n}`]));
  });

  test("are so many or so large at most, and one that is larger goes alone", async () => {
    const bench = await Bench.open();
    const many = Array.from({ length: 600 }, (_, at) => `${at}`);
    await Promise.all(many.map((id) => bench.put(id)));
    expect(bench.pushes.map(({ length }) => length)).toEqual([256, 256, 88]);
    bench.pushes.length = 0;
    const size = 131_072;
    const large = [size, size, 1, 262_144, 7].map((length, at) =>
      bench.put(`large ${at}`, { payload: "x".repeat(length) })
    );
    await Promise.all(large);
    expect(bench.pushes).toEqual([["large 0", "large 1"], ["large 2"], ["large 3"], ["large 4"]]);
    expect(await bench.kept()).toEqual([...many, ...large.map((_, at) => `large ${at}`)]);
  });

  test("fail alone where the queue refuses one", async () => {
    const bench = await Bench.open();
    const all = ["1", "2", "3"].map((id) => bench.put(id, id === "2" ? { key: "k".repeat(513) } : {}));
    expect(await Promise.all(all)).toMatchObject([
      { ok: true },
      { error: { code: "VALIDATION", retryable: false } },
      { ok: true },
    ]);
    expect(await bench.kept()).toEqual(["1", "3"]);
  });

  test("are kept as far as there is room, the first ones first", async () => {
    const bench = await Bench.open({ items: 3 });
    const all = ["1", "2", "3", "4", "5"].map((id) => bench.put(id));
    const codes = (await Promise.all(all)).map((each) => each.ok ? "ok" : each.error.code);
    expect(codes).toEqual(["ok", "ok", "ok", "OVERLOADED", "OVERLOADED"]);
    expect(await bench.kept()).toEqual(["1", "2", "3"]);
  });

  test("are all tried again when their outcome is unknown, and kept once", async () => {
    const bench = await Bench.open();
    bench.answers.push("lost", "away", "ok");
    const all = ["1", "2"].map((id) => bench.put(id));
    await bench.runtime.advance(5000);
    expect(await Promise.all(all)).toMatchObject([{ ok: true }, { ok: true }]);
    expect(bench.pushes).toEqual([["1", "2"], ["1", "2"], ["1", "2"]]);
    expect(await bench.kept()).toEqual(["1", "2"]);
  });

  test("are each given up at their own deadline, and no longer tried", async () => {
    const bench = await Bench.open();
    bench.answers.push("never");
    const { mono } = bench.runtime.clock;
    const results: string[] = [];
    for (const [id, ms] of [["1", 100], ["2", 60_000], ["3", 0], ["4", 200]] as const) {
      const put = bench.put(id, {}, "t", id === "4" ? { timeout: ms } : { deadline: mono() + ms });
      void put.then((each) => results.push(`${id} ${each.ok ? "ok" : each.error.code} ${mono()}`));
    }
    await bench.runtime.advance(10_000);
    expect(results).toEqual(["3 TIMEOUT 1000", "1 TIMEOUT 1100", "4 TIMEOUT 1200", "2 ok 6012.5"]);
    expect(bench.pushes).toEqual([["1", "2", "4"], ["2"]]);
    expect(bench.runtime.pending()).toBe(0);
  });

  test("are each given up by their own signal; the push is when nobody waits", async () => {
    const bench = await Bench.open();
    bench.answers.push("never");
    const [a, b, c] = [new AbortController(), new AbortController(), new AbortController()];
    const put = (id: string, { signal }: AbortController) => bench.put(id, {}, "t", { signals: [signal] });
    const all = [put("1", a), put("2", b), put("3", c)];
    c.abort();
    expect(await all[2]).toMatchObject({ error: { code: "CANCELLED" } });
    await bench.runtime.advance(0);
    expect(bench.pushes).toEqual([["1", "2"]]);
    a.abort();
    expect(await all[0]).toMatchObject({ error: { code: "CANCELLED" } });
    expect(bench.signals[0]!.aborted).toBe(false);
    b.abort();
    expect(await all[1]).toMatchObject({ error: { code: "CANCELLED" } });
    expect([bench.signals[0]!.aborted, bench.runtime.pending()]).toEqual([true, 0]);
    expect(await put("4", a)).toMatchObject({ error: { code: "CANCELLED" } });
    expect(bench.pushes).toHaveLength(1);
  });

  test("count as kept when the answer to an earlier try comes late", async () => {
    const bench = await Bench.open();
    bench.answers.push("late", "never");
    const all = ["1", "2"].map((id) => bench.put(id));
    await bench.runtime.advance(5100);
    expect(bench.pushes).toHaveLength(2);
    bench.answer();
    expect(await Promise.all(all)).toMatchObject([{ ok: true }, { ok: true }]);
    expect([bench.signals[1]!.aborted, bench.runtime.pending()]).toEqual([true, 0]);
  });

  test("may be kept where they are refused after an answer was lost", async () => {
    const bench = await Bench.open();
    bench.answers.push("lost", "full", "full", "ok");
    const all = ["1", "2"].map((id) => bench.put(id));
    await bench.runtime.advance(100);
    expect(await Promise.all(all)).toMatchObject([{ error: { code: "TRANSPORT" } }, { ok: true }]);
    expect(await bench.kept()).toEqual(["1", "2"]);
  });

  test("may be kept where they are refused after no answer came", async () => {
    const bench = await Bench.open();
    bench.answers.push("never", "full");
    const put = bench.put("1");
    await bench.runtime.advance(6000);
    expect(await put).toMatchObject({ error: { code: "TRANSPORT" } });
  });

  test("may be kept where they are refused after the queue broke", async () => {
    const bench = await Bench.open();
    bench.answers.push("broken", "full", "broken");
    const codes = (await Promise.all([bench.put("1"), bench.put("2")])).map((each) =>
      each.ok || each.error.code
    );
    expect(codes).toEqual(["TRANSPORT", "TRANSPORT"]);
  });

  test("are not tried beside a try that is under way, when an earlier one fails at last", async () => {
    const bench = await Bench.open();
    bench.answers.push("late lost", "late");
    const put = bench.put("1");
    await bench.runtime.advance(5100);
    bench.answer(1);
    await bench.runtime.advance(1000);
    expect(bench.pushes).toHaveLength(2);
    bench.answer();
    expect(await put).toMatchObject({ ok: true });
    expect([bench.signals[0]!.aborted, bench.runtime.pending()]).toEqual([false, 0]);
  });

  test("are refused where too many wait, until some do no longer", async () => {
    const bench = await Bench.open();
    bench.answers.push(...Array.from({ length: 256 }, () => "never" as const));
    const limits = { timeout: 100 };
    const many = Array.from({ length: 65_536 }, (_, at) => bench.put(`${at}`, {}, "t", limits));
    expect(await bench.put("one more")).toMatchObject({ error: { code: "OVERLOADED" } });
    await bench.runtime.advance(100);
    await Promise.all(many);
    expect(await bench.put("after")).toMatchObject({ ok: true });
  });

  test("of commands are kept before any node was there that serves them", async () => {
    const runtime = fakeRuntime();
    const queue = memoryQueue({ clock: runtime.clock });
    const joined = new JoinedPushes({ queue: keepingCommands(queue), runtime });
    const limits = { timeout: Infinity, deadline: Infinity, signals: [] };
    const put = (id: string, delay: number) =>
      joined.push("commands/mail", { id, payload: "", delay }, limits);
    await Promise.all([put("late", 100), put("soon", 0)]);
    const due = await queue.pull("commands/mail", "commands", { max: 9, lease: 1000 });
    expect(due.map(({ id }) => id)).toEqual(["soon"]);
    expect((await queue.backlog("commands/mail", "commands")).items).toBe(2);
  });
});

describe("whatever the queue answers", () => {
  test("what is said to be kept is, once; what is refused is not; nothing is left over", async () => {
    const answer = fc.constantFrom<Answer>(
      "ok",
      "lost",
      "away",
      "late",
      "late lost",
      "never",
      "full",
      "broken",
    );
    const publish = fc.record({
      topic: fc.constantFrom("t", "other"),
      bad: fc.boolean(),
      ms: fc.constantFrom(10, 400, 7000, 60_000),
      cancel: fc.option(fc.constantFrom(0, 5, 300), { nil: undefined }),
      turn: fc.nat(2),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(answer, { maxLength: 12, size: "max" }),
        fc.array(publish, { minLength: 1, maxLength: 12, size: "max" }),
        async (answers, publishes) => {
          const bench = await Bench.open();
          bench.answers.push(...answers);
          const { clock } = bench.runtime;
          const results: Promise<string>[] = [];
          for (let turn = 0; turn < 3; turn++) {
            for (const [at, { topic, bad, ms, cancel, turn: own }] of publishes.entries()) {
              if (own !== turn) continue;
              const given = new AbortController();
              const limits = { timeout: ms, signals: [given.signal] };
              if (cancel !== undefined) clock.timer(cancel, () => given.abort());
              const item = bad ? { key: "k".repeat(513) } : {};
              const put = bench.put(`${at}`, item, topic, limits);
              results[at] = put.then((each) => each.ok ? "ok" : each.error.code);
            }
            await bench.runtime.advance(3);
          }
          await bench.runtime.advance(100_000);
          const codes = await Promise.all(results.map((each) => Promise.race([each, "nothing"])));
          for (const topic of ["t", "other"]) {
            const kept = await bench.kept(topic);
            expect(new Set(kept).size).toBe(kept.length);
            for (const [at, publish] of publishes.entries()) {
              if (publish.topic !== topic) continue;
              if (codes[at] === "ok") expect(kept).toContain(`${at}`);
              if (["VALIDATION", "OVERLOADED"].includes(codes[at]!) || publish.bad) {
                expect(kept).not.toContain(`${at}`);
              }
              if (codes[at] === "VALIDATION") expect(publish.bad).toBe(true);
            }
          }
          expect(codes).not.toContain("nothing");
          expect(bench.runtime.pending()).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("a node", () => {
  const Told = reliableEvent("told", { data: type<string>(), key: (body) => body.slice(0, 1) });
  const Mail = command("mail", { input: type<string>(), output: type<void>(), idempotency: {} });

  test("publishes what comes in one turn by one push, and each is what it is alone", async () => {
    const storage = memoryStorage();
    const pushed: (readonly QueueItem[])[] = [];
    const { push } = storage.queue;
    storage.queue.push = (topic, items, options) => {
      pushed.push(items);
      return push.call(storage.queue, topic, items, options);
    };
    const runtime = { ...systemRuntime(), log: () => {} };
    const app = createMediator({ handlers: [on(Told, () => {}, { name: "h" })], runtime });
    const backend = withStorage(memory(), storage);
    const node = await joinCluster(app, { node: "a", endpoint: "a", backend, service: "shop", unsafe: true });
    const told = [
      node.publish(Told("a1"), { id: "first" }),
      node.publish(Told('odd "id"'), { id: '"\\' }),
      node.publish(Told("a2"), { headers: { tenant: "t" } }),
      node.publish(Told(undefined as unknown as string), { id: "nothing" }),
      node.publish(Told("a3"), { signal: AbortSignal.abort() }),
      node.enqueue(Mail("x"), { id: "mail" }),
    ];
    const codes = (await Promise.all(told)).map((each) => each.ok ? "ok" : each.error.code);
    expect(codes).toEqual(["ok", "ok", "ok", "SERIALIZATION", "CANCELLED", "ok"]);
    expect(pushed.map(({ length }) => length)).toEqual([3, 1]);
    const [first, odd, headed] = pushed[0]!.map(({ payload }) => JSON.parse(payload as string) as unknown);
    expect(first).toEqual([1, "parcel", ["told", "first", -1, "a1"]]);
    expect(odd).toEqual([1, "parcel", ["told", '"\\', -1, 'odd "id"']]);
    expect((headed as unknown[])[2]).toContainEqual({ h: { tenant: "t" } });
    expect(pushed[0]!.map(({ key }) => key)).toEqual(["a", "o", "a"]);
    await node.leave();
  });
});

/**
 * What a push comes to: it is kept and answered; kept, and its answer lost; neither; kept, and answered or lost when it
 * is said; nothing is ever heard of it; refused for want of room; a fault of the queue.
 */
type Answer = "ok" | "lost" | "away" | "late" | "late lost" | "never" | "full" | "broken";

/** A queue that answers as it is told, and pushes into it. */
class Bench {
  readonly runtime: FakeRuntime;
  readonly answers: Answer[] = [];
  readonly pushes: string[][] = [];
  readonly signals: AbortSignal[] = [];
  readonly #queue: Queue;
  readonly #joined: JoinedPushes;
  #late: (() => void)[] = [];

  private constructor(runtime: FakeRuntime, queue: Queue) {
    this.runtime = runtime;
    this.#queue = queue;
    this.#joined = new JoinedPushes({
      queue: { push: (topic, items, options) => this.#answer(topic, items, options!.signal!) },
      runtime,
    });
  }

  static async open(limits: { readonly items?: number } = {}): Promise<Bench> {
    const runtime = fakeRuntime();
    const queue = memoryQueue({ clock: runtime.clock, ...limits });
    for (const topic of ["t", "other"]) await queue.subscribe(topic, "g");
    return new Bench(runtime, queue);
  }

  put(
    id: string,
    item: Partial<QueueItem> = {},
    topic = "t",
    limits: Partial<JoinedLimits> = {},
  ): ReturnType<JoinedPushes["push"]> {
    const all = { timeout: Infinity, deadline: Infinity, signals: [], ...limits };
    return this.#joined.push(topic, { id, payload: "", ...item }, all);
  }

  async kept(topic = "t"): Promise<string[]> {
    const all = await this.#queue.pull(topic, "g", { max: 10_000, lease: 1 });
    return all.map(({ id }) => id);
  }

  /** Answers those that are late. */
  answer(many = Infinity): void {
    for (const run of this.#late.splice(0, many)) run();
  }

  async #answer(topic: string, items: readonly QueueItem[], signal: AbortSignal): Promise<void> {
    this.pushes.push(items.map(({ id }) => id));
    this.signals.push(signal);
    const answer = this.answers.shift() ?? "ok";
    if (answer === "away") throw new CatgaError(systemFault("UNAVAILABLE", "away"));
    if (answer === "full") throw new CatgaError(systemFault("OVERLOADED", "full"));
    if (answer === "broken") throw new Error("broken");
    if (answer === "never") await new Promise(() => {});
    await this.#queue.push(topic, items);
    if (answer.startsWith("late")) await new Promise<void>((resolve) => this.#late.push(resolve));
    if (answer.endsWith("lost")) throw new CatgaError(systemFault("TRANSPORT", "no answer"));
  }
}
