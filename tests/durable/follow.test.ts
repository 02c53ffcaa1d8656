/** Entries that are followed over breaks, without asking too often, without end, or for too much. */

import { describe, expect, test } from "bun:test";
import { memoryStore } from "@catga/catga/memory";
import type { Change, Runtime, Store } from "@catga/catga/ports";
import { follow } from "../../src/durable/follow.ts";
import { type FakeRuntime, fakeRuntime, settle } from "../behaviors/fake_runtime.ts";

interface Followed {
  readonly time: FakeRuntime;
  readonly store: Store;
  /** What was told, as `key value` or `key gone`. */
  readonly told: string[];
  readonly failures: string[];
  ended: boolean;
  stop(): void;
}

function following(change: (store: Store) => Partial<Store> = () => ({})): Followed {
  const time = fakeRuntime();
  const store = memoryStore({ clock: time.clock });
  const controller = new AbortController();
  const runtime: Runtime = { ...time, background: (work) => void work.catch(() => {}) };
  const followed: Followed = {
    time,
    store,
    told: [],
    failures: [],
    ended: false,
    stop: () => controller.abort(),
  };
  void follow("k/", {
    store: { ...methods(store), ...change(store) },
    runtime,
    signal: controller.signal,
    take: (key, entry) => void followed.told.push(`${key} ${entry?.value ?? "gone"}`),
    failed: (cause) => void followed.failures.push((cause as Error).message),
  }).then(() => followed.ended = true);
  return followed;
}

describe("following", () => {
  test("tells what is there, each change, and ends by its signal", async () => {
    const followed = following((store) => {
      void store.put("k/a", "1");
      return {};
    });
    await settle();
    await followed.store.put("k/b", "1");
    await followed.store.delete("k/a");
    await settle();
    expect(followed.told).toEqual(["k/a 1", "k/b 1", "k/a gone"]);
    followed.stop();
    await settle();
    expect([followed.ended, followed.time.pending()]).toEqual([true, 0]);
  });

  test("tells after a break what has changed and gone meanwhile, once", async () => {
    let breakOff = (): void => {};
    const followed = following((store) => ({
      watch: async function* (prefix, options) {
        const broken = new Promise<never>((_, reject) => breakOff = () => reject(new Error("broken")));
        const reader = store.watch(prefix, options)[Symbol.asyncIterator]();
        for (;;) {
          const { done, value } = await Promise.race([reader.next(), broken]);
          if (done) return;
          yield value;
        }
      },
    }));
    await followed.store.put("k/a", "1");
    await followed.store.put("k/b", "1");
    await settle();
    breakOff();
    await settle();
    await followed.store.delete("k/a");
    await followed.store.put("k/c", "1");
    expect(followed.told.splice(0)).toEqual(["k/a 1", "k/b 1"]);
    await followed.time.advance(5000);
    expect(followed.told).toEqual(["k/b 1", "k/c 1", "k/a gone"]);
    expect(followed.failures).toEqual(["broken"]);
    followed.stop();
  });

  test("does not ask without end for a watch that ends or fails at once", async () => {
    for (const fails of [false, true]) {
      let asked = 0;
      const followed = following(() => ({
        // deno-lint-ignore require-yield
        watch: async function* () {
          asked++;
          if (fails) throw new Error("broken");
        },
      }));
      await followed.time.advance(60_000);
      expect(asked).toBeGreaterThan(10);
      expect(asked).toBeLessThan(70);
      followed.stop();
      await settle();
      expect([followed.ended, followed.time.pending()]).toEqual([true, 0]);
    }
  });

  test("says when there are more entries than it follows", async () => {
    const followed = following(() => ({
      watch: async function* (): AsyncGenerator<Change> {
        for (let at = 0; at < 65_540; at++) {
          yield { type: "put", entry: { key: `k/${at}`, value: "", revision: at + 1 } };
        }
        yield { type: "ready" };
        await new Promise<never>(() => {});
      },
    }));
    for (let turns = 0; turns < 400 && followed.failures.length === 0; turns++) {
      await new Promise<void>((resolve) => setTimeout(resolve, 1));
    }
    await settle();
    expect(followed.told).toHaveLength(65_536);
    expect(followed.failures).toEqual([
      'Cannot follow all that begins with "k/": it is more than 65536 entries',
    ]);
    followed.stop();
  });
});

function methods(store: Store): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
  };
}
