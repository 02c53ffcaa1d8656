import { mkdtempSync, rmSync } from "node:fs";
import process from "node:process";
import { sqlite } from "../../adapters/sqlite/mod.ts";
import { loadDriver } from "../../adapters/sqlite/driver.ts";
const dur = (process.argv[2] ?? "process") as "power" | "process"; const rounds = Number(process.argv[3] ?? 12);
const dir = mkdtempSync("/tmp/sq/b-");
const payload = "x".repeat(200);
const open = await loadDriver();
const db = open(`${dir}/raw.db`);
for (const p of ["journal_mode=WAL", `synchronous=${dur === "power" ? "FULL" : "NORMAL"}`, "cache_size=-16384"]) db.prepare(`PRAGMA ${p}`).get();
db.prepare("CREATE TABLE t (seq INTEGER PRIMARY KEY, topic TEXT, id TEXT UNIQUE, payload TEXT)").run();
db.prepare("CREATE TABLE p (seq INTEGER PRIMARY KEY, topic TEXT, id TEXT, payload TEXT)").run();
const b = db.prepare("BEGIN IMMEDIATE"), c = db.prepare("COMMIT");
const i1 = db.prepare("INSERT INTO t (topic, id, payload) VALUES (?,?,?)"), i0 = db.prepare("INSERT INTO p (topic, id, payload) VALUES (?,?,?)");
const st = await sqlite(`${dir}/o.db`, { durability: dur, items: 10_000_000 });
await st.queue.subscribe("orders", "g");
let n = 0;
const rate = (k: number, ins: typeof i1, ms: number) => { let m = 0; const s = performance.now(); let e = s; while (e - s < ms) { b.run(); for (let j = 0; j < k; j++) ins.run("orders", `item-${n++}`, payload); c.run(); m += k; e = performance.now(); } return m / (e - s) * 1000; };
const ours = async (k: number, ms: number) => { let m = 0; const s = performance.now(); await Promise.all(Array.from({ length: k }, async () => { while (performance.now() - s < ms) { await st.queue.push("orders", [{ id: `item-${n++}`, payload }]); m++; } })); return m / (performance.now() - s) * 1000; };
const pull = async (k: number, ms: number) => { let m = 0; const s = performance.now(); while (performance.now() - s < ms) { const d = await st.queue.pull("orders", "g", { max: k, lease: 1e6 }); await Promise.all(d.map((x) => x.ack())); m += d.length; } return m / (performance.now() - s) * 1000; };
const med = (a: number[]) => a.toSorted((x, y) => x - y)[a.length >> 1]!;
for (const k of [1, 64, 256]) {
  const r: number[] = [], u: number[] = [], o: number[] = [], pl: number[] = [];
  for (let i = 0; i < rounds; i++) { r.push(rate(k, i0, 80)); u.push(rate(k, i1, 80)); o.push(await ours(k, 80)); pl.push(await pull(k, 80)); }
  console.log(dur, k, "raw", med(r).toFixed(0), "unique", med(u).toFixed(0), "ours", med(o).toFixed(0), "pull+ack", med(pl).toFixed(0), "ratio/raw", med(o.map((x, i) => x / r[i]!)).toFixed(2), "ratio/unique", med(o.map((x, i) => x / u[i]!)).toFixed(2));
}
db.close(); await st[Symbol.asyncDispose](); rmSync(dir, { recursive: true });
