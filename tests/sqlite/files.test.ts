/** Files that are not what they should be, full or in others' hands, and what becomes of what was asked for. */

import { afterEach, describe, expect, test } from "bun:test";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { sqlite } from "@catga/catga/sqlite";
import { loadDriver, type SqlDatabase } from "../../adapters/sqlite/driver.ts";
import { prepareFile } from "../../adapters/sqlite/schema.ts";
import { fakeRuntime, settle } from "../behaviors/fake_runtime.ts";
import { type Folder, folder } from "./support.ts";

let files: Folder = folder();

afterEach(async () => {
  await files.remove();
  files = folder();
});

async function raw(name?: string): Promise<SqlDatabase> {
  return (await loadDriver())(files.path(name));
}

function faultOf(work: Promise<unknown>): Promise<{ readonly code: string; readonly message: string }> {
  return work.then(
    () => ({ code: "ok", message: "" }),
    (error: { code: string; message: string }) => ({ code: error.code, message: error.message }),
  );
}

describe("a file that is no good is refused, by a message that says what to do", () => {
  test("one in a directory that is not there", async () => {
    const { code, message } = await faultOf(files.open({}, "none/storage.db"));
    expect([code, message]).toEqual(["UNAVAILABLE", expect.stringContaining("directory has to exist")]);
  });

  test("a directory", async () => {
    mkdirSync(files.path("folder"));
    expect((await faultOf(files.open({}, "folder"))).code).toBe("UNAVAILABLE");
  });

  test("one that is no SQLite file", async () => {
    writeFileSync(files.path(), "This is my diary. ".repeat(1000));
    const { code, message } = await faultOf(files.open());
    expect([code, message]).toEqual(["UNAVAILABLE", expect.stringContaining("no SQLite file")]);
    expect(readFileSync(files.path(), "utf8").startsWith("This is my diary.")).toBe(true);
  });

  test("the SQLite file of another program, with its tables or its mark", async () => {
    const db = await raw();
    db.prepare("CREATE TABLE diary (day TEXT)").run();
    db.close();
    const other = await raw("marked.db");
    other.prepare("PRAGMA application_id = 7").get();
    other.close();
    for (const name of ["storage.db", "marked.db"]) {
      const { code, message } = await faultOf(files.open({}, name));
      expect([code, message]).toEqual(["VALIDATION", expect.stringContaining("another program")]);
    }
    const again = await raw();
    expect(again.prepare("SELECT name FROM sqlite_master").all()).toHaveLength(1);
    again.close();
  });

  test("one of a later version of this library", async () => {
    await (await files.open())[Symbol.asyncDispose]();
    const db = await raw();
    db.prepare("PRAGMA user_version = 99").get();
    db.close();
    const { code, message } = await faultOf(files.open());
    expect([code, message]).toEqual(["VALIDATION", expect.stringContaining("version 99")]);
  });

  test.each(["", ":memory:"])("%j, which is no file", async (path) => {
    expect((await faultOf(sqlite(path))).code).toBe("VALIDATION");
  });

  test("one that was damaged while it was open, by whoever reads what is broken", async () => {
    const storage = await files.open();
    for (let at = 0; at < 300; at++) await storage.store.put(`key ${at}`, "x".repeat(1000));
    await storage[Symbol.asyncDispose]();
    const file = openSync(files.path(), "r+");
    for (let page = 2; page < 60; page++) {
      writeSync(file, new Uint8Array(4000).fill(0xaa), 0, 4000, page * 4096);
    }
    closeSync(file);
    const work = files.open().then(({ store }) => store.list(""));
    const { code, message } = await faultOf(work);
    expect([code, message]).toEqual(["UNAVAILABLE", expect.stringContaining(".recover")]);
  });

  test("limits that are none", async () => {
    for (const options of [{ bytes: 0 }, { keys: NaN }, { items: -1 }, { busy: 0 }, { window: Infinity }]) {
      await expect(sqlite(files.path(), options)).rejects.toThrow(RangeError);
    }
  });

  test("a runtime without SQLite", async () => {
    const none = (name: string): Promise<never> => Promise.reject(new Error(`No such module: ${name}`));
    for (const isBun of [true, false]) {
      expect((await faultOf(loadDriver(isBun, none))).code).toBe("VALIDATION");
    }
  });
});

