/** A store, a queue and a time that stands still, for records. */

import { reliableEvent, type } from "@catga/catga";
import { memoryQueue, memoryStore } from "@catga/catga/memory";
import type { Queue, Runtime, Store } from "@catga/catga/ports";
import { seededRandom } from "@catga/catga/testing";
import { json } from "../../src/wire/json.ts";
import { decodeParcel, type Parcel } from "../../src/wire/parcel.ts";
import { type FakeRuntime, fakeRuntime, settle } from "../behaviors/fake_runtime.ts";
import { lasting } from "./lasting.ts";

export const Noted = reliableEvent("noted", { data: type<{ text: string }>() });
export const Keyed = reliableEvent("keyed", {
  data: type<{ key: string; n: number }>(),
  key: ({ key }) => key,
});

export interface Desk {
  readonly time: FakeRuntime;
  readonly runtime: Runtime;
  readonly store: Store;
  readonly queue: Queue;
}

/** What all share, and one runtime. */
export function desk(seed = 1): Desk {
  const random = seededRandom(seed);
  const time = fakeRuntime(() => random.u32());
  const runtime: Runtime = {
    ...time,
    crypto: { hmac: () => "", hash: (body) => `hash-${body.length}-${String(body).slice(0, 60)}` },
    background: (work) => void work.catch(() => {}),
  };
  return {
    time,
    runtime,
    store: lasting(memoryStore({ clock: time.clock })),
    queue: memoryQueue({ clock: time.clock }),
  };
}

/** A port whose methods are changed for a test. */
export function changed<T extends object>(port: T, change: Partial<T>): T {
  return new Proxy(port, {
    get: (target, name) => {
      const own = Reflect.get(change, name, change);
      if (own !== undefined) return own;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** Takes all that a group has, and acknowledges it. */
export async function takeAll(
  { queue }: Pick<Desk, "queue">,
  topic: string,
  group: string,
): Promise<Parcel[]> {
  const taken: Parcel[] = [];
  for (;;) {
    const deliveries = await queue.pull(topic, group, { max: 100, lease: 1000 });
    if (deliveries.length === 0) return taken;
    for (const delivery of deliveries) {
      taken.push(decodeParcel(json, delivery.payload));
      await delivery.ack();
    }
  }
}

/** Lets time pass, but first all happen that waits for none. */
export async function pass(time: FakeRuntime, ms: number, most = 20): Promise<void> {
  for (let turns = 0; turns < most; turns++) await settle();
  await time.advance(ms);
}

/** Waits for something without letting time pass; fails when it needs any. */
export async function now<T>(work: Promise<T>): Promise<T> {
  let settled = false;
  const done = (): void => void (settled = true);
  work.then(done, done);
  for (let turns = 0; turns < 500 && !settled; turns++) await settle();
  if (!settled) throw new Error("It waits for time to pass");
  return await work;
}

/** What something was rejected with. */
export async function faultOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "none",
    (thrown: { code?: string; message: string }) => thrown.code ?? thrown.message,
  );
}
