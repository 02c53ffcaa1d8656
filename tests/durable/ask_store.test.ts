/** Whatever is asked, it is not waited for for ever; and the failure says what it was. */

import { describe, expect, test } from "bun:test";
import { type CatgaError, type } from "@catga/catga";
import { memoryEventStore } from "@catga/catga/memory";
import { records, startProjection, startRelay } from "@catga/catga/durable";
import { askStore } from "../../src/durable/ask_store.ts";
import { fakeRuntime } from "../behaviors/fake_runtime.ts";
import { changed, desk, Noted, now, pass } from "./records_support.ts";

const never = (): Promise<never> => new Promise(() => {});
const failed = (work: Promise<unknown>): Promise<string> =>
  work.then(() => "none", ({ code, message }: CatgaError) => `${code}: ${message}`);

describe("what does not answer", () => {
  test.each(
    [[undefined, "store"], ["store", "store"], ["queue", "queue"], ["event store", "event store"]] as const,
  )(
    "%s is named in the failure",
    async (asked, name) => {
      const { clock, advance } = fakeRuntime();
      const late = failed(askStore({ clock, limit: 50, signal: undefined, asked }, never));
      await advance(50);
      expect(await late).toBe(`TRANSPORT: The ${name} did not answer within 50 ms`);
      const given = failed(askStore({ clock, limit: 50, signal: AbortSignal.abort(), asked }, never));
      expect(await given).toBe(`CANCELLED: Nobody waits any longer for the ${name}`);
    },
  );

  test("is told that nobody waits, and why", async () => {
    const { clock, advance, pending } = fakeRuntime();
    const given: AbortSignal[] = [];
    const hang = (signal: AbortSignal) => (given.push(signal), never());
    const leaver = new AbortController();
    const late = failed(askStore({ clock, limit: 50, signal: undefined }, hang));
    const left = failed(askStore({ clock, limit: 90, signal: leaver.signal }, hang));
    expect(given.map(({ aborted }) => aborted)).toEqual([false, false]);
    await advance(50);
    leaver.abort();
    const reasons = given.map(({ reason }) => `${reason.code}: ${reason.message}`);
    expect(reasons).toEqual([await late, await left]);
    expect(pending()).toBe(0);
  });

  test("leaves no timer behind once it answers, fails or throws", async () => {
    const { clock, pending } = fakeRuntime();
    const options = { clock, limit: 50, signal: undefined };
    const broken = new Error("broken");
    expect(await askStore(options, () => Promise.resolve(7))).toBe(7);
    expect(await askStore(options, () => Promise.reject(broken)).catch((thrown) => thrown)).toBe(broken);
    const thrower = (): never => {
      throw broken;
    };
    expect(await askStore(options, thrower).catch((thrown) => thrown)).toBe(broken);
    expect(pending()).toBe(0);
  });

  test("is the queue where a relay cannot tell", async () => {
    const place = desk();
    const queue = changed(place.queue, { push: never });
    const relay = startRelay({ ...place, queue, owner: "a" });
    await pass(place.time, 100);
    await now(
      records<string>("notes", { ...place, relay }).update(
        "one",
        (_, tx) => (tx.publish(Noted({ text: "" })), ""),
      ),
    );
    await pass(place.time, 5000);
    const told = place.time.entries.filter(({ event }) => event === "outbox.queue_unreachable");
    expect(told.map(({ message }) => message)).toEqual([
      "Cannot tell anything just now: The queue did not answer within 2000 ms",
    ]);
    await now(relay.stop());
  });

  test("is the event store where a projection cannot read", async () => {
    const place = desk();
    const events = changed(memoryEventStore(place.runtime), { readAll: never, head: never });
    const options = { ...place, events, from: { cart: { opened: type<void>() } }, owner: "a" };
    const mails = startProjection("mails", { ...options, patience: 300, handle: () => {} });
    await pass(place.time, 1000);
    const told = place.time.entries.filter(({ event }) => event === "projection.store_failed");
    expect(told[0]?.message).toContain("The event store did not answer within 300 ms");
    const lag = failed(mails.lag());
    await pass(place.time, 400);
    expect(await lag).toContain("The event store did not answer");
    await now(mails.stop());
  });
});
