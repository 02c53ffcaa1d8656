/** What becomes of the queue when its server or its processes end: nothing is lost, and the order of keys is kept. */

import { describe, expect } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { CatgaError, systemFault } from "../../src/result.ts";
import type { Queue } from "@catga/catga/ports";
import type { Asker, AskOptions, Link } from "../../adapters/nats/link.ts";
import { natsQueue } from "../../adapters/nats/queue.ts";
import { beside, roomOf } from "../support/beside.ts";
import { startNats } from "./server.ts";
import { persist, queuesOn, runWorker, takeUntil } from "./queue_support.ts";
import { until } from "./store_support.ts";
import { openLink, type TestLink } from "./support.ts";

const test = beside(8, async () => {
  const server = await startNats();
  return roomOf({ server, queues: queuesOn(server.ws, "faults") });
});

describe("the server is killed", () => {
  test(
    "2,000 pushes through ten kills: all are there, each once, and in the order of their keys",
    async ({ server, queues }) => {
      const [{ queue, link }, { queue: other }] = [await queues.open(), await queues.open()];
      for (const group of ["now", "later"]) await queue.subscribe("t", group);
      const ids = Array.from({ length: 2000 }, (_, at) => `${at}`);
      let next = 0;
      let kills = 0;
      const lane = async (key: number): Promise<void> => {
        for (let at = key; at < ids.length; at += 64) {
          await persist(() => queue.push("t", [{ id: ids[at]!, key: `k${key}`, payload: "x" }]));
          if (++next % 190 === 0 && kills < 10) {
            kills++;
            await server.restart();
          }
        }
      };
      const taking = takeUntil(other, "t", "now", (taken) => taken.length >= ids.length);
      await Promise.all(Array.from({ length: 64 }, (_, key) => lane(key)));
      expect(kills).toBe(10);
      const taken = await taking;
      expect(new Set(taken).size).toBe(ids.length);
      const { items } = await other.backlog("t", "later");
      expect(items).toBe(ids.length);
      expect(link.logs.filter(({ event }) => event === "nats.queue_lost")).toEqual([]);
      const later = await takeUntil(queue, "t", "later", (all) => all.length >= ids.length);
      for (const order of [taken, later]) {
        for (let key = 0; key < 64; key++) {
          const own = order.map(Number).filter((id) => id % 64 === key);
          expect(own).toEqual(own.toSorted((a, b) => a - b));
        }
      }
    },
  );

  test("its files lost: groups begin again by themselves, and it is said once", async ({ server, queues }) => {
    const { queue, link } = await queues.open();
    await queue.subscribe("t", "g");
    await queue.push("t", [{ id: "1", key: "k", payload: "" }]);
    const [held] = await queue.pull("t", "g", { max: 1, lease: 30_000 });
    await queue.subscribe("u", "never pulled");
    const pulled = queue.pull("t", "g", { max: 1, lease: 30_000, wait: 30_000 });
    await server.restart({ loseFiles: true });
    let pushed = 0;
    const again = (async () => {
      while (pushed >= 0) {
        await persist(() => queue.push("t", [{ id: `2.${pushed++}`, key: "k", payload: "" }]));
        await sleep(100);
      }
    })();
    const [delivery] = await pulled.catch(() =>
      queue.pull("t", "g", { max: 1, lease: 30_000, wait: 30_000 })
    );
    pushed = -1000;
    await again;
    expect(delivery?.id.startsWith("2.")).toBe(true);
    await delivery!.ack();
    await held!.ack();
    await expect(held!.retry(0)).rejects.toMatchObject({ code: "CONFLICT" });
    await queue.push("u", [{ id: "1", payload: "" }]);
    expect((await queue.pull("u", "never pulled", { max: 1, lease: 1000 })).length).toBe(1);
    expect(link.logs.filter(({ event }) => event === "nats.queue_lost").length).toBe(1);
  });

  test("a server that stands still answers no push: it may be kept, and is not said to be", async ({ server, queues }) => {
    const { queue } = await queues.open();
    await queue.subscribe("t", "g");
    server.pause();
    await sleep(100);
    const outcome = await queue.push("t", [{ id: "1", payload: "" }]).then(
      () => "ok",
      (fault: { readonly code: string }) => fault.code,
    );
    server.resume();
    expect(["TRANSPORT", "UNAVAILABLE"]).toContain(outcome);
    await persist(() => queue.push("t", [{ id: "1", payload: "" }]));
    expect(await takeUntil(queue, "t", "g", (ids) => ids.length > 0)).toEqual(["1"]);
  });
});

