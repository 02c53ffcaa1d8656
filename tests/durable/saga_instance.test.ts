/** The parts of a saga by themselves: who may write it, and what is equal as JSON. */

import { describe, expect, test } from "bun:test";
import { memoryStore } from "@catga/catga/memory";
import type { Runtime, Store } from "@catga/catga/ports";
import fc from "fast-check";
import { CatgaError, systemFault } from "@catga/catga";
import { Instance } from "../../src/durable/saga/instance.ts";
import { fitsJson, sameJson } from "../../src/durable/saga/same_json.ts";
import type { SagaRecord } from "../../src/durable/saga/saga_record.ts";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";

const KEY = "sagas/of/go/k";

function record(by: string, change: Partial<SagaRecord> = {}): SagaRecord {
  return { type: "go", version: 1, status: "running", by, journal: [], started: 0, changed: 0, ...change };
}

/** An instance in the hands of "me", and a store that may be tampered with. */
async function held(tamper: (store: Store) => Partial<Store> = () => ({})) {
  const time = fakeRuntime();
  const kept = memoryStore({ clock: time.clock });
  const store: Store = {
    get: (key, options) => kept.get(key, options),
    put: (key, value, options) => kept.put(key, value, options),
    delete: (key, options) => kept.delete(key, options),
    list: (prefix, options) => kept.list(prefix, options),
    watch: (prefix, options) => kept.watch(prefix, options),
    ...tamper(kept),
  };
  const runtime: Runtime = { ...time, background: (work) => void work.catch(() => {}) };
  const revision = await kept.put(KEY, JSON.stringify(record("me")));
  const lease = new AbortController();
  const host = { store, runtime, patience: 300, retention: 60_000 };
  const instance = new Instance("go/k", "me", { record: record("me"), revision }, lease.signal, host);
  const found = async (): Promise<SagaRecord> => JSON.parse((await kept.get(KEY))!.value) as SagaRecord;
  return { instance, kept, lease, time, found };
}

const lost = new CatgaError(systemFault("TRANSPORT", "lost"));

describe("an instance", () => {
  test("F32: is written over and over by who has it, and each write is there", async () => {
    const { instance, found } = await held();
    for (let at = 0; at < 3; at++) {
      expect(await instance.write((record) => record.journal.push({ key: `s${at}`, kind: "now" }))).toBe(
        true,
      );
      expect((await found()).journal).toHaveLength(at + 1);
    }
  });

  test("is not written over by who had it, though the lease seems to be held", async () => {
    const { instance, kept, found } = await held();
    await kept.put(KEY, JSON.stringify(record("other", { value: "theirs" })));
    expect(await instance.write((record) => record.status = "completed")).toBe(false);
    expect(await found()).toMatchObject({ by: "other", status: "running", value: "theirs" });
    await kept.delete(KEY);
    expect(await instance.write()).toBe(false);
    expect(await kept.get(KEY)).toBeUndefined();
  });

  test("is not written once the lease is over", async () => {
    const { instance, lease, found } = await held();
    lease.abort();
    expect(await instance.write((record) => record.status = "completed")).toBe(false);
    expect((await found()).status).toBe("running");
  });

  test("takes over what others ask of it, also between its own writes", async () => {
    const { instance, kept, found } = await held();
    await kept.put(KEY, JSON.stringify(record("me", { cancel: true })));
    const seen: unknown[] = [];
    expect(await instance.write((record) => void seen.push(record.cancel))).toBe(true);
    expect(seen).toEqual([undefined, true]);
    expect((await found()).cancel).toBe(true);
    expect(await instance.look()).toBe(true);
  });

  test.each([true, false])(
    "is written although the answer was lost, with the write done: %p",
    async (done) => {
      let puts = 0;
      const { instance, time, found } = await held((kept) => ({
        put: async (...args) => {
          if (++puts > 1) return await kept.put(...args);
          if (done) await kept.put(...args);
          throw lost;
        },
      }));
      const written = instance.write((record) => {
        record.status = "completed";
        record.value = 5;
      });
      await time.advance(5000);
      expect(await written).toBe(true);
      expect(await found()).toMatchObject({ status: "completed", value: 5 });
      expect(puts).toBe(done ? 1 : 2);
    },
  );

  test("does not end twice: a late request to cancel finds it completed", async () => {
    let puts = 0;
    const { instance, time } = await held((kept) => ({
      put: async (...args) => {
        const revision = await kept.put(...args);
        if (++puts === 1) throw lost;
        return revision;
      },
    }));
    const written = instance.write((record) => record.status = record.cancel ? "compensating" : "completed");
    await time.advance(5000);
    expect([await written, instance.record.status]).toEqual([true, "completed"]);
  });
});

describe("what is equal as JSON", () => {
  const text = (value: unknown): string =>
    JSON.stringify(
      value,
      (_key, part: unknown) =>
        typeof part === "object" && part !== null && !Array.isArray(part)
          ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1))
          : part,
    );

  test("is what has the same text, whatever the order of its properties", () => {
    fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      expect(sameJson(a, b)).toBe(text(a) === text(b));
      expect(sameJson(a, JSON.parse(JSON.stringify(a)))).toBe(true);
    }));
  });

  test("fits all that is a part of it, and nothing that is not", () => {
    const bodies = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(fc.property(bodies, fc.string(), fc.jsonValue(), (body, name, value) => {
      expect(fitsJson({ ...body, [name]: value }, { [name]: value })).toBe(true);
      expect(fitsJson(body, undefined)).toBe(true);
      expect(fitsJson(body, { [name]: value })).toBe(
        Object.hasOwn(body, name) && sameJson(body[name], value),
      );
    }));
    expect(fitsJson("a", "a")).toBe(true);
    expect(fitsJson("a", { length: 1 })).toBe(false);
  });
});
