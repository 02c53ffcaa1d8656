/** The limit of a SQLite file: a table of jobs, prepared statements, and nothing else. */
import { join } from "node:path";
import type { Jobs, Place } from "../harness/jobs.ts";
import type { Order } from "../harness/order.ts";
import { openRaw } from "../rows/storage_raw.ts";

interface Row {
  readonly seq: number;
  readonly payload: string;
}

export async function sqliteJobs({ folder, durability }: Place): Promise<Jobs> {
  const db = await openRaw(join(folder, "raw.db"), durability);
  db.run(
    "CREATE TABLE job (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, payload TEXT, until INTEGER, attempt INTEGER)",
  );
  const insert = db.prepare("INSERT INTO job (id, payload, until, attempt) VALUES (?, ?, 0, 0)");
  const due = db.prepare("SELECT seq, payload FROM job WHERE until < ? ORDER BY seq LIMIT ?");
  const lease = db.prepare("UPDATE job SET until = ?, attempt = attempt + 1 WHERE seq = ?");
  const remove = db.prepare("DELETE FROM job WHERE seq = ?");
  const count = db.prepare("SELECT count(*) AS n FROM job");
  let last = 0;
  const pushAll = (orders: readonly Order[]): void =>
    db.together(() => {
      for (const order of orders) insert.run(`order-${last++}`, JSON.stringify(order));
    });
  return {
    isLimit: true,
    push: (order) => pushAll([order]),
    pushAll,
    kept: () => (count.all() as { readonly n: number }[])[0]!.n,
    take: async (wanted, concurrency, hear) => {
      for (let left = wanted; left > 0;) {
        let rows: Row[] = [];
        db.together(() => {
          rows = due.all(0.5, concurrency) as Row[];
          for (const { seq } of rows) lease.run(1, seq);
        });
        await Promise.all(rows.map(({ payload }) => hear(JSON.parse(payload) as Order)));
        db.together(() => {
          for (const { seq } of rows) remove.run(seq);
        });
        left -= rows.length;
      }
    },
  };
}
