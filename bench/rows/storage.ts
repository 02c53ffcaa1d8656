/**
 * What a SQLite file does a second, asked plainly and through the library: `storage.ts "power: push, 64 in flight"
 * {"warmup":200,"ms":500}`. The last line it prints is JSON.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { sqlite } from "@catga/catga/sqlite";
import { openRaw, type Raw } from "./storage_raw.ts";

/** Does some of it; answers how much. */
type Work = () => number | Promise<number>;

const [candidate = "", json = "{}"] = process.argv.slice(2);
const { warmup, ms } = JSON.parse(json) as { readonly warmup: number; readonly ms: number };
const root = mkdtempSync(join(tmpdir(), "catga-bench-"));
const [durability, what = ""] = candidate.split(": ") as ["power" | "process", string];
const count = Number(/\d+/.exec(what)?.[0] ?? 1);
/** As large as an order event in a parcel. */
const payload = JSON.stringify({ type: "orders.created", headers: {}, body: "x".repeat(150) });
const data = JSON.stringify({ sku: "sku-48151623", quantity: 3, note: "x".repeat(100) });
let last = 0;

const work = await (what.startsWith("raw") ? rawWork() : ownWork());
for (const end = performance.now() + warmup; performance.now() < end;) await work();
const cpu = process.cpuUsage();
const start = performance.now();
let done = 0;
let now = start;
for (; now < start + ms; now = performance.now()) done += await work();
const { user, system } = process.cpuUsage(cpu);
rmSync(root, { recursive: true, force: true });
console.log(JSON.stringify({ perSecond: [done / (now - start) * 1000], cpu: [(user + system) / done] }));
process.exit(0);

async function rawWork(): Promise<Work> {
  const db: Raw = await openRaw(join(root, "raw.db"), durability);
  db.run(
    "CREATE TABLE item (seq INTEGER PRIMARY KEY, topic TEXT, id TEXT, payload TEXT, until INTEGER, attempt INTEGER)",
  );
  if (!what.includes("any id")) db.run("CREATE UNIQUE INDEX item_id ON item (id)");
  db.run(
    "CREATE TABLE event (position INTEGER PRIMARY KEY, stream TEXT, version INTEGER, id TEXT, type TEXT, data TEXT)",
  );
  db.run("CREATE UNIQUE INDEX event_version ON event (stream, version)");
  const insert = db.prepare("INSERT INTO item (topic, id, payload, until, attempt) VALUES (?, ?, ?, 0, 0)");
  const append = db.prepare("INSERT INTO event (stream, version, id, type, data) VALUES (?, ?, ?, ?, ?)");
  const select = db.prepare("SELECT seq, id, payload FROM item WHERE until < ? ORDER BY seq LIMIT ?");
  const lease = db.prepare("UPDATE item SET until = ?, attempt = attempt + 1 WHERE seq = ?");
  const remove = db.prepare("DELETE FROM item WHERE seq = ?");
  const read = db.prepare("SELECT * FROM event WHERE stream = ? ORDER BY version");
  const push = (many: number): void =>
    db.together(() => {
      for (let at = 0; at < many; at++) insert.run("orders", `order-${last++}`, payload);
    });
  const fill = (stream: string, many: number): void =>
    db.together(() => {
      for (let at = 1; at <= many; at++) append.run(stream, at, `${at}`, "cart.changed", data);
    });
  if (what.includes("INSERT")) return () => (push(count), count);
  if (what.includes("append")) {
    return () => {
      db.together(() => {
        for (let at = 0; at < count; at++) append.run(`cart-${last++}`, 1, "1", "cart.changed", data);
      });
      return count;
    };
  }
  if (what.includes("read")) {
    fill("cart", count);
    return () => read.all("cart").length;
  }
  return () => {
    push(count);
    const taken = select.all(0.5, count) as { readonly seq: number }[];
    db.together(() => {
      for (const { seq } of taken) lease.run(1, seq);
    });
    db.together(() => {
      for (const { seq } of taken) remove.run(seq);
    });
    return taken.length;
  };
}

async function ownWork(): Promise<Work> {
  const { queue, events } = await sqlite(join(root, "own.db"), { durability, items: 100_000_000 });
  await queue.subscribe("orders", "billing");
  const lanes = (one: () => Promise<unknown>): Work => {
    // Lanes that go on by themselves, as callers do: whoever was answered asks again.
    return async () => {
      const end = performance.now() + 50;
      let made = 0;
      await Promise.all(Array.from({ length: count }, async () => {
        do {
          await one();
          made++;
        } while (performance.now() < end);
      }));
      return made;
    };
  };
  if (what.startsWith("push,")) {
    return lanes(() => queue.push("orders", [{ id: `order-${last++}`, payload }]));
  }
  if (what.startsWith("append")) {
    return lanes(() =>
      events.append(`cart-${last++}`, [{ id: "1", type: "cart.changed", data }], { expected: "absent" })
    );
  }
  if (what.startsWith("read")) {
    const all = Array.from({ length: count }, (_, at) => ({ id: `${at}`, type: "cart.changed", data }));
    await events.append("cart", all);
    return async () => (await events.read("cart")).length;
  }
  return async () => {
    const items = Array.from({ length: count }, () => ({ id: `order-${last++}`, payload }));
    await Promise.all(items.map((item) => queue.push("orders", [item])));
    const taken = await queue.pull("orders", "billing", { max: count, lease: 30_000 });
    await Promise.all(taken.map((delivery) => delivery.ack()));
    return taken.length;
  };
}
