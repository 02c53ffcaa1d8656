/** What comes about rarely, where several things end at one time: nothing is kept back for long, and nothing is left out. */

import { describe, expect, test } from "bun:test";
import type { Queue } from "@catga/catga/ports";
import type { Acks } from "../../adapters/nats/acks.ts";
import type { AskOptions, Link } from "../../adapters/nats/link.ts";
import { natsQueue } from "../../adapters/nats/queue.ts";
import { DoneItems } from "../../adapters/nats/queue_done.ts";
import { HeldItem } from "../../adapters/nats/queue_held.ts";
import { Stock } from "../../adapters/nats/queue_stock.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import { persist, queuesOn, takeUntil } from "./queue_support.ts";
import { beside } from "../support/beside.ts";
import { startNats } from "./server.ts";
import { openLink, sleep, type TestLink, until } from "./support.ts";

const waiting = beside(4);

describe("a holder and an owner of a group end at one time", () => {
  waiting("an item that was done with, which neither knew yet, keeps nothing back", async () => {
    await using server = await startNats();
    const ackWait = 1000;
    await using queues = queuesOn(server.ws, "edge");
    const [owner, next] = [await queues.open({ ackWait }), await queues.open({ ackWait })];
    await owner.queue.subscribe("t", "g");
    await owner.queue.push("t", ["1", "2"].map((id) => ({ id, key: "k", payload: "" })));
    const link = await openLink(server.ws, { cluster: queues.cluster });
    const claimed = Promise.withResolvers<void>();
    const deaf: Link = Object.create(link, {
      ask: {
        value: async (subject: string, body: string, options?: AskOptions) => {
          const answer = await link.ask(subject, body, options);
          if (!subject.includes(".qm.")) return answer;
          if (body.includes('"claim"')) claimed.resolve();
          if (!body.includes('"settle"')) return answer;
          throw new CatgaError(systemFault("CANCELLED", "nobody hears it"));
        },
      },
    });
    const holder = await natsQueue(deaf, { bytes: 2 ** 26, ackWait });
    const [first] = await holder.pull("t", "g", { max: 1, lease: 4000 });
    await expect(first!.ack()).rejects.toMatchObject({ code: "CANCELLED" });
    await owner.link.connection.close();
    const pulled = next.queue.pull("t", "g", { max: 1, lease: 20_000, wait: 25_000 });
    await claimed.promise;
    await link.connection.close();
    const [second] = await pulled;
    expect([second?.id, second?.attempt]).toEqual(["2", 1]);
    await second!.ack();
    expect((await next.queue.backlog("t", "g")).items).toBe(0);
    await holder[Symbol.asyncDispose]();
  });
});

