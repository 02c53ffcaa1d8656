import type { QueueItem } from "../ports/queue.ts";
import { failing, same } from "./store_trial.ts";
import type { QueueTrial } from "./queue_trial.ts";

/** What is promised of what cannot be done, or shall not be any more. */
export const inputChecks: Readonly<Record<string, (trial: QueueTrial) => Promise<void>>> = {
  "what no queue takes is refused": async (trial) => {
    const { queue, lease } = trial;
    const topic = trial.topic("t");
    await trial.subscribe("t", "a");
    for (const name of ["", "n".repeat(257), "\ud800"]) {
      await failing("the topic of a push", "VALIDATION", queue.push(name, [{ id: "1", payload: "" }]));
      await failing("a topic", "VALIDATION", queue.subscribe(name, "a"));
      await failing("a group", "VALIDATION", queue.subscribe(topic, name));
      await failing("a group to end", "VALIDATION", queue.unsubscribe(topic, name));
      await failing("a group to pull from", "VALIDATION", queue.pull(topic, name, { max: 1, lease }));
      await failing("a group to look at", "VALIDATION", queue.backlog(topic, name));
    }
    const wrong: Partial<QueueItem>[] = [
      ...["", "i".repeat(129), "\udc00"].map((id) => ({ id })),
      ...["k".repeat(513), "\ud800"].map((key) => ({ key })),
      ...["p".repeat(262_145), "\ud800", new Uint8Array(262_145)].map((payload) => ({ payload })),
      ...[-1, NaN, Infinity].map((delay) => ({ delay })),
    ];
    for (const item of wrong) {
      await failing("an item", "VALIDATION", queue.push(topic, [{ id: "1", payload: "", ...item }]));
    }
    const tooMany = Array.from({ length: 1001 }, (_, at) => ({ id: `${at}`, payload: "" }));
    await failing("too many items", "VALIDATION", queue.push(topic, tooMany));
    for (const idle of [0, -1, NaN, Infinity]) {
      await failing(`idle ${idle}`, "VALIDATION", queue.subscribe(topic, "b", { idle }));
    }
    const pulls = [0, -1, 1.5, NaN].map((max) => ({ max, lease }));
    const leases = [0, -1, NaN, Infinity].map((lease) => ({ max: 1, lease }));
    const waits = [-1, NaN, Infinity].map((wait) => ({ max: 1, lease, wait }));
    for (const options of [...pulls, ...leases, ...waits]) {
      await failing(`a pull of ${JSON.stringify(options)}`, "VALIDATION", queue.pull(topic, "a", options));
    }
    same("what was refused", await trial.idsOf("t", "a"), []);
    await trial.push("t", ["1"]);
    const delivery = await trial.takeOne("t", "a");
    for (const ms of [-1, NaN, Infinity]) {
      await failing(`giving back for ${ms}`, "VALIDATION", delivery.retry(ms));
      await failing(`holding for ${ms}`, "VALIDATION", delivery.extend(ms));
    }
    await failing("holding for no time", "VALIDATION", delivery.extend(0));
    await delivery.ack();
  },

  "a signal that has aborted keeps everything from being done": async (trial) => {
    const { queue } = trial;
    const signal = AbortSignal.abort();
    const topic = trial.topic("t");
    await trial.subscribe("t", "a");
    await trial.push("t", ["1"]);
    await failing("a push", "CANCELLED", queue.push(topic, [{ id: "2", payload: "" }], { signal }));
    await failing("a pull", "CANCELLED", trial.pull("t", "a", { signal }));
    await failing("a pull that waits", "CANCELLED", trial.pull("t", "a", { signal, wait: trial.lease }));
    await failing("a subscription", "CANCELLED", queue.subscribe(topic, "b", { signal }));
    await failing("an end", "CANCELLED", queue.unsubscribe(topic, "a", { signal }));
    await failing("a backlog", "CANCELLED", queue.backlog(topic, "a", { signal }));
    same("what is there after it", await trial.idsOf("t", "a"), ["1"]);
    await failing("a pull of what was not begun", "NO_HANDLER", trial.pull("t", "b"));
  },
};
