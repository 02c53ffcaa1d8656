/** The rest of the simulated door to the outside: chance, signing, fetch, background work, log. */

import { describe, expect, test } from "bun:test";
import { createDrain, createSimulation, seededRandom } from "@catga/catga/testing";

describe("chance", () => {
  test("is the same for the same seed, and another for another", () => {
    const draw = (seed: number): number => seededRandom(seed).u32();
    expect(draw(7)).toBe(draw(7));
    expect(new Set([draw(7), draw(8), draw(7 + 2 ** 32)]).size).toBe(3);
    expect(() => createSimulation({ seed: 0.5 })).toThrow("whole number");
  });

  test("is spread evenly", () => {
    const random = seededRandom(1);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[random.below(10)]!++;
    expect(Math.min(...counts)).toBeGreaterThan(9_600);
    expect(Math.max(...counts)).toBeLessThan(10_400);
    expect(random.chance(0)).toBe(false);
    expect(random.chance(1)).toBe(true);
    expect(random.pick(["x"])).toBe("x");
    expect(() => random.pick([])).toThrow("empty");
    for (let i = 0; i < 100; i++) expect(Math.floor(random.between(2, 3))).toBe(2);
  });

  test("a fork depends on its name alone", () => {
    const one = seededRandom(1);
    const two = seededRandom(1);
    two.u32();
    expect(one.fork("x").u32()).toBe(two.fork("x").u32());
    expect(one.fork("x").u32()).not.toBe(one.fork("y").u32());
    expect(one.fork("x").fork("y").u32()).not.toBe(one.fork("xy").u32());
  });

  test("each node and each life has its own", () => {
    const simulation = createSimulation({ seed: 1 });
    const { u32 } = simulation.runtime("a").random;
    const first = u32();
    expect(simulation.runtime("b").random.u32()).not.toBe(first);
    simulation.crash("a");
    expect(simulation.restart("a").random.u32()).not.toBe(first);
  });
});

describe("the toy signer", () => {
  const { crypto } = createSimulation({ seed: 1 }).runtime("a");

  test("answers at once, the same for text and its bytes, and another with every change", () => {
    const hash = crypto.hash("hello");
    expect(hash).toMatch(/^[\w-]{43}$/);
    expect(crypto.hash(new TextEncoder().encode("hello"))).toBe(hash);
    const all = ["", "h", "hello ", "Hello", "hellp"].map((text) => crypto.hash(text));
    expect(new Set([hash, ...all]).size).toBe(6);
    expect(crypto.hmac("key", "text")).not.toBe(crypto.hmac("ke", "ytext"));
  });
});

describe("the runtime", () => {
  test("refuses to fetch, or asks the function it was given", async () => {
    const init = { method: "GET", headers: {} };
    const none = createSimulation({ seed: 1 }).runtime("a");
    await expect(none.fetch("http://b/x", init)).rejects.toThrow("has no fetch");
    const some = createSimulation({
      seed: 1,
      fetch: (node, url) => Promise.resolve(new Response(`${node} asks ${url}`)),
    });
    expect(await (await some.runtime("a").fetch("http://b/x", init)).text()).toBe("a asks http://b/x");
  });

  test("counts background work until it settles, one way or the other", async () => {
    const simulation = createSimulation({ seed: 1 });
    const runtime = simulation.runtime("a");
    let finish = (): void => {};
    runtime.background(new Promise<void>((resolve) => finish = resolve));
    runtime.background(Promise.reject(new Error("on purpose")));
    await simulation.run(0);
    expect(simulation.pending().background).toBe(1);
    finish();
    await simulation.run(0);
    expect(simulation.pending().background).toBe(0);
  });

  test("puts what is logged into the trace and hands it on", () => {
    const heard: string[] = [];
    const simulation = createSimulation({
      seed: 1,
      log: (node, { event }) => void heard.push(`${node} ${event}`),
    });
    simulation.runtime("a").log({ level: "warn", event: "odd", message: "That is odd" });
    expect(heard).toEqual(["a odd"]);
    expect(simulation.trace.lines().at(-1)).toContain("warn odd: That is odd");
  });
});

test("the drain for every platform waits for all microtasks", async () => {
  const drain = createDrain();
  let done = false;
  void (async () => {
    for (let i = 0; i < 1000; i++) await undefined;
    done = true;
  })();
  await drain();
  expect(done).toBe(true);
});