describe("what is full takes no more, and goes on when there is room", () => {
  test("a file of so many bytes", async () => {
    const { store, queue, events } = await files.open({ bytes: 400_000, durability: "process" });
    await queue.subscribe("t", "a");
    const large = "x".repeat(20_000);
    let kept = 0;
    let refused = { code: "ok", message: "" };
    for (; refused.code === "ok" && kept < 100; kept++) refused = await faultOf(store.put(`${kept}`, large));
    expect([refused.code, refused.message]).toEqual(["OVERLOADED", expect.stringContaining("bytes")]);
    expect((await faultOf(queue.push("t", [{ id: "1", payload: large }]))).code).toBe("OVERLOADED");
    expect((await faultOf(events.append("s", [{ id: "1", type: "t", data: large }]))).code).toBe(
      "OVERLOADED",
    );
    expect((await store.list("")).length).toBe(kept - 1);
    for (let at = 0; at < 5; at++) await store.delete(`${at}`);
    await queue.push("t", [{ id: "1", payload: large }]);
    await events.append("s", [{ id: "1", type: "t", data: large }]);
    expect((await queue.pull("t", "a", { max: 9, lease: 1000 })).map(({ id }) => id)).toEqual(["1"]);
    expect((await events.read("s")).length).toBe(1);
  });

  test("a file that is full of items, which can be taken out nevertheless", async () => {
    const { queue, store } = await files.open({ bytes: 400_000, durability: "process" });
    for (const group of ["a", "b"]) await queue.subscribe("t", group);
    let kept = 0;
    const push = () => queue.push("t", [{ id: `item ${kept}`, key: `key ${kept}`, payload: "x".repeat(20) }]);
    for (; (await faultOf(push())).code === "ok"; kept++);
    expect(kept).toBeGreaterThan(500);
    for (; (await faultOf(store.put(`${kept}`, "x"))).code === "ok"; kept++);
    for (const group of ["a", "b"]) {
      for (let left = true; left;) {
        const taken = await queue.pull("t", group, { max: 1000, lease: 60_000 });
        await Promise.all(taken.map((delivery) => delivery.extend(90_000)));
        await Promise.all(taken.map((delivery) => delivery.ack()));
        left = taken.length > 0;
      }
      expect((await queue.backlog("t", group)).items).toBe(0);
    }
    await store.delete(`${kept - 1}`);
    await push();
    const db = await raw();
    const pages = (): number => db.prepare<{ page_count: number }>("PRAGMA page_count").get()!.page_count;
    const before = pages();
    for (kept++; (await faultOf(store.put(`${kept}`, "x".repeat(2000)))).code === "ok"; kept++);
    expect(pages()).toBeLessThanOrEqual(Math.max(before, Math.ceil(400_000 / 4096)));
    db.close();
  });

  test("one that does not fit fails alone, though it was asked for together with others", async () => {
    const { store } = await files.open({ bytes: 400_000, durability: "process" });
    await store.put("first", "");
    const large = "x".repeat(262_144);
    const works = [store.put("a", "1"), store.put("b", large), store.put("c", large), store.put("d", "2")];
    const codes = await Promise.all(works.map(async (work) => (await faultOf(work)).code));
    expect(codes).toEqual(["ok", "ok", "OVERLOADED", "ok"]);
    expect((await store.list("")).map(({ key }) => key)).toEqual(["a", "b", "d", "first"]);
  });

  test("a store of so many entries, where those whose time is over make room", async () => {
    const runtime = fakeRuntime();
    const { store } = await files.open({ keys: 2, runtime });
    await store.put("a", "", { ttl: 100 });
    await store.put("b", "");
    expect((await faultOf(store.put("c", ""))).code).toBe("OVERLOADED");
    await store.put("b", "again");
    await runtime.advance(101);
    await store.put("c", "");
    expect((await store.list("")).map(({ key }) => key)).toEqual(["b", "c"]);
  });

  test("so many watches", async () => {
    const { store } = await files.open({ watches: 1 });
    const reader = store.watch("")[Symbol.asyncIterator]();
    await reader.next();
    expect((await faultOf(store.watch("")[Symbol.asyncIterator]().next())).code).toBe("OVERLOADED");
    await reader.return?.();
    expect((await store.watch("")[Symbol.asyncIterator]().next()).value).toEqual({ type: "ready" });
  });

  test("so many names, of which the oldest go first", async () => {
    const { queue } = await files.open({ names: 10, durability: "process" });
    await queue.subscribe("t", "a");
    for (let at = 0; at < 60; at++) {
      await queue.push("t", [{ id: `${at}`, payload: "" }]);
      for (const delivery of await queue.pull("t", "a", { max: 1, lease: 1000 })) await delivery.ack();
    }
    await queue.push("t", ["0", "40", "59"].map((id) => ({ id, payload: "" })));
    expect((await queue.pull("t", "a", { max: 9, lease: 1000 })).map(({ id }) => id)).toEqual(["0", "40"]);
    const db = await raw();
    const { count } = db.prepare<{ count: number }>("SELECT COUNT(*) AS count FROM item").get()!;
    db.close();
    expect(count).toBeLessThan(20);
  });

  test("so many names, of which the oldest go first whichever topic they are of", async () => {
    const { queue } = await files.open({ names: 10, durability: "process" });
    for (const topic of ["t", "u"]) await queue.subscribe(topic, "a");
    const pass = async (topic: string, id: string): Promise<number> => {
      await queue.push(topic, [{ id, payload: "" }]);
      const taken = await queue.pull(topic, "a", { max: 1, lease: 1000 });
      for (const delivery of taken) await delivery.ack();
      return taken.length;
    };
    for (let at = 0; at < 11; at++) await pass("t", `${at}`);
    for (let at = 0; at < 5; at++) await pass("u", `${at}`);
    for (let at = 0; at < 5; at++) expect(await pass("u", `${at}`)).toBe(0);
  });

  test("an item comes also where all before it are forgotten, and another process has it pushed", async () => {
    const runtime = fakeRuntime();
    const [one, two] = [
      await files.open({ runtime, window: 1000 }),
      await files.open({ runtime, window: 1000 }),
    ];
    await one.queue.subscribe("t", "a");
    for (const id of ["1", "2"]) await one.queue.push("t", [{ id, payload: "" }]);
    for (const delivery of await one.queue.pull("t", "a", { max: 9, lease: 1000 })) await delivery.ack();
    await runtime.advance(2000);
    await one.queue.push("t", []);
    await two.queue.push("t", [{ id: "3", payload: "" }]);
    expect((await one.queue.pull("t", "a", { max: 9, lease: 1000 })).map(({ id }) => id)).toEqual(["3"]);
  });

  test("a group that nobody asks for takes no room", async () => {
    const runtime = fakeRuntime();
    const { queue } = await files.open({ runtime, items: 2 });
    await queue.subscribe("t", "a", { idle: 100 });
    for (const id of ["1", "2"]) await queue.push("t", [{ id, payload: "" }]);
    expect((await faultOf(queue.push("t", [{ id: "3", payload: "" }]))).code).toBe("OVERLOADED");
    await runtime.advance(300);
    await queue.push("t", [{ id: "4", payload: "" }]);
    await queue.subscribe("t", "b");
    await queue.push("t", ["5", "6"].map((id) => ({ id, payload: "" })));
    expect((await queue.pull("t", "b", { max: 9, lease: 1000 })).map(({ id }) => id)).toEqual(["5", "6"]);
  });

  test("what ended groups had goes, also when it is much", async () => {
    const { queue } = await files.open({ durability: "process" });
    await queue.subscribe("t", "a");
    await queue.subscribe("t", "b");
    for (let page = 0; page < 3; page++) {
      await queue.push("t", Array.from({ length: 1000 }, (_, at) => ({ id: `${page} ${at}`, payload: "x" })));
    }
    await queue.pull("t", "a", { max: 700, lease: 60_000 });
    const [held] = await queue.pull("t", "b", { max: 1, lease: 60_000 });
    await queue.unsubscribe("t", "a");
    await queue.unsubscribe("t", "b");
    await held!.ack();
    const db = await raw();
    const left = (): unknown =>
      db.prepare(
        `SELECT open, ended, (SELECT COUNT(*) FROM delivery) AS deliveries, (SELECT COUNT(*) FROM taker) AS takers,
          (SELECT COUNT(*) FROM item WHERE payload IS NOT NULL OR refs <> 0) AS items FROM state`,
      ).get();
    const none = JSON.stringify({ open: 0, ended: 0, deliveries: 0, takers: 0, items: 0 });
    for (let times = 0; times < 200 && JSON.stringify(left()) !== none; times++) {
      await queue.subscribe("u", "c");
      await queue.unsubscribe("u", "c");
    }
    expect(JSON.stringify(left())).toBe(none);
    db.close();
  });
});

