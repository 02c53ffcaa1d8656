import type { DiscoveryTrial } from "./discovery_trial.ts";
import { must, same } from "./store_trial.ts";

type Checks = Readonly<Record<string, (trial: DiscoveryTrial) => Promise<void>>>;

const MOST = 1024;

/** What is promised of looking, also where nothing ever changes. */
export const openChecks: Checks = {
  "it has a name": (trial) => {
    must("the name is no empty text", trial.subject.discovery.name.length > 0);
    return Promise.resolve();
  },

  "what there is is known as soon as the first look has ended": async (trial) => {
    const opened = await trial.opened();
    must(`the nodes are known: ${opened.endpoints().join()}`, trial.knows(opened, 1, 2, 3));
    same("how many looks failed", opened.failures, 0);
  },

  "the array stays the same while nothing changes": async (trial) => {
    const opened = await trial.opened();
    const before = opened.endpoints();
    const copy = [...before];
    for (let times = 0; times < 3; times++) {
      must("it is the same one", opened.endpoints() === before);
      await trial.refresh();
    }
    same("what is in it", before, copy);
  },

  "looks that go on at once know nothing of each other": async (trial) => {
    const [first, second] = [await trial.opened(), await trial.opened()];
    await trial.end(first);
    await trial.refresh();
    must("the other still knows the nodes", trial.knows(second, 1, 2, 3));
    const third = await trial.opened();
    must("one that begins afterwards does so, too", trial.knows(third, 1, 2, 3));
  },

  "disposing twice, at once or later, is the same as once": async (trial) => {
    const opened = await trial.opened();
    await Promise.all([trial.end(opened), trial.end(opened)]);
    await trial.end(opened);
    must("what was found last stays", trial.knows(opened, 1, 2, 3));
  },

  "one that is disposed at once is ready, and ends": async (trial) => {
    const opened = trial.open();
    await trial.end(opened);
    await trial.settles("ready", opened.ready);
  },
};

/** What is promised of what changes, fails and keeps silent. */
export const changeChecks: Checks = {
  "nodes that come and go are followed": async (trial) => {
    const opened = await trial.opened();
    for (const nodes of [[1, 2, 3, 4], [2, 4], [5], [5, 6, 7], [1]]) {
      trial.list(...nodes);
      await trial.sees(opened, ...nodes);
    }
    same("how many looks failed", opened.failures, 0);
  },

  "an array that was handed out stays as it is, and a change makes another": async (trial) => {
    const opened = await trial.opened();
    const before = opened.endpoints();
    const copy = [...before];
    trial.list(3, 4);
    await trial.sees(opened, 3, 4);
    must("it is another one", opened.endpoints() !== before);
    same("what was handed out", before, copy);
  },

  "a node that is found twice is told once": async (trial) => {
    const opened = await trial.opened();
    trial.list(4, 5, 4, 4);
    await trial.sees(opened, 4, 5);
  },

  "at most 1,024 endpoints are told": async (trial) => {
    trial.list(...Array.from({ length: 1500 }, (_, at) => at + 1));
    const opened = await trial.opened();
    same("how many there are", opened.endpoints().length, MOST);
    same("how many different ones", new Set(opened.endpoints()).size, MOST);
    trial.list(...Array.from({ length: MOST }, (_, at) => at + 1));
    await trial.eventually("so many have room", () => new Set(opened.endpoints()).size === MOST);
    trial.list(7);
    await trial.sees(opened, 7);
  },

  "each look sees what there is when it is opened": async (trial) => {
    const first = await trial.opened();
    trial.list(4);
    const second = await trial.opened();
    must("the second knows what is new", trial.knows(second, 4));
    await trial.sees(first, 4);
    await trial.end(first);
    trial.list(5);
    await trial.sees(second, 5);
  },

  "nothing is known before the first look has ended, and it is not ready": async (trial) => {
    trial.look("silent");
    const opened = trial.open();
    let ready = false;
    void opened.ready.then(() => ready = true);
    same("what is known at once", opened.endpoints(), []);
    must("no other array while nothing changes", opened.endpoints() === opened.endpoints());
    await trial.subject.pass(1);
    same("a moment later", [opened.endpoints(), ready, opened.failures], [[], false, 0]);
    trial.look("found");
    await trial.settles("ready", opened.ready);
    await trial.sees(opened, 1, 2, 3);
  },

  "a first look that fails is ready, and is made up for": async (trial) => {
    trial.look("failed");
    const opened = await trial.opened();
    same("what is known", opened.endpoints(), []);
    must("it counts", opened.failures > 0);
    trial.look("found");
    await trial.sees(opened, 1, 2, 3);
  },

  "while looks fail what was found last stays, and failures only grow": async (trial) => {
    const opened = await trial.opened();
    const before = opened.endpoints();
    trial.look("failed");
    trial.list(9);
    for (let failures = 0, times = 0; times < 3; times++) {
      await trial.eventually("a look fails", () => opened.failures > failures);
      failures = opened.failures;
      must("the array is the same", opened.endpoints() === before);
    }
    trial.look("found");
    await trial.sees(opened, 9);
    const { failures } = opened;
    await trial.refresh();
    same("how many failed since it is well", opened.failures - failures, 0);
  },

  "disposing waits for no answer, before the first look and after": async (trial) => {
    trial.look("silent");
    const early = trial.open();
    await trial.subject.pass(1);
    await trial.end(early);
    await trial.settles("ready", early.ready);
    same("what it knows", early.endpoints(), []);
    trial.look("found");
    const late = await trial.opened();
    trial.look("silent");
    await trial.refresh();
    await trial.end(late);
    must("what was found last stays", trial.knows(late, 1, 2, 3));
  },

  "disposing while looks fail ends them": async (trial) => {
    trial.look("failed");
    const opened = await trial.opened();
    await trial.end(opened);
    const { failures } = opened;
    await trial.refresh();
    await trial.refresh();
    same("how many failed afterwards", opened.failures - failures, 0);
  },

  "one that is disposed follows nothing": async (trial) => {
    const opened = await trial.opened();
    await trial.end(opened);
    const before = opened.endpoints();
    trial.list(8);
    await trial.refresh();
    await trial.refresh();
    must("the array is the same", opened.endpoints() === before);
    must("with what was found last", trial.knows(opened, 1, 2, 3));
  },
};
