import type { CatgaError } from "../result.ts";
import { failing, must, same } from "./store_trial.ts";
import type { QueueTrial } from "./queue_trial.ts";

/** More ms than a timer of a platform can count: 2^31 are 24.8 days. */
const MONTH = 30 * 86_400_000;
/** How many items a small queue takes at most. */
const ROOM = 100;

/** What is promised of long times; only for those who need not wait for them. */
export const longChecks: Readonly<Record<string, (trial: QueueTrial) => Promise<void>>> = {
  "delays of more than 24.8 days are exact": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["1"], { delay: MONTH });
    await trial.passMs(MONTH - trial.lease);
    same("what there is before", await trial.idsOf("t", "a"), []);
    await trial.pass(1);
    const delivery = await trial.takeOne("t", "a");
    await delivery.retry(2 * MONTH);
    await trial.passMs(2 * MONTH - trial.lease);
    same("what there is before it comes again", await trial.idsOf("t", "a"), []);
    await trial.pass(1);
    await (await trial.takeOne("t", "a")).ack();
  },

  "leases of more than 24.8 days are exact": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["1"]);
    const held = await trial.takeOne("t", "a", { lease: MONTH / trial.lease });
    await trial.passMs(MONTH - trial.lease);
    same("what there is before it is over", await trial.idsOf("t", "a"), []);
    await held.extend(MONTH);
    await trial.passMs(MONTH - trial.lease);
    same("what there is before the longer one is over", await trial.idsOf("t", "a"), []);
    await trial.pass(1);
    same("its attempt after that", (await trial.takeOne("t", "a")).attempt, 2);
  },

  "leases and waits of more than 24.8 days are exact": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["1"]);
    const held = await trial.takeOne("t", "a", { lease: MONTH / trial.lease });
    const asked = trial.ask("t", "a", 3 * MONTH / trial.lease);
    await trial.passMs(MONTH - trial.lease);
    must("it is held and waited for", asked.taken === undefined && asked.code === undefined);
    await held.extend(MONTH);
    await trial.passMs(MONTH - trial.lease);
    must("it is held and waited for once more", asked.taken === undefined && asked.code === undefined);
    await trial.pass(1);
    await trial.eventually("its lease is over", () => asked.taken?.length === 1);
  },

  "a name is remembered for the queue's window, and then is new": async (trial) => {
    const { window } = trial.queue;
    must(`it has a window: ${window}`, window > 0);
    await trial.subscribe("t", "a");
    await trial.push("t", ["1"]);
    await (await trial.takeOne("t", "a")).ack();
    await trial.passMs(0.9 * window);
    await trial.push("t", ["1", "2"]);
    const second = await trial.takeOne("t", "a");
    same("what there is within it", second.id, "2");
    await second.ack();
    await trial.passMs(0.2 * window);
    await trial.push("t", ["1", "2"]);
    same("what there is after it", await trial.idsOf("t", "a"), ["1"]);
  },
};

/** What is promised when there is no room. */
export const roomChecks: Readonly<Record<string, (trial: QueueTrial) => Promise<void>>> = {
  "a queue that is full takes no more, all or none, until there is room": async (trial) => {
    await trial.subscribe("t", "a");
    const kept: string[] = [];
    const fill = async (): Promise<void> => {
      for (;;) {
        const id = `${kept.length}`;
        must(`it is full after ${kept.length}`, kept.length <= 3 * ROOM);
        const fault = await trial.push("t", [id]).then(() => undefined, (thrown: CatgaError) => thrown);
        if (fault !== undefined) return same("how it refuses", fault.code, "OVERLOADED");
        kept.push(id);
      }
    };
    await fill();
    must("it takes something", kept.length > 2);
    const taken = await trial.takeAll("t", "a");
    same("what it has", taken.map(({ id }) => id), kept);
    const batch = Array.from({ length: ROOM + 1 }, (_, at) => `batch ${at}`);
    await failing("a push that is too much", "OVERLOADED", trial.push("t", batch));
    await failing("one more", "OVERLOADED", trial.push("t", ["batch 0"]));
    for (const delivery of taken) await delivery.ack();
    await failing("a push that is still too much", "OVERLOADED", trial.push("t", batch));
    await trial.push("t", ["batch 0"]);
    same("what was refused is taken when there is room", await trial.idsOf("t", "a"), ["batch 0"]);
    await fill();
    await trial.queue.unsubscribe(trial.topic("t"), "a");
    await trial.subscribe("t", "b");
    await trial.push("t", ["after"]);
    same("what is taken when a group has ended", await trial.idsOf("t", "b"), ["after"]);
  },
};
