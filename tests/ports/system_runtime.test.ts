import { describe, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import { type LogEntry, systemRuntime } from "@catga/catga/ports";

const DAY = 86_400_000;
const { clock, random, crypto } = systemRuntime();

describe("the system clock", () => {
  test("fires, in order, and never before its time", async () => {
    const start = clock.mono();
    const ran: [number, number][] = [];
    await new Promise<void>((resolve) => {
      for (const ms of [30, 0, 10]) {
        clock.timer(ms, () => {
          ran.push([ms, clock.mono() - start]);
          if (ran.length === 3) resolve();
        });
      }
    });
    expect(ran.map(([ms]) => ms)).toEqual([0, 10, 30]);
    for (const [ms, after] of ran) expect(after).toBeGreaterThanOrEqual(ms);
  });

  test("what is called off does not fire, and 30 days are not now", async () => {
    const ran: string[] = [];
    const stopFar = clock.timer(30 * DAY, () => void ran.push("far"));
    const stop = clock.timer(5, () => void ran.push("called off"));
    stop();
    stop();
    // The wheel has looked again by then, and would have armed itself for the far one.
    await new Promise<void>((resolve) => clock.timer(80, resolve));
    await new Promise<void>((resolve) => clock.timer(10, resolve));
    expect(ran).toEqual([]);
    stopFar();
  });

  test("its time only grows, and the wall's is a date", () => {
    const times = Array.from({ length: 1000 }, () => clock.mono());
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(clock.wall()).toBeGreaterThan(Date.UTC(2024, 0));
    expect(Number.isInteger(clock.wall())).toBe(true);
  });
});

test("u32 is a whole number below 2^32, and uses all of its range", () => {
  const numbers = Array.from({ length: 2000 }, () => random.u32());
  expect(numbers.every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 32)).toBe(true);
  expect(new Set(numbers).size).toBeGreaterThan(1990);
  // Each misses with a chance below 2^-800.
  expect(Math.min(...numbers)).toBeLessThan(2 ** 30);
  expect(Math.max(...numbers)).toBeGreaterThan(3 * 2 ** 30);
});

describe("keyed hashes are what node:crypto makes", () => {
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.string());
  const key = text.filter((text) => text.length > 0);

  test("hmac, with more keys than it keeps", async () => {
    await fc.assert(fc.asyncProperty(key, text, async (secret, said) => {
      const expected = createHmac("sha256", secret).update(said, "utf8").digest("base64url");
      expect(await crypto.hmac(secret, said)).toBe(expected);
    }));
  });

  test("hmac, many at once under few keys", async () => {
    const pairs = Array.from({ length: 200 }, (_, n) => [`key ${n % 20}`, `text ${n}`] as const);
    const macs = await Promise.all(pairs.map(([secret, said]) => crypto.hmac(secret, said)));
    expect(macs).toEqual(
      pairs.map(([secret, said]) => createHmac("sha256", secret).update(said).digest("base64url")),
    );
  });

  test("hash, of text and of bytes", async () => {
    await fc.assert(fc.asyncProperty(fc.oneof(text, fc.uint8Array({ maxLength: 300 })), async (body) => {
      expect(await crypto.hash(body)).toBe(createHash("sha256").update(body).digest("base64url"));
    }));
  });

  test("hash, of a part of a buffer", async () => {
    const whole = new Uint8Array([1, 2, 3, 4, 5]);
    expect(await crypto.hash(whole.subarray(1, 3))).toBe(await crypto.hash(new Uint8Array([2, 3])));
  });
});

describe("what may be replaced", () => {
  test("log, fetch and background", async () => {
    const entries: LogEntry[] = [];
    const work: Promise<unknown>[] = [];
    const reply = { status: 204, headers: { get: () => null }, body: null, text: () => Promise.resolve("") };
    const runtime = systemRuntime({
      log: (entry) => void entries.push(entry),
      background: (one) => void work.push(one),
      fetch: () => Promise.resolve(reply),
    });
    const entry: LogEntry = { level: "info", event: "x", message: "X" };
    runtime.log(entry);
    const job = Promise.resolve(1);
    runtime.background(job);
    expect(entries).toEqual([entry]);
    expect(work).toEqual([job]);
    expect(await runtime.fetch("http://localhost/", { method: "GET", headers: {} })).toBe(reply);
  });

  test("background work that fails by default harms nobody", async () => {
    systemRuntime().background(Promise.reject(new Error("x")));
    await new Promise<void>((resolve) => clock.timer(5, resolve));
  });
});