describe("a file that another process writes to", () => {
  test("is waited for, without standing still, and what could not be done was not", async () => {
    const runtime = fakeRuntime();
    const { store, queue, events } = await files.open({ busy: 1000, runtime });
    const db = await raw();
    db.prepare("BEGIN IMMEDIATE").run();
    const put = faultOf(store.put("a", "1"));
    const controller = new AbortController();
    const given = faultOf(store.put("given up", "1", { signal: controller.signal }));
    await runtime.advance(500);
    controller.abort();
    expect((await given).code).toBe("CANCELLED");
    const later = faultOf(queue.push("t", []));
    expect(await store.get("a")).toBe(undefined);
    expect(await events.head()).toBe(0);
    await runtime.advance(600);
    const { code, message } = await put;
    expect([code, message]).toEqual(["UNAVAILABLE", expect.stringContaining("others are writing")]);
    db.prepare("ROLLBACK").run();
    await runtime.advance(100);
    expect((await later).code).toBe("ok");
    await store.put("b", "1");
    expect((await store.list("")).map(({ key }) => key)).toEqual(["b"]);
    db.close();
  });

  test("is waited for when it is opened", async () => {
    const runtime = fakeRuntime();
    const db = await raw();
    db.prepare("BEGIN EXCLUSIVE").run();
    db.prepare("CREATE TABLE busy (a)").run();
    const opening = faultOf(files.open({ busy: 300, runtime }));
    for (let times = 0; times < 40; times++) {
      await new Promise<void>((resolve) => queueMicrotask(resolve));
      await runtime.advance(20);
    }
    expect((await opening).code).toBe("UNAVAILABLE");
    db.prepare("ROLLBACK").run();
    db.close();
    await (await files.open({ busy: 300 }))[Symbol.asyncDispose]();
  });
});

