import type { Delivery } from "../ports/queue.ts";
import { failing, must, same } from "./store_trial.ts";
import type { QueueTrial } from "./queue_trial.ts";

/** What is promised of items in somebody's hands. */
export const leaseChecks: Readonly<Record<string, (trial: QueueTrial) => Promise<void>>> = {
  "an item is in one pair of hands until its lease is over, and then in another": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["1"]);
    const first = await trial.takeOne("t", "a", { lease: 1 });
    await trial.pass(0.6);
    same("what others get before that", await trial.idsOf("t", "a"), []);
    await trial.pass(0.6);
    const second = await trial.takeOne("t", "a");
    same("it after that", [second.id, second.attempt, second.payload], ["1", 2, "1"]);
    must("it was pushed when it was", second.pushed === first.pushed);
    await failing("acknowledging it too late", "CONFLICT", first.ack());
    await failing("giving it back too late", "CONFLICT", first.retry(0));
    await failing("holding it too late", "CONFLICT", first.extend(trial.lease));
    same("what others get then", await trial.idsOf("t", "a"), []);
    await second.ack();
    same("what is left", await left(trial), 0);
  },

  "a lease is over when its time is, also if nobody else takes the item": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["1", "2", "3"]);
    const [first, second, third] = await trial.takeAll("t", "a", { lease: 1 });
    await trial.pass(1.2);
    await failing("acknowledging too late", "CONFLICT", first!.ack());
    await failing("giving back too late", "CONFLICT", second!.retry(0));
    await failing("holding too late", "CONFLICT", third!.extend(trial.lease));
    const again = await trial.takeAll("t", "a");
    same("what comes again", again.map(({ id, attempt }) => `${id} ${attempt}`).toSorted(), [
      "1 2",
      "2 2",
      "3 2",
    ]);
  },

  "attempts are counted for as long as an item is there": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.subscribe("t", "b");
    await trial.push("t", ["1"]);
    for (let attempt = 1; attempt <= 5; attempt++) {
      const delivery = await trial.takeOne("t", "a", { lease: 0.2 });
      same("the attempt", delivery.attempt, attempt);
      if (attempt % 2 === 0) await delivery.retry(0);
      else await trial.pass(0.3);
    }
    same("that of another group", (await trial.takeOne("t", "b")).attempt, 1);
  },

  "what is acknowledged is done with, for its group, and stays so": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.subscribe("t", "b");
    await trial.push("t", ["1", "2"]);
    const [first, second] = await trial.takeAll("t", "a", { lease: 1 });
    await first!.ack();
    await first!.ack();
    await failing("giving it back after all", "CONFLICT", first!.retry(0));
    await failing("holding it after all", "CONFLICT", first!.extend(trial.lease));
    await trial.pass(1.2);
    await first!.ack();
    same("what comes again", await trial.idsOf("t", "a"), ["2"]);
    await failing("the other one", "CONFLICT", second!.ack());
    same("what another group has", await trial.idsOf("t", "b"), ["1", "2"]);
  },

  "what is given back comes again after its delay": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["1"]);
    const first = await trial.takeOne("t", "a");
    await first.retry(0);
    const second = await trial.takeOne("t", "a");
    same("its attempt", second.attempt, 2);
    await second.retry(trial.lease);
    await failing("giving it back twice", "CONFLICT", second.retry(0));
    await failing("acknowledging what was given back", "CONFLICT", second.ack());
    await failing("holding what was given back", "CONFLICT", second.extend(trial.lease));
    await trial.pass(0.7);
    same("what there is before its delay is over", await trial.idsOf("t", "a"), []);
    await trial.pass(0.5);
    same("its attempt after that", (await trial.takeOne("t", "a")).attempt, 3);
  },

  "a lease lasts as long as was said last": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["longer", "shorter", "as it was"]);
    const taken = await trial.takeAll("t", "a", { lease: 1.4 });
    const [longer, shorter] = ["longer", "shorter"].map((id) => taken.find((each) => each.id === id)!);
    await trial.pass(0.6);
    await longer!.extend(1.4 * trial.lease);
    await shorter!.extend(0.3 * trial.lease);
    await trial.pass(0.5);
    same("what comes again first", await trial.idsOf("t", "a"), ["shorter"]);
    await trial.pass(0.5);
    same("what comes again then", await trial.idsOf("t", "a"), ["as it was"]);
    await longer!.extend(trial.lease);
    await trial.pass(0.6);
    await longer!.ack();
    same("what comes again in the end", await trial.idsOf("t", "a"), []);
    await failing("acknowledging too late", "CONFLICT", shorter!.ack());
  },

  "a pull takes no more than it asks for, and something if there is any": async (trial) => {
    await trial.subscribe("t", "a");
    const ids = Array.from({ length: 7 }, (_, at) => `${at}`);
    await trial.push("t", ids);
    const found: string[] = [];
    for (let pulls = 0; pulls < 7 && found.length < 7; pulls++) {
      const taken = await trial.pull("t", "a", { max: 3 }, pulls % 2 === 0 ? trial.queue : trial.other);
      must(`${taken.length} of at most 3 come`, taken.length >= 1 && taken.length <= 3);
      found.push(...taken.map(({ id }) => id));
    }
    same("all that came", found, ids);
    same("what there is then", await trial.pull("t", "a"), []);
  },

  "of many that pull at the same time each gets what no other has": async (trial) => {
    await trial.subscribe("t", "a");
    const ids = Array.from({ length: 80 }, (_, at) => `${at}`);
    await trial.push("t", ids);
    const pulls = Array.from(
      { length: 16 },
      (_, at) => trial.pull("t", "a", { max: 5 }, at % 2 === 0 ? trial.queue : trial.other),
    );
    const taken: Delivery[] = (await Promise.all(pulls)).flat();
    taken.push(...await trial.takeAll("t", "a"));
    same("all that came", taken.map(({ id }) => id).toSorted(), ids.toSorted());
    await Promise.all(taken.map((delivery) => delivery.ack()));
    same("what is left", await left(trial), 0);
  },
};

async function left(trial: QueueTrial): Promise<number> {
  return (await trial.other.backlog(trial.topic("t"), "a")).items;
}
