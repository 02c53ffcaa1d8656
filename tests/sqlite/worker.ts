/** A process beside the test: `worker.ts PATH MODE NAME`. Each line that it prints says what has been acknowledged. */

import process from "node:process";
import { loadDriver } from "../../adapters/sqlite/driver.ts";
import { sqlite } from "../../adapters/sqlite/mod.ts";

const [path = "", mode = "", name = ""] = process.argv.slice(2);
const { store, queue, events } = await sqlite(path, { durability: "process" });
const open = await loadDriver();
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const modes: Readonly<Record<string, () => Promise<void>>> = {
  /** Writes until it is killed. */
  write: async () => {
    let next = 0;
    const lane = async (): Promise<void> => {
      for (;;) {
        const id = `${name} ${next++}`;
        await Promise.all([
          queue.push("t", [{ id, payload: id }]).then(() => say(`item ${id}`)),
          events.append(name, [{ id, type: "t", data: "{}" }]).then(() => say(`event ${id}`)),
          store.put(id, id).then((revision) => say(`entry ${id} ${revision}`)),
        ]);
      }
    };
    await Promise.all(Array.from({ length: 8 }, lane));
  },

  /** Adds one to what is under a key, fifty times. */
  add: async () => {
    for (let times = 0; times < 50;) {
      const entry = await store.get("sum");
      const expected = entry?.revision ?? "absent";
      await store.put("sum", `${Number(entry?.value ?? 0) + 1}`, { expected }).then(
        () => times++,
        (error: { readonly code?: string }) => {
          if (error.code !== "CONFLICT") throw error;
        },
      );
    }
    say("done");
  },

  /** Stands still in the middle of a write; it writes nothing when it goes on. */
  hold: () => {
    const db = open(path);
    db.prepare("BEGIN IMMEDIATE").run();
    db.prepare("UPDATE state SET tick = tick + 1").run();
    say("holding");
    process.kill(process.pid, "SIGSTOP");
    db.prepare("ROLLBACK").run();
    db.close();
    return Promise.resolve();
  },

  /** Takes items until it is killed. */
  take: async () => {
    say("ready");
    for (;;) {
      for (const delivery of await queue.pull("t", "a", { max: 8, lease: 500, wait: 1000 })) {
        await delivery.ack();
        say(`done ${delivery.id}`);
      }
    }
  },
};
await modes[mode]!();
process.exit(0);
