/** A lease that is waited for again and again: it ends when it is told to, whenever that is. */

import { describe, expect, test } from "bun:test";
import { CatgaError, systemFault } from "@catga/catga";
import { acquireLease } from "@catga/catga/durable";
import { memoryStore } from "@catga/catga/memory";
import type { Runtime, Store } from "@catga/catga/ports";
import { KeptLease } from "../../src/durable/kept_lease.ts";
import { type FakeRuntime, fakeRuntime, settle } from "../behaviors/fake_runtime.ts";

const KEY = "leases/kept";
const TTL = 3000;

interface Keeping {
  readonly time: FakeRuntime;
  readonly runtime: Runtime;
  readonly store: Store;
  readonly kept: KeptLease;
  /** What the host was told, in order. */
  readonly told: string[];
}

interface KeepOptions {
  readonly gained?: () => void;
  /** What the store does instead when it is asked for an entry. */
  readonly get?: Store["get"];
  /** What it does instead when it is to keep one. */
  readonly put?: Store["put"];
}

function keep({ gained, get, put }: KeepOptions = {}): Keeping {
  const time = fakeRuntime();
  let last = 1;
  const random = { u32: () => last = Math.imul(last, 0x9e3779b1) + 0x7f4a7c15 >>> 0 };
  const runtime: Runtime = { ...time, random, background: (work) => void work.catch(() => {}) };
  const store = memoryStore({ clock: time.clock });
  const told: string[] = [];
  const kept = new KeptLease({
    store: {
      get: get ?? ((key, options) => store.get(key, options)),
      put: put ?? ((key, value, options) => store.put(key, value, options)),
      delete: (key, options) => store.delete(key, options),
      list: (prefix, options) => store.list(prefix, options),
      watch: (prefix, options) => store.watch(prefix, options),
    },
    runtime,
    owner: "a",
    ttl: TTL,
    key: () => KEY,
    gained: () => {
      told.push("gained");
      gained?.();
    },
    lost: () => void told.push("lost"),
    failed: (cause) => void told.push(`failed ${(cause as Error).message}`),
  });
  return { time, runtime, store, kept, told };
}

describe("a lease that is kept", () => {
  test("is held again after it was lost, with a larger token", async () => {
    const { time, store, kept, told } = keep();
    await settle();
    expect([kept.held?.owner, told]).toEqual(["a", ["gained"]]);
    const { token } = kept.held!;
    await store.delete(KEY);
    await time.advance(TTL);
    expect(told).toEqual(["gained", "lost", "gained"]);
    expect(kept.held!.token).toBeGreaterThan(token);
    await kept.close();
    expect([told.at(-1), kept.held, time.pending(), await store.list("")]).toEqual([
      "lost",
      undefined,
      0,
      [],
    ]);
  });

  test("can be closed at any moment, and leaves nothing behind", async () => {
    const heard = new Set<string>();
    for (let moment = 0; moment < 60; moment++) {
      const { time, store, kept, told } = keep();
      for (let turn = 0; turn < moment; turn++) await Promise.resolve();
      let closed = false;
      void kept.close().then(() => closed = true);
      await time.advance(10 * TTL);
      expect([moment, closed, time.pending(), await store.list("")]).toEqual([moment, true, 0, []]);
      expect(kept.held).toBe(undefined);
      heard.add(told.join());
    }
    expect([...heard].sort()).toEqual(["", "gained,lost"]);
  });

  test("is let go for a while, so that others can have it", async () => {
    const { time, runtime, store, kept, told } = keep();
    await settle();
    await kept.letGo(TTL);
    const other = await acquireLease(KEY, { store, runtime, owner: "b", ttl: TTL, timeout: 0 });
    await time.advance(5 * TTL);
    expect([told, other.held()]).toEqual([["gained", "lost"], true]);
    await other.release();
    await time.advance(TTL);
    expect(kept.held?.owner).toBe("a");
    await kept.close();
    expect(time.pending()).toBe(0);
  });

  test("is released when its host fails to take it, and asked for again", async () => {
    let times = 0;
    const { time, store, kept, told } = keep({
      gained: () => {
        if (++times === 1) throw new Error("on purpose");
      },
    });
    await time.advance(TTL);
    expect(told).toEqual(["gained", "failed on purpose", "gained"]);
    expect(kept.held?.owner).toBe("a");
    await kept.close();
    expect([time.pending(), await store.list("")]).toEqual([0, []]);
  });

  test("asks later and later when the store refuses it for good, until it is closed", async () => {
    let asked = 0;
    const put = (): Promise<never> => {
      asked++;
      return Promise.reject(new CatgaError(systemFault("VALIDATION", "refused")));
    };
    const { time, kept, told } = keep({ put });
    await time.advance(60_000);
    expect(new Set(told)).toEqual(new Set(["failed refused"]));
    expect(asked).toBeGreaterThan(5);
    expect(asked).toBeLessThan(70);
    await kept.close();
    expect(time.pending()).toBe(0);
  });

  test("is closed at once while the store hangs", async () => {
    const hang = (): Promise<never> => new Promise<never>(() => {});
    const { time, kept } = keep({ get: hang, put: hang });
    await time.advance(100);
    let closed = false;
    void kept.close().then(() => closed = true);
    await settle();
    expect(closed).toBe(true);
    await time.advance(2 * TTL);
    expect(time.pending()).toBe(0);
  });
});
