import type { QueueItem } from "../ports/queue.ts";
import type { Frame } from "../ports/transport.ts";
import { failing, must, same } from "./store_trial.ts";
import type { QueueTrial } from "./queue_trial.ts";

/** What a queue must keep as it is: names and texts that carriers like to spoil. */
const ODD = ["a b", "ü/…/😀", "a.b*c>d", "%2F..", "x\ny", "\u0000", '{"a":"\\\\"}', " ", "__proto__"];

/** What is promised of items and groups. */
export const itemChecks: Readonly<Record<string, (trial: QueueTrial) => Promise<void>>> = {
  "an item goes to each group that is there when it is pushed, and to no other": async (trial) => {
    await trial.push("t", ["0"]);
    await trial.subscribe("t", "a");
    await trial.subscribe("t", "b");
    await trial.subscribe("u", "a");
    await trial.push("t", ["1"]);
    await trial.subscribe("t", "c");
    await trial.push("t", ["2"]);
    same("what a has", await trial.idsOf("t", "a"), ["1", "2"]);
    same("what b has", await trial.idsOf("t", "b"), ["1", "2"]);
    same("what c has", await trial.idsOf("t", "c"), ["2"]);
    same("what a has of another topic", await trial.idsOf("u", "a"), []);
  },

  "what comes out is what was pushed": async (trial) => {
    await trial.subscribe("t", "a");
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
    const items: QueueItem[] = [
      ...ODD.map((text) => ({ id: text, key: text, payload: text })),
      { id: "empty", key: "", payload: "" },
      { id: "no bytes", payload: new Uint8Array() },
      { id: "bytes", key: undefined, payload: bytes.slice() },
      { id: "long", payload: "ä".repeat(262_144) },
      { id: "many", payload: new Uint8Array(262_144).fill(255) },
      { id: "i".repeat(128), key: "k".repeat(512), payload: "1" },
    ];
    const pushing = trial.queue.push(trial.topic("t"), items);
    (items.find(({ id }) => id === "bytes")!.payload as Uint8Array).fill(7);
    await pushing;
    const taken = await trial.takeAll("t", "a");
    const found = new Map(taken.map((delivery) => [delivery.id, delivery]));
    must(
      `all of them come, once: ${taken.length}`,
      taken.length === items.length && found.size === taken.length,
    );
    for (const { id, key, payload } of items) {
      const delivery = found.get(id);
      must(`${id} comes`, delivery !== undefined);
      same(`the key of ${id}`, [delivery?.key ?? null], [key ?? null]);
      const wanted = id === "bytes" ? bytes : payload;
      must(`the payload of ${id} comes as it was`, isSame(delivery!.payload, wanted));
      same(`the attempt of ${id}`, delivery!.attempt, 1);
      must(`${id} was pushed at a time: ${delivery!.pushed}`, Number.isFinite(delivery!.pushed));
    }
  },

  "what one group does to a payload changes nothing for others, or for the next attempt": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.subscribe("t", "b");
    await trial.push("t", ["1"], { payload: Uint8Array.of(1, 2, 3) });
    const first = await trial.takeOne("t", "a");
    (first.payload as Uint8Array).fill(0);
    await first.retry(0);
    for (const group of ["a", "b"]) {
      const { payload } = await trial.takeOne("t", group);
      must(`${group} has what was pushed: ${payload}`, isSame(payload, Uint8Array.of(1, 2, 3)));
    }
  },

  "topics and groups of all names are apart": async (trial) => {
    const names = ["a", "A", "a ", "a.b", "a*", ">", "ü/😀", "%61", "\u0000", "n".repeat(200), "__proto__"];
    for (const topic of names) for (const group of ["g", topic]) await trial.subscribe(topic, group);
    for (const topic of names) await trial.push(topic, ["1"], { payload: topic });
    for (const topic of names) {
      for (const group of ["g", topic]) {
        same(`what "${group}" has of "${topic}"`, (await trial.takeOne(topic, group)).payload, topic);
      }
    }
  },

  "of two with one name the first is kept, also when it is delivered or done with": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.subscribe("u", "a");
    const push = (side: "queue" | "other", ...items: readonly (readonly [id: string, payload: string])[]) =>
      trial[side].push(trial.topic("t"), items.map(([id, payload]) => ({ id, payload })));
    await push("queue", ["1", "first"], ["2", "first"], ["1", "second"]);
    await push("other", ["2", "second"], ["3", "first"]);
    await trial.push("u", ["1"], { payload: "of another topic" });
    const taken = await trial.takeAll("t", "a");
    same("what came", taken.map(({ id, payload }) => `${id} ${payload}`), ["1 first", "2 first", "3 first"]);
    same("what came of another topic", await trial.idsOf("u", "a"), ["1"]);
    await push("queue", ["1", "third"]);
    for (const delivery of taken) await delivery.ack();
    await push("other", ["1", "fourth"], ["2", "third"], ["4", "first"]);
    same("what came after that", await trial.idsOf("t", "a"), ["4"]);
  },

  "of many that push one name at the same time, one does": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.subscribe("t", "b");
    const pushes = Array.from(
      { length: 16 },
      (_, at) =>
        (at % 2 === 0 ? trial.queue : trial.other).push(trial.topic("t"), [
          { id: `own ${at}`, payload: "" },
          { id: "common", payload: `${at}` },
        ]),
    );
    await Promise.all(pushes);
    for (const group of ["a", "b"]) {
      const ids = await trial.idsOf("t", group);
      same(`how many ${group} has`, [ids.length, new Set(ids).size], [17, 17]);
    }
  },

  "a push keeps all of its items or none": async (trial) => {
    await trial.subscribe("t", "a");
    const items = [{ id: "1", payload: "" }, { id: "2", payload: "x".repeat(262_145) }];
    await failing("a push with one too large", "VALIDATION", trial.queue.push(trial.topic("t"), items));
    same("what is kept of it", await trial.idsOf("t", "a"), []);
    await trial.queue.push(trial.topic("t"), []);
    await trial.push("t", ["1"]);
    same("what is pushed then", await trial.idsOf("t", "a"), ["1"]);
    const many = Array.from({ length: 1000 }, (_, at) => `many ${at}`);
    await trial.push("t", many);
    same("a thousand in one push", await trial.idsOf("t", "a"), many);
  },

  "subscribing again changes nothing about what is there": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["1", "2"]);
    const [first] = await trial.pull("t", "a", { max: 1 });
    await trial.other.subscribe(trial.topic("t"), "a");
    same("what is left", await trial.idsOf("t", "a"), ["2"]);
    await first!.ack();
  },

  "a group that ended has nothing, and begins anew": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.subscribe("t", "b");
    await trial.push("t", ["1", "2"]);
    const [held] = await trial.pull("t", "a", { max: 1 });
    await trial.other.unsubscribe(trial.topic("t"), "a");
    await trial.other.unsubscribe(trial.topic("t"), "a");
    await failing("a pull", "NO_HANDLER", trial.pull("t", "a"));
    await failing("its backlog", "NO_HANDLER", trial.queue.backlog(trial.topic("t"), "a"));
    await failing("giving back what it had", "CONFLICT", held!.retry(0));
    await trial.push("t", ["3"]);
    await trial.subscribe("t", "a");
    await trial.push("t", ["4"]);
    same("what a has", await trial.idsOf("t", "a"), ["4"]);
    same("what b has", await trial.idsOf("t", "b"), ["1", "2", "3", "4"]);
  },

  "a group that nobody began is not there": async (trial) => {
    await trial.subscribe("t", "a");
    await failing("a pull", "NO_HANDLER", trial.pull("t", "b"));
    await failing("a pull that waits", "NO_HANDLER", trial.pull("u", "a", { wait: 10 * trial.lease }));
    await failing("its backlog", "NO_HANDLER", trial.queue.backlog(trial.topic("u"), "a"));
    await trial.queue.unsubscribe(trial.topic("u"), "a");
  },

  "the backlog tells how many are left, how many in hands, and how old": async (trial) => {
    const backlog = async (): Promise<unknown> => {
      const { items, leased } = await trial.other.backlog(trial.topic("t"), "a");
      return [items, leased];
    };
    const age = async (): Promise<number> =>
      (await trial.other.backlog(trial.topic("t"), "a")).age / trial.lease;
    await trial.subscribe("t", "a");
    same("one of nothing", [await backlog(), await age()], [[0, 0], 0]);
    await trial.push("t", ["1", "2"]);
    await trial.push("t", ["3"], { key: "k" });
    await trial.push("t", ["4"], { key: "k", delay: 5 * trial.lease });
    same("one of four", await backlog(), [4, 0]);
    await trial.pass(1);
    must(`its age: ${await age()}`, await age() >= 1 && await age() < 2);
    const [first, second] = await trial.takeAll("t", "a", { lease: 1 });
    same("one with three in hands", await backlog(), [4, 3]);
    await first!.ack();
    await second!.retry(0);
    same("one that is done with and one given back", await backlog(), [3, 1]);
    await trial.pass(1.2);
    same("one whose lease is over", await backlog(), [3, 0]);
  },
};

function isSame(found: Frame, wanted: Frame): boolean {
  if (typeof found === "string" || typeof wanted === "string") return found === wanted;
  return found instanceof Uint8Array && found.length === wanted.length &&
    found.every((byte, at) => byte === wanted[at]);
}
