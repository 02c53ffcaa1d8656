import { failing, must, same } from "./store_trial.ts";
import type { Asked, QueueTrial } from "./queue_trial.ts";

/** How long waits last that end sooner, in leases. */
const LONG = 20;

/** What is promised of waiting, of delays and of groups that nobody asks. */
export const waitChecks: Readonly<Record<string, (trial: QueueTrial) => Promise<void>>> = {
  "a pull waits for the first item, and no longer": async (trial) => {
    await trial.subscribe("t", "a");
    const asked = trial.ask("t", "a", LONG);
    await trial.pass(0.3);
    must("it waits while there is nothing", isWaiting(asked));
    await trial.push("t", ["1"]);
    await trial.eventually("it gets the item", () => asked.taken?.length === 1);
    same("what it got", [asked.taken![0]!.id, asked.taken![0]!.attempt], ["1", 1]);
    await asked.taken![0]!.ack();
  },

  "a pull does not wait for more when there is something": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["1"]);
    const asked = trial.ask("t", "a", LONG);
    await trial.eventually("it gets the item", () => asked.taken?.length === 1);
  },

  "a pull waits no longer than it says, and then has none": async (trial) => {
    await trial.subscribe("t", "a");
    same("one that does not wait", await trial.pull("t", "a", { wait: 0 }), []);
    const asked = trial.ask("t", "a", 0.6);
    await trial.pass(0.3);
    must("it waits before its time", isWaiting(asked));
    await trial.pass(0.5);
    await trial.eventually("it ends", () => asked.taken !== undefined);
    same("what it got", asked.taken, []);
    await trial.push("t", ["1"]);
    same("what comes after that", await trial.idsOf("t", "a"), ["1"]);
  },

  "a pull that waits hears of a delay, a lease and a way that are over": async (trial) => {
    await trial.subscribe("t", "a");
    const next = async (what: string): Promise<Asked> => {
      const asked = trial.ask("t", "a", LONG);
      await trial.pass(0.2);
      must(`it waits for ${what}`, isWaiting(asked));
      return asked;
    };
    const got = (asked: Asked, what: string): Promise<void> =>
      trial.eventually(what, () => asked.taken?.length === 1);
    await trial.push("t", ["1"], { delay: 0.5 * trial.lease });
    const delayed = await next("a delay");
    await got(delayed, "an item is due");
    await delayed.taken![0]!.extend(0.5 * trial.lease);
    const leased = await next("a lease");
    await got(leased, "a lease is over");
    const retried = await next("an item to be given back");
    await leased.taken![0]!.retry(0);
    await got(retried, "an item is given back");
    const later = await next("an item to be given back for later");
    await retried.taken![0]!.retry(0.3 * trial.lease);
    await got(later, "an item that was given back is due");
    same("its attempt", later.taken![0]!.attempt, 4);
    await later.taken![0]!.ack();
    if (!trial.queue.ordered) return;
    await trial.push("t", ["k1", "k2"], { key: "k" });
    const first = await trial.takeOne("t", "a");
    const second = await next("the one before it");
    await first.ack();
    await got(second, "the way is free");
    same("what came", second.taken![0]!.id, "k2");
  },

  "of many that wait each item comes to one": async (trial) => {
    await trial.subscribe("t", "a");
    const all = Array.from({ length: 6 }, () => trial.ask("t", "a", LONG, { max: 1 }));
    await trial.pass(0.2);
    await trial.push("t", ["1", "2", "3"]);
    await trial.push("t", ["4"]);
    const taken = (): string[] => all.flatMap((asked) => asked.taken?.map(({ id }) => id) ?? []);
    await trial.eventually("four get one", () => taken().length === 4);
    await trial.pass(0.2);
    same("what came", taken().toSorted(), ["1", "2", "3", "4"]);
    must("the others wait", all.filter(isWaiting).length === 2);
  },

  "a pull that is given up says so, and what it would have got comes to others": async (trial) => {
    await trial.subscribe("t", "a");
    const asked = trial.ask("t", "a", LONG, { lease: 1 });
    await trial.pass(0.2);
    asked.cancel();
    await trial.eventually("it ends", () => asked.code !== undefined);
    same("how", asked.code, "CANCELLED");
    await trial.pass(0.2);
    await trial.push("t", ["1"]);
    const other = trial.ask("t", "a", LONG);
    await trial.eventually("another gets it", () => other.taken?.length === 1);
  },

  "a pull that waits hears that its group has ended": async (trial) => {
    await trial.subscribe("t", "a");
    const asked = trial.ask("t", "a", LONG);
    await trial.pass(0.2);
    await trial.queue.unsubscribe(trial.topic("t"), "a");
    await trial.eventually("it ends", () => asked.code !== undefined);
    same("how", asked.code, "NO_HANDLER");
  },

  "an item is kept back for its delay": async (trial) => {
    await trial.subscribe("t", "a");
    await trial.push("t", ["later"], { delay: 1.5 * trial.lease });
    await trial.push("t", ["soon"], { delay: 0.5 * trial.lease });
    await trial.push("t", ["now"]);
    same("what there is at once", await trial.idsOf("t", "a"), ["now"]);
    await trial.pass(0.3);
    same("what there is before the first is due", await trial.idsOf("t", "a"), []);
    await trial.pass(0.4);
    same("what there is then", await trial.idsOf("t", "a"), ["soon"]);
    await trial.pass(0.5);
    same("what there is before the second is due", await trial.idsOf("t", "a"), []);
    await trial.pass(0.5);
    same("what there is then", await trial.idsOf("t", "a"), ["later"]);
  },

  "a group ends when nobody asks for so long, with all it had": async (trial) => {
    const idle = trial.lease;
    await trial.subscribe("t", "idle", { idle });
    await trial.subscribe("u", "asked", { idle });
    await trial.subscribe("t", "kept");
    await trial.subscribe("t", "changed", { idle });
    await trial.push("t", ["1"]);
    for (let times = 0; times < 4; times++) {
      await trial.pass(0.6);
      await trial.pull("u", "asked");
      if (times === 0) await trial.subscribe("t", "changed");
    }
    await failing("a pull", "NO_HANDLER", trial.pull("t", "idle"));
    await failing("its backlog", "NO_HANDLER", trial.queue.backlog(trial.topic("t"), "idle"));
    await trial.push("t", ["2"]);
    await trial.subscribe("t", "idle", { idle });
    await trial.push("t", ["3"]);
    same("what it has when it begins again", await trial.idsOf("t", "idle"), ["3"]);
    await trial.push("u", ["1"]);
    same("what one has that was asked", await trial.idsOf("u", "asked"), ["1"]);
    same("what one has that never ends", await trial.idsOf("t", "kept"), ["1", "2", "3"]);
    same("what one has that ends no more", await trial.idsOf("t", "changed"), ["1", "2", "3"]);
  },

  "a group does not end while somebody waits or has something in hands": async (trial) => {
    const idle = trial.lease;
    await trial.subscribe("t", "waited for", { idle });
    await trial.subscribe("u", "worked for", { idle });
    await trial.push("u", ["1"]);
    await trial.subscribe("v", "waited for before", { idle });
    const held = await trial.takeOne("u", "worked for", { lease: 3 });
    const asked = trial.ask("t", "waited for", LONG);
    const ended = trial.ask("v", "waited for before", 0.8);
    await trial.pass(1.5);
    must("a wait is over", ended.taken !== undefined);
    same("what it is there for after it", await trial.idsOf("v", "waited for before"), []);
    await trial.queue.backlog(trial.topic("u"), "worked for");
    await held.extend(3 * trial.lease);
    await trial.pass(2.7);
    await trial.push("t", ["1"]);
    await trial.push("u", ["2"]);
    await trial.eventually("the wait ends", () => !isWaiting(asked));
    same("what came to who waited", asked.taken?.map(({ id }) => id), ["1"]);
    await held.ack();
    same("what comes to who worked", await trial.idsOf("u", "worked for"), ["2"]);
  },
};

function isWaiting({ taken, code }: Asked): boolean {
  return taken === undefined && code === undefined;
}
