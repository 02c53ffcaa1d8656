/** A process beside the test: `worker.ts PATH MODE NAME`. Each line that it prints says what has been acknowledged. */

import process from "node:process";
import { sqlite } from "../../adapters/sqlite/mod.ts";

const [path = "", mode = "", name = ""] = process.argv.slice(2);
const { store, queue, events } = await sqlite(path, { durability: "process" });
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
