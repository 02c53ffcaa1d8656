/**
 * Money that goes from record to record by events, with the process ended before and after each thing that it asks of
 * store and queue. Nothing is lost, doubled or made up.
 */

import { describe, expect, test } from "bun:test";
import { reliableEvent, type } from "@catga/catga";
import { inbox, records, startRelay } from "@catga/catga/durable";
import type { Queue, Store } from "@catga/catga/ports";
import { CrashPoint } from "@catga/catga/testing";
import { sleep } from "../../src/internal/sleep.ts";
import { json } from "../../src/wire/json.ts";
import { decodeParcel } from "../../src/wire/parcel.ts";
import { type Desk, desk, pass } from "./records_support.ts";

interface Account {
  readonly balance: number;
  /** How many transfers went out, and what came in, by number. */
  readonly sent: number;
  readonly got: readonly number[];
}

const Sent = reliableEvent("sent", { data: type<{ n: number; to: string; amount: number }>() });
const START: Account = { balance: 100, sent: 0, got: [] };
const GROUP = "bank/book";
/** Who pays whom; the third never has so much. */
const TRANSFERS = [["ann", "bob", 30], ["ann", "bob", 20], ["ann", "bob", 600], ["bob", "ann", 120]] as const;

/** A process with its accounts, its relay and its consumer. */
function bank({ runtime }: Desk, store: Store, queue: Queue, point: CrashPoint) {
  const relay = startRelay({ store, queue, runtime, owner: "bank" });
  const marks = inbox(store, { runtime });
  const accounts = records<Account>("accounts", { store, runtime, relay, inbox: marks });
  const stopped = new AbortController();
  const book = async (): Promise<void> => {
    for (const delivery of await queue.pull("sent", GROUP, { max: 10, lease: 3000 })) {
      const { ack } = point.wrap({ ack: () => delivery.ack() });
      const { id, body } = decodeParcel(json, delivery.payload);
      const { to, n, amount } = body as { to: string; n: number; amount: number };
      if (!await marks.seen(GROUP, id)) {
        const context = { id, delivery: { group: GROUP, attempt: delivery.attempt } };
        const take = ({ balance, sent, got }: Account = START): Account => ({
          balance: balance + amount,
          sent,
          got: [...got, n],
        });
        await accounts.update(to, take, { context });
        await marks.done(GROUP, id);
      }
      await ack();
    }
  };
  const consume = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await book().catch(() => {});
      await sleep(runtime.clock, 50, stopped.signal);
    }
  };
  const pay = async (n: number): Promise<void> => {
    const [from, to, amount] = TRANSFERS[n]!;
    const give = (
      { balance, sent, got }: Account = START,
      tx: { publish(event: ReturnType<typeof Sent>): void },
    ): Account => {
      tx.publish(Sent({ n, to, amount }));
      if (balance < amount) throw new RangeError("not so much");
      return { balance: balance - amount, sent: sent + 1, got };
    };
    await accounts.update(from, give, { context: { id: `transfer-${n}` } }).catch((thrown: unknown) => {
      if (!(thrown instanceof RangeError)) throw thrown;
    });
  };
  void consume();
  return { accounts, relay, pay, stop: () => stopped.abort() };
}

/** What came of it all. */
interface Outcome {
  readonly passed: number;
  readonly ann: Account;
  readonly bob: Account;
  readonly left: readonly string[];
  /** The numbers of the transfers in the order in which a listener heard of them, and under how many ids. */
  readonly heard: readonly number[];
  readonly ids: number;
}