describe("what is asked for in one turn", () => {
  test("is written together, with an outcome each", async () => {
    const { store, queue, events } = await files.open({ durability: "process" });
    await queue.subscribe("t", "a");
    await store.put("taken", "");
    const db = await raw();
    const frames = (): number => db.prepare<{ log: number }>("PRAGMA wal_checkpoint(PASSIVE)").get()!.log;
    const before = frames();
    const works = Array.from({ length: 100 }, (_, at) => [
      store.put(`${at}`, "", { expected: "absent" }),
      store.put("taken", "", { expected: "absent" }),
      queue.push("t", [{ id: `${at}`, payload: "" }]),
      events.append(`${at}`, [{ id: "1", type: "t", data: "" }], { expected: at % 2 }),
    ]).flat();
    const codes = await Promise.all(works.map(async (work) => (await faultOf(work)).code));
    expect(codes.filter((code) => code === "CONFLICT")).toHaveLength(150);
    expect(codes.filter((code) => code === "ok")).toHaveLength(250);
    // Each transaction alone would be at least three pages.
    expect(frames() - before).toBeLessThan(100);
    db.close();
    expect((await queue.backlog("t", "a")).items).toBe(100);
    expect(await events.head()).toBe(50);
  });

  test("lets the event loop go on, however much it is", async () => {
    const { store } = await files.open({ durability: "process" });
    let ticks = 0;
    let open = true;
    const tick = (): void => {
      ticks++;
      if (open) setTimeout(tick, 0);
    };
    tick();
    const lanes = Array.from({ length: 4 }, async (_, lane) => {
      for (let at = 0; at < 1000 && ticks < 5; at++) await store.put(`${lane}`, `${at}`);
    });
    const heap = Promise.all(Array.from({ length: 20_000 }, (_, at) => store.put(`h${at}`, "x".repeat(100))));
    await Promise.all([...lanes, heap]);
    open = false;
    expect(ticks).toBeGreaterThanOrEqual(3);
  }, 30_000);
});