describe("who looks after a group ends", () => {
  test("what it had comes to others, in order, and what others hold stays theirs", async ({ queues }) => {
    const [owner, member] = [await queues.open({ ackWait: 4000 }), await queues.open({ ackWait: 4000 })];
    await owner.queue.subscribe("t", "g");
    await owner.queue.push("t", [1, 2, 3].map((at) => ({ id: `a${at}`, key: "a", payload: "" })));
    await owner.queue.push("t", [1, 2, 3].map((at) => ({ id: `b${at}`, key: "b", payload: "" })));
    const [a1] = await member.queue.pull("t", "g", { max: 1, lease: 20_000 });
    const [b1] = await owner.queue.pull("t", "g", { max: 1, lease: 20_000 });
    expect([a1?.id, b1?.id]).toEqual(["a1", "b1"]);
    await owner.link.connection.close();
    await member.queue.push("t", [{ id: "b4", key: "b", payload: "" }]);
    const [again] = await member.queue.pull("t", "g", { max: 5, lease: 20_000, wait: 20_000 });
    expect([again?.id, again?.attempt]).toEqual(["b1", 2]);
    await a1!.extend(20_000);
    await a1!.ack();
    const [a2] = await member.queue.pull("t", "g", { max: 5, lease: 20_000, wait: 20_000 });
    expect([a2?.id, a2?.attempt]).toEqual(["a2", 1]);
    await again!.ack();
    await a2!.ack();
    const rest = await takeUntil(member.queue, "t", "g", (ids) => ids.length === 4);
    expect(rest.filter((id) => id !== "a3")).toEqual(["b2", "b3", "b4"]);
  });

  test(
    "three processes of a group, killed and stopped again and again: none is lost, and the order of keys is kept",
    async ({ server, queues }) => {
      const folder = mkdtempSync(join(tmpdir(), "catga-nats-queue-"));
      const journal = join(folder, "journal");
      writeFileSync(journal, "");
      const { queue } = await queues.open();
      const start = (name: number): ReturnType<typeof runWorker> =>
        runWorker(server.ws, queues.cluster, journal, `${name}`);
      const workers = [start(0), start(1), start(2)];
      try {
        await until("all are ready", () => lines(journal).filter(([what]) => what === "ready").length === 3);
        const count = 1500;
        let pushed = 0;
        const pushing = (async () => {
          for (; pushed < count; pushed++) {
            await queue.push("t", [{
              id: `${pushed}`,
              ...(pushed % 10 === 9 ? {} : { key: `k${pushed % 10}` }),
              payload: "x",
            }]);
          }
        })();
        const ended = (): number =>
          new Set(lines(journal).filter((line) => line[0] === "end").map((line) => line[1])).size;
        const endedAll = async (many: number): Promise<void> => {
          for (const end = Date.now() + 45_000; ended() < many;) {
            if (Date.now() > end) {
              const { items, leased } = await queue.backlog("t", "g");
              const last = lines(journal).slice(-20).join("; ");
              throw new Error(
                `${ended()} of ${many} have ended, ${pushed} pushed, ${items} open, ${leased} held: ${last}`,
              );
            }
            await sleep(10);
          }
        };
        for (let kills = 1; kills <= 9; kills++) {
          await endedAll(kills * count / 10);
          const at = kills % 3;
          if (kills % 4 === 0) {
            process.kill(workers[at]!.pid!, "SIGSTOP");
            await sleep(1500);
            process.kill(workers[at]!.pid!, "SIGCONT");
          } else {
            workers[at]!.kill("SIGKILL");
            workers[at] = start(3 + kills);
          }
        }
        await pushing;
        await endedAll(count);
        const latest: Map<number, number> = new Map();
        for (const [what, id] of lines(journal)) {
          const [number, key] = [Number(id), Number(id) % 10];
          if (what !== "start" || key === 9) continue;
          expect(number).toBeGreaterThanOrEqual(latest.get(key) ?? -1);
          latest.set(key, number);
        }
      } finally {
        for (const worker of workers) worker.kill("SIGKILL");
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});

describe("what is not as it should be", () => {
  test("a push whose answer was lost is there once when it is pushed again", async ({ server, queues }) => {
    const link = await openLink(server.ws, { cluster: queues.cluster });
    const { queue, stop } = await deafQueue(link, ".q.", "TRANSPORT");
    await queue.subscribe("t", "g");
    const push = () => queue.push("t", [{ id: "1", payload: "" }]);
    await expect(push()).rejects.toMatchObject({ code: "TRANSPORT" });
    await push();
    expect((await queue.backlog("t", "g")).items).toBe(1);
    await stop();
  });

  test("what an answer brought that was lost is given back when its asker asks again", async ({ server, queues }) => {
    const { queue } = await queues.open();
    await queue.subscribe("t", "g");
    const link = await openLink(server.ws, { cluster: queues.cluster });
    const { queue: other, stop } = await deafQueue(link, ".qm.", "CANCELLED");
    await queue.push("t", [{ id: "1", key: "k", payload: "" }]);
    const options = { max: 1, lease: 1_000_000 };
    await expect(other.pull("t", "g", options)).rejects.toMatchObject({ code: "CANCELLED" });
    const [again] = await other.pull("t", "g", { ...options, wait: 10_000 });
    expect([again?.id, again?.attempt]).toEqual(["1", 2]);
    await stop();
  });

  test("a server that knows not all groups yet loses nothing that one of them has done with", async ({ queues }) => {
    const { queue, link } = await queues.open({ items: 10 });
    for (const group of ["a", "b"]) await queue.subscribe("t", group);
    for (let at = 0; at < 10; at++) await queue.push("t", [{ id: `${at}`, payload: "" }]);
    for (const delivery of await queue.pull("t", "a", { max: 10, lease: 10_000 })) await delivery.ack();
    const ask = (what: string, body: object) =>
      link.ask(`$JS.API.${what}`, JSON.stringify(body)).then((answer) =>
        answer.json<Record<string, never>>()
      );
    const [stream] =
      (await ask("STREAM.NAMES", { subject: "catga.faults.q.*" }))["streams"] as unknown as string[];
    const { consumers } = await ask(`CONSUMER.LIST.${stream}`, {});
    const b = (consumers as unknown as { name: string; config: { description: string } }[])
      .find(({ config }) => config.description.includes('"b"'))!;
    await ask(`CONSUMER.DELETE.${stream}.${b.name}`, {});
    await expect(queue.push("t", [{ id: "more", payload: "" }])).rejects.toMatchObject({
      code: "OVERLOADED",
    });
    await queue.unsubscribe("t", "b");
    await queue.push("t", [{ id: "more", payload: "" }]);
    expect(await takeUntil(queue, "t", "a", (ids) => ids.length > 0)).toEqual(["more"]);
  });

  test("streams whose making fails twice are made, and nothing is pushed before", async ({ server }) => {
    const link = await openLink(server.ws, { cluster: "fails" });
    let failures = 0;
    const failing: Link = Object.create(link, {
      ask: {
        value: (subject: string, ...rest: [(Uint8Array | string)?, AskOptions?]) => {
          if (!subject.includes("STREAM.CREATE") || failures >= 4) return link.ask(subject, ...rest);
          failures++;
          return Promise.reject(new CatgaError(systemFault("UNAVAILABLE", "not yet")));
        },
      },
    });
    const queue = await natsQueue(failing, { bytes: 2 ** 26 });
    expect(failures).toBe(4);
    await queue.subscribe("t", "g");
    await queue.push("t", [{ id: "1", payload: "" }]);
    expect(await takeUntil(queue, "t", "g", (ids) => ids.length > 0)).toEqual(["1"]);
    await queue[Symbol.asyncDispose]();
    await link[Symbol.asyncDispose]();
  });

  test("streams that cannot be made are no queue, and are made when they can be", async ({ server }) => {
    const link = await openLink(server.ws, { cluster: "full" });
    await expect(natsQueue(link, { bytes: 2 ** 50 })).rejects.toMatchObject({ code: "OVERLOADED" });
    const queue = await natsQueue(link, { bytes: 2 ** 26 });
    await queue[Symbol.asyncDispose]();
    await link[Symbol.asyncDispose]();
  });

  test("settings are as the last one wants them", async ({ queues }) => {
    await queues.open({ items: 100 });
    const { link } = await queues.open({ items: 200, window: 60_000 });
    const [name] = (await link.ask("$JS.API.STREAM.NAMES", JSON.stringify({ subject: "catga.faults.q.*" })))
      .json<{ streams: string[] }>().streams;
    const { config } = (await link.ask(`$JS.API.STREAM.INFO.${name}`)).json<
      { config: Record<string, unknown> }
    >();
    expect([config["max_msgs"], config["duplicate_window"]]).toEqual([200, 60_000 * 1e6]);
  });

  test("bytes of strangers on its subjects are passed over, and answer nobody else", async ({ queues }) => {
    const { queue, link } = await queues.open();
    await queue.subscribe("t", "g");
    const asked: string[] = [];
    link.connection.subscribe("elsewhere.*", { callback: (_, message) => void asked.push(message.subject) });
    for (
      const bytes of [
        "",
        "{",
        "[]",
        "null",
        "1,-,0\na",
        '{"group":"__proto__","born":"","question":{"verb":"pull"}}',
      ]
    ) {
      for (const subject of ["q.t", "qn", "qo.x"]) {
        link.connection.publish(`catga.faults.${subject}`, bytes, { reply: "elsewhere.1" });
      }
    }
    await queue.push("t", [{ id: "1", payload: "fine" }]);
    const ids = await takeUntil(queue, "t", "g", (all) => all.includes("1"));
    expect(ids.filter((id) => id !== "a")).toEqual(["1"]);
    expect(link.logs.some(({ event }) => event === "nats.queue_garbage")).toBe(true);
  });

  test("who looks after a group and closes leaves it to others at once", async ({ queues }) => {
    const [{ queue }, { queue: other }] = [await queues.open(), await queues.open()];
    await queue.subscribe("t", "g");
    await queue.push("t", ["1", "2", "3"].map((id) => ({ id, key: "k", payload: "" })));
    const [first] = await queue.pull("t", "g", { max: 1, lease: 30_000 });
    await first!.ack();
    await queue[Symbol.asyncDispose]();
    await expect(queue.pull("t", "g", { max: 1, lease: 1000 })).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    expect(await takeUntil(other, "t", "g", (ids) => ids.length === 2)).toEqual(["2", "3"]);
  });
});

/** A queue that does not hear the first answer from such a subject. */
async function deafQueue(
  link: TestLink,
  subjects: string,
  code: "TRANSPORT" | "CANCELLED",
): Promise<{ readonly queue: Queue; stop(): Promise<void> }> {
  let losses = 0;
  const deaf: Link = Object.create(link, {
    ask: {
      value: async (subject: string, ...rest: [(Uint8Array | string)?, AskOptions?]) => {
        const answer = await link.ask(subject, ...rest);
        if (!subject.includes(subjects) || losses++ > 0) return answer;
        throw new CatgaError(systemFault(code, "nobody hears it"));
      },
    },
    askFor: {
      value: (asker: Asker, ...rest: Parameters<Link["ask"]>) =>
        void deaf.ask(...rest).then((answer) => asker.answered(answer), (thrown) => asker.failed(thrown)),
    },
  });
  const queue = await natsQueue(deaf, { bytes: 2 ** 26 });
  return {
    queue,
    stop: async () => {
      await queue[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
    },
  };
}

function lines(journal: string): string[][] {
  return readFileSync(journal, "utf8").trimEnd().split("\n").map((line) => line.split(" "));
}