/** @param repeats whether whoever pays asks again after the crash */
async function run(at: number, when: "before" | "after", repeats: boolean): Promise<Outcome> {
  const place = desk(at);
  const { time, store, queue } = place;
  await queue.subscribe("sent", GROUP);
  await queue.subscribe("sent", "listener");
  const first = new CrashPoint({ at, when, crash: () => {} });
  const dead = bank(place, first.wrap(store), first.wrap(queue), first);
  await pass(time, 10);
  void (async () => {
    for (let n = 0; n < 3; n++) await dead.pay(n);
    await sleep(time.clock, 500);
    await dead.pay(3);
  })().catch(() => {});
  await pass(time, 1500);
  dead.stop();
  await pass(time, 3500);
  const none = new CrashPoint({ at: Infinity, when, crash: () => {} });
  const second = bank(place, store, queue, none);
  if (repeats || first.passed < at) {
    for (let n = 0; n < 3; n++) await reached(time, second.pay(n));
    await pass(time, 8000);
    await reached(time, second.pay(3));
  }
  await pass(time, 10_000);
  second.stop();
  const heard: number[] = [];
  const ids = new Set<string>();
  for (const delivery of await queue.pull("sent", "listener", { max: 100, lease: 1000 })) {
    const parcel = decodeParcel(json, delivery.payload);
    heard.push((parcel.body as { n: number }).n);
    ids.add(parcel.id);
    await delivery.ack();
    // Those behind it with its key come after it.
    for (const next of await queue.pull("sent", "listener", { max: 100, lease: 1000 })) {
      const { body, id } = decodeParcel(json, next.payload);
      heard.push((body as { n: number }).n);
      ids.add(id);
      await next.ack();
    }
  }
  const marks = await store.list("outbox/");
  const untold = (await store.list("records/")).filter(({ value }) => !value.startsWith("[1,[],"));
  const backlog = await queue.backlog("sent", GROUP);
  return {
    passed: first.passed,
    ann: (await second.accounts.get("ann")) ?? START,
    bob: (await second.accounts.get("bob")) ?? START,
    left: [...marks, ...untold].map(({ key }) => key).concat(backlog.items === 0 ? [] : ["queue"]),
    heard,
    ids: ids.size,
  };
}

async function reached(time: Desk["time"], work: Promise<void>): Promise<void> {
  let settled = false;
  void work.finally(() => settled = true);
  for (let turns = 0; turns < 100 && !settled; turns++) await pass(time, 50);
  await work;
}

/** Every await on Bun, some elsewhere: under the test runners of Deno and Node each costs many times as much. */
const STRIDE = "Bun" in globalThis ? 1 : 7;

describe("a process that ends (C8, F11: crash between the change and its events)", () => {
  test("nowhere pays and books all", async () => {
    const { ann, bob, heard, left, passed } = await run(Infinity, "before", true);
    expect(ann).toEqual({ balance: 170, sent: 2, got: [3] });
    expect(bob).toEqual({ balance: 30, sent: 1, got: [0, 1] });
    expect([[...heard].sort(), left]).toEqual([[0, 1, 3], []]);
    expect(passed).toBeGreaterThan(60);
  });

  for (const when of ["before", "after"] as const) {
    test(`${when} anything, and is started again, pays and books all once`, async () => {
      const { passed, ...whole } = await run(Infinity, when, true);
      for (let at = 1; at <= passed; at += STRIDE) {
        const { passed: ended, ...outcome } = await run(at, when, true);
        expect([at, ended]).toEqual([at, at]);
        expect([at, { ...outcome, heard: [...outcome.heard].sort() }]).toEqual([at, {
          ...whole,
          heard: [0, 1, 3],
        }]);
        expect(outcome.heard.indexOf(0)).toBeLessThan(outcome.heard.indexOf(1));
      }
    }, 60_000);

    test(`${when} anything, for good, tells just what was paid, and the ledger sums to zero`, async () => {
      const { passed } = await run(Infinity, when, false);
      for (let at = 1; at <= passed; at += STRIDE) {
        const { ann, bob, heard, ids, left } = await run(at, when, false);
        const told = ann.sent + bob.sent;
        expect([at, ann.balance + bob.balance]).toEqual([at, 200]);
        expect([at, heard.length, ids, ann.got.length + bob.got.length]).toEqual([at, told, told, told]);
        expect([at, left]).toEqual([at, []]);
      }
    }, 60_000);
  }
});