describe("a group that is lost, or slow to hear", () => {
  waiting("an answer that was old when it was read hands out nothing: others have had it since", async () => {
    await using server = await startNats();
    await using queues = queuesOn(server.ws, "old");
    const { queue } = await queues.open();
    await queue.subscribe("t", "g");
    await queue.push("t", [{ id: "1", key: "k", payload: "" }]);
    const link = await openLink(server.ws, { cluster: queues.cluster });
    let answers = 0;
    // As it is where a process stands still.
    const slow: Link = Object.create(link, {
      ask: {
        value: async (subject: string, body: string, options?: AskOptions) => {
          const answer = await link.ask(subject, body, options);
          if (body.includes('"pull"') && answers++ === 0) await sleep(500);
          return answer;
        },
      },
    });
    const member = await natsQueue(slow, { bytes: 2 ** 26 });
    const options = { max: 1, lease: 300 };
    expect(await member.pull("t", "g", options)).toEqual([]);
    const [second] = await member.pull("t", "g", { ...options, lease: 10_000, wait: 10_000 });
    expect([second?.id, second?.attempt]).toEqual(["1", 2]);
    await member[Symbol.asyncDispose]();
    await link[Symbol.asyncDispose]();
  });

  waiting(
    "what is said of an item of a group that was lost means none of the group that stands for it",
    async () => {
      await using server = await startNats();
      await using queues = queuesOn(server.ws, "reborn");
      const { queue, link: own } = await queues.open();
      await queue.subscribe("t", "g");
      await queue.push("t", [{ id: "1", payload: "" }]);
      const link = await openLink(server.ws, { cluster: queues.cluster });
      const reborn = Promise.withResolvers<void>();
      const slow: Link = Object.create(link, {
        ask: {
          value: async (subject: string, body: string, options?: AskOptions) => {
            if (body.includes('"settle"')) await reborn.promise;
            return await link.ask(subject, body, options);
          },
        },
      });
      const member = await natsQueue(slow, { bytes: 2 ** 26 });
      const [first] = await member.pull("t", "g", { max: 1, lease: 60_000 });
      const done = first!.ack();
      await server.restart({ loseFiles: true });
      await until(() => own.up);
      await sleep(500);
      await persist(() => queue.subscribe("t", "g"));
      await persist(() => queue.push("t", [{ id: "2", payload: "" }]));
      const [second] = await queue.pull("t", "g", { max: 1, lease: 60_000, wait: 10_000 });
      expect([second?.id, second?.attempt]).toEqual(["2", 1]);
      await until(() => link.up);
      reborn.resolve();
      await done;
      expect((await queue.backlog("t", "g")).items).toBe(1);
      await second!.ack();
      expect((await queue.backlog("t", "g")).items).toBe(0);
      await member[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
    },
  );

  waiting(
    "what is pushed while a group is made anew, after its files were lost, is for that group",
    async () => {
      await using server = await startNats();
      await using queues = queuesOn(server.ws, "anew");
      let slow = false;
      const members: { readonly link: TestLink; readonly queue: Queue & AsyncDisposable }[] = [];
      for (let at = 0; at < 3; at++) {
        const link = await openLink(server.ws, { cluster: queues.cluster });
        const held: Link = Object.create(link, {
          ask: {
            value: async (subject: string, body: string, options?: AskOptions) => {
              if (slow && subject.includes("CONSUMER.DURABLE.CREATE")) await sleep(300 + 300 * at);
              return await link.ask(subject, body, options);
            },
          },
        });
        members.push({ link, queue: await natsQueue(held, { bytes: 2 ** 26 }) });
      }
      for (const { queue } of members) await queue.subscribe("t", "g");
      slow = true;
      await server.restart({ loseFiles: true });
      await until(() => members.every(({ link }) => link.up));
      const ids = Array.from({ length: 30 }, (_, n) => `${n}`);
      await Promise.all(
        ids.map((id, n) => persist(() => members[n % 3]!.queue.push("t", [{ id, payload: "" }]))),
      );
      const taken = await takeUntil(members[0]!.queue, "t", "g", (ids) => ids.length === 30);
      expect(taken.toSorted()).toEqual(ids.toSorted());
      for (const { queue, link } of members) {
        await queue[Symbol.asyncDispose]();
        await link[Symbol.asyncDispose]();
      }
    },
  );
});

describe("items that are with nobody knows whom", () => {
  const acks = { tell: () => true, send: () => Promise.resolve() } as unknown as Acks;
  const claim = { ack: "", attempt: 1, left: 1000 };

  function stockOf(strays: number, place: number): Stock {
    const stock = new Stock({ mono: () => 0 }, acks, new DoneItems(), () => {});
    stock.gate.doubt(strays, place);
    return stock;
  }

  const item = (sequence: number, key: string): HeldItem => {
    const handOut = { times: 1, sequence, count: sequence, stored: 0 };
    return new HeldItem(handOut, { id: "x", key, delay: 0, text: "" }, new Uint8Array(), "", 0, 0);
  };

  test("are none the fewer for one that the server has not handed out, as it says after a crash", () => {
    const stock = stockOf(1, 10);
    stock.claim({ ...claim, sequence: 11, key: "a" });
    expect(stock.backlog(10, 1, 0).items).toBe(3);
    stock.claim({ ...claim, sequence: 10, key: "b" });
    expect([stock.gate.strays, stock.backlog(10, 1, 0).items]).toEqual([0, 3]);
  });

  test("may be of any key: those behind them wait for the last one", () => {
    const stock = stockOf(2, 10);
    for (const [sequence, key] of [[12, "a"], [13, "b"]] as const) stock.add(item(sequence, key));
    expect(stock.take(10, 1000, Infinity)).toEqual([]);
    stock.claim({ ...claim, sequence: 9, key: "a" });
    stock.claim({ ...claim, sequence: 11, key: "c" });
    expect(stock.take(10, 1000, Infinity)).toEqual([]);
    stock.claim({ ...claim, sequence: 10, key: "c" });
    expect(stock.take(10, 1000, Infinity).map(({ key }) => key)).toEqual(["b"]);
  });

  test("one whose holder comes last keeps those behind it back at once", () => {
    const stock = stockOf(1, 10);
    stock.add(item(12, "a"));
    stock.claim({ ...claim, sequence: 10, key: "a" });
    expect(stock.take(10, 1000, Infinity)).toEqual([]);
  });
});