describe("a storage that is closed", () => {
  test("has written what was asked for, and does nothing more", async () => {
    const first = await files.open();
    await first.queue.subscribe("t", "a");
    const { position } = await first.events.append("s", [{ id: "1", type: "t", data: "" }]);
    const pulling = faultOf(first.queue.pull("t", "a", { max: 1, lease: 1000, wait: 60_000 }));
    const waiting = faultOf(first.events.changed(position, { wait: 60_000 }));
    const reader = first.store.watch("x")[Symbol.asyncIterator]();
    await reader.next();
    const told = faultOf(reader.next());
    const put = first.store.put("a", "1");
    const [one, two] = [first[Symbol.asyncDispose](), first[Symbol.asyncDispose]()];
    expect((await faultOf(first.store.put("b", "1"))).code).toBe("UNAVAILABLE");
    await Promise.all([one, two, put]);
    expect([(await told).code, (await pulling).code, (await waiting).code])
      .toEqual(["TRANSPORT", "UNAVAILABLE", "UNAVAILABLE"]);
    expect((await faultOf(first.store.get("a"))).code).toBe("UNAVAILABLE");
    const second = await files.open();
    expect((await second.store.list("")).map(({ key }) => key)).toEqual(["a"]);
  });

  test("keeps no timer, nor does one that nobody waits on", async () => {
    const runtime = fakeRuntime();
    const { store, queue, [Symbol.asyncDispose]: close } = await files.open({ runtime });
    await queue.subscribe("t", "a", { idle: 1000 });
    await store.put("a", "", { ttl: 1000 });
    await settle();
    expect(runtime.pending()).toBe(0);
    const reader = store.watch("")[Symbol.asyncIterator]();
    await reader.next();
    expect(runtime.pending()).toBeGreaterThan(0);
    await reader.return?.();
    expect(runtime.pending()).toBe(0);
    const pulling = faultOf(queue.pull("t", "a", { max: 1, lease: 1000, wait: 60_000 }));
    await settle();
    await close();
    await pulling;
    expect(runtime.pending()).toBe(0);
  });
});

test("a file that another process makes at the same moment is one of ours", async () => {
  const settings = { synchronous: "FULL", bytes: 2 ** 30 } as const;
  for (let moment = 1; moment < 6; moment++) {
    const name = `new-${moment}.db`;
    const [mine, other] = [await raw(name), await raw(name)];
    let statements = 0;
    prepareFile(
      {
        prepare: (sql) => {
          if (++statements === moment + 1) prepareFile(other, name, settings);
          return mine.prepare(sql);
        },
        close: () => mine.close(),
      },
      name,
      settings,
    );
    for (const db of [mine, other]) db.close();
  }
});
