import type { Delivery } from "../ports/queue.ts";
import { seededRandom } from "./random.ts";
import { must, same } from "./store_trial.ts";
import type { QueueTrial } from "./queue_trial.ts";

/** What is promised of items with keys, by a queue that keeps their order. */
export const orderChecks: Readonly<Record<string, (trial: QueueTrial) => Promise<void>>> = {
  "items of one key come one at a time and in order, each after the one before is done with": async (
    trial,
  ) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["k1", "k2"], { key: "k" });
    await trial.push("t", ["x1"], { key: "" });
    await trial.push("t", ["free1", "free2"]);
    await trial.push("t", ["k3"], { key: "k" });
    await trial.push("t", ["x2"], { key: "" });
    const [k1, x1, ...free] = await trial.takeAll("t", "a");
    same("what comes first", [k1, x1, ...free].map((each) => each?.id), ["k1", "x1", "free1", "free2"]);
    await free[0]!.ack();
    same("what comes before the first is done with", await trial.idsOf("t", "a"), []);
    await k1!.ack();
    const k2 = await trial.takeOne("t", "a");
    same("what comes then", k2.id, "k2");
    await x1!.ack();
    same("what comes of the other key", await trial.idsOf("t", "a"), ["x2"]);
    await k2.ack();
    same("what comes last", await trial.idsOf("t", "a"), ["k3"]);
  },

  "an item that is given back holds up those behind it, and no other": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["k1", "k2"], { key: "k" });
    await trial.push("t", ["l1", "l2"], { key: "l" });
    const [k1, l1] = await trial.takeAll("t", "a");
    await k1!.retry(trial.lease);
    await l1!.ack();
    const l2 = await trial.takeOne("t", "a");
    same("what goes on", l2.id, "l2");
    await trial.pass(0.6);
    same("what comes before its delay is over", await trial.idsOf("t", "a"), []);
    await trial.pass(0.6);
    const again = await trial.takeOne("t", "a");
    same("what comes after it", [again.id, again.attempt], ["k1", 2]);
    await again.ack();
    same("what comes behind it", await trial.idsOf("t", "a"), ["k2"]);
  },

  "an item whose lease is over comes before those behind it": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["k1", "k2"], { key: "k" });
    await trial.takeOne("t", "a", { lease: 0.5 });
    await trial.pass(0.7);
    const again = await trial.takeOne("t", "a", { lease: 0.5 });
    same("what comes again", [again.id, again.attempt], ["k1", 2]);
    await again.ack();
    await trial.pass(0.7);
    same("what comes behind it", await trial.idsOf("t", "a"), ["k2"]);
  },

  "an item that is kept back holds up those behind it, and no other": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["k1"], { key: "k", delay: trial.lease });
    await trial.push("t", ["k2"], { key: "k" });
    await trial.push("t", ["l1"], { key: "l" });
    await trial.push("t", ["free"]);
    same("what comes before its delay is over", await trial.idsOf("t", "a"), ["l1", "free"]);
    await trial.pass(1.2);
    const k1 = await trial.takeOne("t", "a");
    same("what comes after it", k1.id, "k1");
    await k1.ack();
    same("what comes behind it", await trial.idsOf("t", "a"), ["k2"]);
  },

  "an item behind another is kept back for its own delay too": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["k1"], { key: "k" });
    await trial.push("t", ["k2"], { key: "k", delay: trial.lease });
    const k1 = await trial.takeOne("t", "a");
    await k1.ack();
    await trial.pass(0.7);
    same("what comes before its delay is over", await trial.idsOf("t", "a"), []);
    await trial.pass(0.5);
    same("what comes after it", await trial.idsOf("t", "a"), ["k2"]);
  },

  "each group keeps the order for itself": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.subscribe("t", "b");
    await trial.subscribe("u", "a");
    for (const topic of ["t", "u"]) await trial.push(topic, ["k1", "k2"], { key: "k" });
    await (await trial.takeOne("t", "a")).ack();
    same("what a has next", await trial.idsOf("t", "a"), ["k2"]);
    const first = await trial.takeOne("t", "b");
    same("what b has first", first.id, "k1");
    same("what b has beside it", await trial.idsOf("t", "b"), []);
    same("what a has of another topic", await trial.idsOf("u", "a"), ["k1"]);
  },

  "the order is kept whoever takes them, and whatever becomes of it": async (trial) => {
    const random = seededRandom(1);
    const ids = Array.from({ length: 60 }, (_, at) => `${at}`);
    await trial.subscribe("t", "a");
    for (const id of ids) await trial.queue.push(trial.topic("t"), [{ id, key: keyOf(id), payload: "" }]);
    const done: string[] = [];
    const take = async (side: number): Promise<number> => {
      const taken = await trial.pull(
        "t",
        "a",
        { max: 1 + random.below(5), lease: 1 },
        side % 2 === 0 ? trial.queue : trial.other,
      );
      const keys = taken.map(({ id }) => keyOf(id));
      must(`one of a key at a time: ${taken.map(({ id }) => id)}`, new Set(keys).size === keys.length);
      const work = async (delivery: Delivery): Promise<void> => {
        if (random.chance(0.2)) return await delivery.retry(random.pick([0, 0.1 * trial.lease]));
        done.push(delivery.id);
        await delivery.ack();
      };
      await Promise.all(taken.map(work));
      return taken.length;
    };
    await trial.eventually("all are done with", async () => {
      await Promise.all([0, 1, 2, 3].map(take));
      return done.length >= ids.length;
    });
    for (const key of new Set(ids.map(keyOf))) {
      const wanted = ids.filter((id) => keyOf(id) === key);
      same(`the order of ${key}`, done.filter((id) => keyOf(id) === key), wanted);
    }
  },
};

function keyOf(id: string): string {
  return `key ${Number(id) % 5}`;
}
