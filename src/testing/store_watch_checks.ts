import type { Change } from "../ports/store.ts";
import { must, same, type StoreTrial } from "./store_trial.ts";

/** What is promised of watches. */
export const watchChecks: Readonly<Record<string, (trial: StoreTrial) => Promise<void>>> = {
  "a watch tells what is there, that it has, and each change": async (trial) => {
    const { store, other } = trial;
    const [a, b] = [trial.key("w/a"), trial.key("w/b")];
    const first = await store.put(a, "1");
    await store.put(trial.key("x"), "not under the prefix");
    const { changes } = trial.follow(trial.key("w/"), other);
    await trial.eventually("the watch is ready", () => isReady(changes));
    same("what it told", changes, [
      { type: "put", entry: { key: a, value: "1", revision: first } },
      { type: "ready" },
    ]);
    const second = await store.put(b, "2");
    await trial.eventually("a put is told", () => changes.length === 3);
    same("the put", changes[2], { type: "put", entry: { key: b, value: "2", revision: second } });
    await store.put(trial.key("x"), "still not");
    await store.delete(a);
    await trial.eventually("a delete is told", () => changes.length === 4);
    const gone = changes[3]!;
    must(
      `the delete of ${a} has a later revision: ${JSON.stringify(gone)}`,
      gone.type === "delete" && gone.key === a && gone.revision > second,
    );
    const third = await store.put(a, "3", { expected: "absent" });
    await trial.eventually("a put after it is told", () => changes.length === 5);
    same("the put", changes[4], { type: "put", entry: { key: a, value: "3", revision: third } });
    must("revisions grow over deletes", gone.type === "delete" && third > gone.revision);
  },

  "a watch of nothing is ready at once": async (trial) => {
    const { changes } = trial.follow(trial.key("none/"));
    await trial.eventually("the watch is ready", () => isReady(changes));
    same("what it told", changes, [{ type: "ready" }]);
  },

  "a watch tells of entries whose time is over, before it began and after": async (trial) => {
    const { store, ttl } = trial;
    const [before, after, kept] = [trial.key("t/1"), trial.key("t/2"), trial.key("t/3")];
    await store.put(before, "", { ttl });
    const { changes } = trial.follow(trial.key("t/"), trial.other);
    await trial.eventually("the watch is ready", () => isReady(changes));
    await store.put(after, "", { ttl });
    await store.put(kept, "", { ttl });
    await trial.pass(0.7);
    await store.put(kept, "again", { ttl });
    await trial.pass(0.7);
    await trial.eventually("both are told", () => [before, after].every((key) => isGone(changes, key)));
    must("one that was written again is not", !isGone(changes, kept));
    await trial.eventually("it is later", () => isGone(changes, kept));
  },

  "a slow reader gets the newest of each key, and no more": async (trial) => {
    const { store } = trial;
    const reader = trial.other.watch(trial.key("s/"))[Symbol.asyncIterator]();
    const next = async (): Promise<Change | undefined> => {
      let told: IteratorResult<Change> | undefined;
      void reader.next().then((result) => told = result);
      await trial.eventually("the reader is told something", () => told !== undefined);
      return told!.done ? undefined : told!.value;
    };
    await store.put(trial.key("s/gone"), "");
    await store.put(trial.key("s/new"), "0");
    for (let change = await next(); change?.type !== "ready";) change = await next();
    for (let value = 1; value <= 100; value++) await store.put(trial.key("s/new"), `${value}`);
    await store.delete(trial.key("s/gone"));
    const last = await store.put(trial.key("s/last"), "");
    await trial.pass(0.2);
    const told: Change[] = [];
    for (let change = await next(); change !== undefined; change = await next()) {
      told.push(change);
      if (change.type === "put" && change.entry.revision === last) break;
    }
    const puts = told.filter((change) => change.type === "put" && change.entry.key === trial.key("s/new"));
    must("the newest is told", puts.some((change) => change.type === "put" && change.entry.value === "100"));
    must(`only little before it is: ${puts.length}`, puts.length <= 3);
    must("what is gone is told as gone", isGone(told, trial.key("s/gone")));
    await reader.return?.();
  },

  "what a watch told is, in the end, what is there": async (trial) => {
    const { store, other } = trial;
    const { changes } = trial.follow(trial.key("e/"), other);
    const writing = [0, 1, 2].map(async (writer) => {
      for (let step = 0; step < 20; step++) {
        const key = trial.key(`e/${(step * 7 + writer) % 5}`);
        if (step % 4 === 3) await store.delete(key);
        else await store.put(key, `${writer} ${step}`);
      }
    });
    await Promise.all(writing);
    await store.put(trial.key("e/end"), "");
    const told = (): unknown[] => entriesOf(changes);
    await trial.eventually("the end is told", () => JSON.stringify(told()).includes("e/end"));
    same("what was told", told(), await store.list(trial.key("e/")));
  },

  "a watch ends by its signal, and by leaving its loop": async (trial) => {
    const followed = trial.follow(trial.key("z/"));
    await trial.eventually("the watch is ready", () => isReady(followed.changes));
    followed.stop();
    await trial.eventually("the watch ends", () => followed.ended);
    await trial.store.put(trial.key("z/1"), "");
    await trial.pass(0.1);
    same("what it told", followed.changes, [{ type: "ready" }]);
    for await (const _ of trial.store.watch(trial.key("z/"), { signal: AbortSignal.abort() })) {
      throw new Error("A watch whose signal had aborted told something");
    }
    let left = false;
    void (async () => {
      for await (const _ of trial.store.watch(trial.key("z/"))) break;
      left = true;
    })();
    await trial.eventually("the loop is left", () => left);
  },
};

function isReady(changes: readonly Change[]): boolean {
  return changes.some(({ type }) => type === "ready");
}

function isGone(changes: readonly Change[], key: string): boolean {
  return changes.some((change) => change.type === "delete" && change.key === key);
}

/** What is there by what was told, ordered by key. */
function entriesOf(changes: readonly Change[]): unknown[] {
  const entries = new Map<string, unknown>();
  for (const change of changes) {
    if (change.type === "put") entries.set(change.entry.key, change.entry);
    if (change.type === "delete") entries.delete(change.key);
  }
  return [...entries].toSorted(([a], [b]) => a < b ? -1 : 1).map(([, entry]) => entry);
}
