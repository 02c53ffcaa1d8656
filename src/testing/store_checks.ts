import { seededRandom } from "./random.ts";
import { failing, must, same, type StoreTrial } from "./store_trial.ts";

/** What a store must keep as it is: names and texts that carriers like to spoil. */
const ODD = ["a b", "ü/…/😀", "a.b*c>d", "%2F..", "x\ny", "\u0000", '{"a":"\\\\"}', "", " "];

/** What is promised of entries. */
export const entryChecks: Readonly<Record<string, (trial: StoreTrial) => Promise<void>>> = {
  "it says what survives of it": ({ store, other }) => {
    for (const { durability } of [store, other]) {
      must(`durability is ${durability}`, ["none", "process", "power"].includes(String(durability)));
    }
    same("what another way to it says", other.durability, store.durability);
    return Promise.resolve();
  },

  "what was put is got, by everybody, until something else is put": async (trial) => {
    const { store, other } = trial;
    const key = trial.key("a");
    same("an entry that was never put", await store.get(key), undefined);
    const first = await store.put(key, "1");
    same("the entry", await other.get(key), { key, value: "1", revision: first });
    const second = await other.put(key, "2");
    same("the entry that was put over it", await store.get(key), { key, value: "2", revision: second });
  },

  "keys and values come back as they were": async (trial) => {
    for (const text of ODD) {
      const key = trial.key(`odd ${text}`);
      const revision = await trial.store.put(key, text);
      same("an odd entry", await trial.other.get(key), { key, value: text, revision });
    }
    const keys = (await trial.store.list(trial.key("odd "))).map((entry) => entry.key);
    same("odd keys", keys.toSorted(), ODD.map((text) => trial.key(`odd ${text}`)).toSorted());
    const long = "ä".repeat(100_000);
    await trial.store.put(trial.key("long"), long);
    must("a long value", (await trial.other.get(trial.key("long")))?.value === long);
  },

  "revisions grow over the whole store, also after deletion and expiry": async (trial) => {
    const { store, other, ttl } = trial;
    const [a, b] = [trial.key("a"), trial.key("b")];
    const revisions = [await store.put(a, ""), await other.put(b, ""), await store.put(a, "", { ttl })];
    await store.delete(b);
    revisions.push(await store.put(b, "", { expected: "absent" }));
    await store.delete(b);
    await trial.pass(1.2);
    revisions.push(await store.put(a, "", { expected: "absent" }), await store.put(b, ""));
    must(`revisions are whole numbers: ${revisions}`, revisions.every(Number.isSafeInteger));
    must(
      `revisions grow: ${revisions}`,
      revisions.every((each, at) => at === 0 || each > revisions[at - 1]!),
    );
  },

  "put with `absent` writes only where there is nothing": async (trial) => {
    const key = trial.key("a");
    const revision = await trial.store.put(key, "1", { expected: "absent" });
    const refused = await failing(
      "a put with `absent` over an entry",
      "CONFLICT",
      trial.other.put(key, "2", { expected: "absent" }),
    );
    same("the data of the conflict", refused.data, { expected: "absent", found: revision });
    same("the entry after it", await trial.store.get(key), { key, value: "1", revision });
    await trial.store.delete(key);
    await trial.other.put(key, "3", { expected: "absent" });
  },

  "put with a revision writes only over that one": async (trial) => {
    const { store, other } = trial;
    const key = trial.key("a");
    const nothing = await failing("a put over nothing", "CONFLICT", store.put(key, "", { expected: 1 }));
    same("its data", nothing.data, { expected: 1, found: "absent" });
    const first = await store.put(key, "1");
    const second = await other.put(key, "2", { expected: first });
    const stale = await failing(
      "a put over an old one",
      "CONFLICT",
      store.put(key, "3", { expected: first }),
    );
    same("its data", stale.data, { expected: first, found: second });
    same("the entry after it", await other.get(key), { key, value: "2", revision: second });
  },

  "of many that put over one revision at the same time, one does": async (trial) => {
    const key = trial.key("a");
    for (let round = 0, expected: number | "absent" = "absent"; round < 10; round++) {
      const puts: Promise<number>[] = Array.from(
        { length: 8 },
        (_, at) => (at % 2 === 0 ? trial.store : trial.other).put(key, `${round} ${at}`, { expected }),
      );
      const outcomes = await Promise.allSettled(puts);
      const won = outcomes.findIndex(({ status }) => status === "fulfilled");
      must("exactly one wins", outcomes.filter(({ status }) => status === "fulfilled").length === 1);
      const revision = await puts[won]!;
      same("what the winner wrote", await trial.store.get(key), { key, value: `${round} ${won}`, revision });
      expected = revision;
    }
  },

  "delete takes away what is there, if it is what was expected": async (trial) => {
    const { store, other } = trial;
    const key = trial.key("a");
    await store.delete(key);
    const nothing = await failing("a delete of nothing", "CONFLICT", store.delete(key, { expected: 1 }));
    same("its data", nothing.data, { expected: 1, found: "absent" });
    const first = await store.put(key, "1");
    const second = await store.put(key, "2");
    const stale = await failing("a delete of an old one", "CONFLICT", other.delete(key, { expected: first }));
    same("its data", stale.data, { expected: first, found: second });
    same("the entry after it", await store.get(key), { key, value: "2", revision: second });
    await other.delete(key, { expected: second });
    same("the entry that was deleted", await store.get(key), undefined);
    await store.put(key, "3");
    await other.delete(key);
    same("the entry that was deleted", await store.get(key), undefined);
  },

  "an entry goes when its time is over, counted from its last writing": async (trial) => {
    const { store, other, ttl } = trial;
    const [kept, gone, stays] = [trial.key("kept"), trial.key("gone"), trial.key("stays")];
    await store.put(gone, "1", { ttl });
    const revision = await store.put(kept, "1", { ttl });
    await store.put(stays, "1", { ttl });
    await store.put(stays, "2");
    await trial.pass(0.6);
    must("an entry stays for its time", (await other.get(gone)) !== undefined);
    const renewed = await other.put(kept, "2", { expected: revision, ttl });
    await trial.pass(0.6);
    same("an entry whose time is over", await other.get(gone), undefined);
    same("an entry that was written again", await store.get(kept), {
      key: kept,
      value: "2",
      revision: renewed,
    });
    const expired = await failing("a put over it", "CONFLICT", store.put(gone, "", { expected: revision }));
    same("its data", expired.data, { expected: revision, found: "absent" });
    await trial.pass(0.6);
    same("the other one", await store.get(kept), undefined);
    must("an entry without a time stays", (await store.get(stays)) !== undefined);
    same("what is listed", (await store.list(trial.key(""))).map(({ key }) => key), [stays]);
  },

  "list answers what begins like the prefix, by key, and no more than the limit": async (trial) => {
    const { store, other } = trial;
    for (const name of ["b/2", "a", "b/10", "b", "c/1", "b/1"]) await store.put(trial.key(name), name);
    const listed = async (prefix: string, limit?: number): Promise<string[]> =>
      (await other.list(trial.key(prefix), { limit })).map(({ value }) => value);
    same("the keys", await listed("b/"), ["b/1", "b/10", "b/2"]);
    same("the keys", await listed(""), ["a", "b", "b/1", "b/10", "b/2", "c/1"]);
    same("the first two", await listed("b", 2), ["b", "b/1"]);
    same("none", await listed("d"), []);
    const [first] = await store.list(trial.key("a"));
    same("a listed entry", first, await store.get(trial.key("a")));
  },

  "list goes by code points, as UTF-8 by its bytes": async (trial) => {
    const names = ["", "\u0000", "\u0001", "Z", "a", "é", "\ud7ff", "\ue000", "\uffff", "😀", "😀a", "😁"];
    for (const name of names.toReversed()) await trial.store.put(trial.key(`o${name}`), name);
    same("all", (await trial.other.list(trial.key("o"))).map(({ value }) => value), names);
    for (const [at, name] of names.entries()) {
      const rest = await trial.other.list(trial.key("o"), { after: trial.key(`o${name}`) });
      same(`after ${JSON.stringify(name)}`, rest.map(({ value }) => value), names.slice(at + 1));
    }
  },

  "list goes on after a key, whether or not it is there": async (trial) => {
    const { store, other } = trial;
    const names = ["b", "b/1", "b/10", "b/2", "b/3", "c"];
    for (const name of names) await store.put(trial.key(name), name);
    const listed = async (prefix: string, after: string, limit?: number): Promise<string[]> =>
      (await other.list(trial.key(prefix), { after, limit })).map(({ value }) => value);
    const paged: string[] = [];
    for (let page = await listed("b", "", 2); page.length > 0;) {
      must("a page has no more than the limit", page.length <= 2);
      paged.push(...page);
      must("pages come to an end", paged.length <= names.length);
      page = await listed("b", trial.key(paged.at(-1)!), 2);
    }
    same("all pages", paged, names.slice(0, 5));
    await store.delete(trial.key("b/10"));
    same("after one that has gone", await listed("b/", trial.key("b/10")), ["b/2", "b/3"]);
    same("after one that never was", await listed("b/", trial.key("b/1/x"), 1), ["b/2"]);
    same("after one that comes before all", await listed("b/", trial.key("a")), ["b/1", "b/2", "b/3"]);
    same("after one that comes behind all", await listed("b/", trial.key("c")), []);
    same("after the prefix", await listed("b", trial.key("b")), ["b/1", "b/2", "b/3"]);
  },

  "what no store takes is refused": async (trial) => {
    const { store } = trial;
    await failing("an empty key", "VALIDATION", store.put("", ""));
    await failing("a key too long", "VALIDATION", store.get("k".repeat(513)));
    await failing("a value too long", "VALIDATION", store.put(trial.key("a"), "v".repeat(262_145)));
    await failing("half a character as a key", "VALIDATION", store.put(trial.key("\ud800"), ""));
    await failing("half a character as a value", "VALIDATION", store.put(trial.key("a"), "\ud800"));
    for (const ttl of [0, -1, NaN, Infinity]) {
      await failing(`a ttl of ${ttl}`, "VALIDATION", store.put(trial.key("a"), "", { ttl }));
    }
    for (const limit of [0, -1, 1.5]) {
      await failing(`a limit of ${limit}`, "VALIDATION", store.list(trial.key(""), { limit }));
    }
    for (const after of ["\ud800", "k".repeat(513)]) {
      await failing("a key to list after", "VALIDATION", store.list(trial.key(""), { after }));
    }
    same("what was refused", await store.get(trial.key("a")), undefined);
  },

  "a signal that has aborted keeps everything from being done": async (trial) => {
    const { store } = trial;
    const key = trial.key("a");
    const signal = AbortSignal.abort();
    const revision = await store.put(key, "1");
    await failing("a put", "CANCELLED", store.put(key, "2", { signal }));
    await failing("a delete", "CANCELLED", store.delete(key, { signal }));
    await failing("a get", "CANCELLED", store.get(key, { signal }));
    await failing("a list", "CANCELLED", store.list(key, { signal }));
    same("the entry after it", await store.get(key), { key, value: "1", revision });
  },

  "a hundred random operations come out as those of a plain map": async (trial) => {
    const random = seededRandom(1);
    const model = new Map<string, { key: string; value: string; revision: number }>();
    for (let step = 0; step < 100; step++) {
      const key = trial.key(`m${random.below(4)}`);
      const store = random.chance(0.5) ? trial.store : trial.other;
      const found: number | "absent" = model.get(key)?.revision ?? "absent";
      const expected = random.pick<number | "absent" | undefined>([undefined, "absent", found, 1]);
      const fits = expected === undefined || expected === found;
      if (random.chance(0.7)) {
        const put = store.put(key, `${step}`, { expected });
        if (fits) model.set(key, { key, value: `${step}`, revision: await put });
        else await failing(`put ${step}`, "CONFLICT", put);
      } else if (expected !== "absent") {
        const deletion = store.delete(key, { expected });
        if (!fits) await failing(`delete ${step}`, "CONFLICT", deletion);
        else {
          await deletion;
          model.delete(key);
        }
      }
      same(`the entry after step ${step}`, await store.get(key), model.get(key));
    }
    const entries = [...model.values()].toSorted((a, b) => a.key < b.key ? -1 : 1);
    same("all entries", await trial.store.list(trial.key("m")), entries);
  },
};
