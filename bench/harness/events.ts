/**
 * One end of events that are told and not kept, in a closed loop: no more than WINDOW are under way.
 * `events.ts hear NAME PORT` prints READY when it hears, and says over the broker how many it has heard.
 * `events.ts tell NAME PORT HEARER_PID {"warmup":500,"ms":2000,"broker":{"pid":1}}` prints JSON.
 */
import process from "node:process";
import { candidates } from "../rows/nats_events.ts";
import { cpuOf } from "./cpu.ts";
import type { Effort } from "./drive_jobs.ts";
import { connectNats } from "./nats.ts";
import { nextOrder, type Order } from "./order.ts";

/** How events of a candidate are told and heard. */
export interface Events {
  /** Begins to hear; missing where nobody does. */
  readonly hear?: (port: number, heard: (order: Order) => void) => Promise<unknown>;
  /** Connects, and answers what tells many events. */
  readonly connect: (port: number) => Promise<(orders: readonly Order[]) => unknown>;
}

const HEARD = "bench.heard";
const WINDOW = 4096;
const TURN = 64;

const [role, name = "", port = "", hearer = "", json = "{}"] = process.argv.slice(2);
const { hear, connect } = await candidates[name]!();
const connection = await connectNats(Number(port));
if (role === "hear") {
  let count = 0;
  let told = 0;
  const tell = (): void => connection.publish(HEARD, String(told = count));
  await hear?.(Number(port), ({ id }) => {
    if (id > 0 && ++count - told >= WINDOW / 8) tell();
  });
  setInterval(() => count > told && tell(), 2);
  console.log("READY");
} else {
  const { warmup, ms, broker } = JSON.parse(json) as Effort;
  const publish = await connect(Number(port));
  let heard = 0;
  let wake = (): void => {};
  connection.subscribe(HEARD, {
    callback: (_error, message) => {
      heard = Number(message.string());
      wake();
    },
  });
  await connection.flush();
  let made = 0;
  const drive = async (limit: number): Promise<number> => {
    const before = made;
    for (const end = performance.now() + limit; performance.now() < end;) {
      await publish(Array.from({ length: TURN }, nextOrder));
      made += TURN;
      if (made - heard > WINDOW - TURN) await arrived(made - WINDOW / 2);
    }
    await arrived(made);
    return made - before;
  };
  const arrived = async (many: number): Promise<void> => {
    if (hear === undefined) {
      await connection.flush();
      heard = made;
    }
    const late = setTimeout(
      () => fail(`${made - heard} of ${made} events were not heard within 10 s`),
      10_000,
    );
    while (heard < many) await new Promise<void>((resolve) => wake = resolve);
    clearTimeout(late);
  };
  await drive(warmup);
  const pids = ["self", hearer, String(broker!.pid)];
  const before = pids.map(cpuOf);
  const start = performance.now();
  const count = await drive(ms);
  const seconds = (performance.now() - start) / 1000;
  const used = pids.map((pid, at) => (cpuOf(pid) - before[at]!) / count);
  const cpu = used.reduce((sum, each) => sum + each, 0);
  console.log(JSON.stringify({ perSecond: [count / seconds], cpu: [cpu], ownCpu: [used[0]] }));
  process.exit(0);
}

function fail(message: string): void {
  console.error(message);
  process.exit(1);
}
