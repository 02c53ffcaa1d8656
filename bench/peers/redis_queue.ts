/** Jobs over the REST API of a Redis: this library's queue, and a stream with a consumer group and nothing else. */
import { redis } from "@catga/catga/redis";
import { processRuntime } from "@catga/catga/serve";
import type { Jobs, Place } from "../harness/jobs.ts";
import type { Order } from "../harness/order.ts";
import { expect, restOf } from "../harness/redis.ts";
import { queueJobsOf } from "./queue_jobs.ts";

const STREAM = "orders";
const GROUP = "billing";

const runtime = processRuntime();

type Words = readonly (string | number)[];
type Entries = readonly (readonly [id: string, fields: readonly [name: string, text: string]])[];

export async function queueJobs({ port }: Place): Promise<Jobs> {
  return await queueJobsOf(redis(restOf(port), { runtime, items: 100_000_000 }).queue);
}

export const plainJobs = (place: Place): Promise<Jobs> => jobsOf(place, false);

/** What was read is acknowledged in the request that reads the next ones. */
export const joinedJobs = (place: Place): Promise<Jobs> => jobsOf(place, true);

async function jobsOf({ port }: Place, joined: boolean): Promise<Jobs> {
  const send = sendingTo(port);
  const add = (order: Order): Words => ["XADD", STREAM, "*", "order", JSON.stringify(order)];
  const acknowledge = (entries: Entries): Words => ["XACK", STREAM, GROUP, ...entries.map(([id]) => id)];
  await send([["XGROUP", "CREATE", STREAM, GROUP, "$", "MKSTREAM"]]);
  return {
    isLimit: true,
    push: (order) => send([add(order)]),
    pushAll: (orders) => send(orders.map(add)),
    kept: async () => (await send([["XLEN", STREAM]]))[0] as number,
    take: async (count, concurrency, hear) => {
      const read: Words = ["XREADGROUP", "GROUP", GROUP, "c", "COUNT", concurrency, "STREAMS", STREAM, ">"];
      const entriesOf = (answer: unknown): Entries => (answer as [[string, Entries]])[0][1];
      let entries = entriesOf((await send([read]))[0]);
      for (let left = count;;) {
        for (const [, [, text]] of entries) await hear(JSON.parse(text) as Order);
        left -= entries.length;
        const acks = acknowledge(entries);
        const [done, next] = joined && left > 0 ? await send([acks, read]) : await send([acks]);
        expect("all are acknowledged", done === entries.length);
        if (left === 0) return;
        entries = entriesOf(next ?? (await send([read]))[0]);
      }
    },
  };
}

/** Sends commands in one request, by the client that this library sends by. */
function sendingTo(port: number): (commands: readonly Words[]) => Promise<readonly unknown[]> {
  const { url, token } = restOf(port);
  const headers = { "authorization": `Bearer ${token}`, "content-type": "application/json" };
  return async (commands) => {
    const body = JSON.stringify(commands);
    const reply = await runtime.fetch(`${url}/pipeline`, { method: "POST", headers, body });
    const answers = JSON.parse(await reply.text()) as readonly { result?: unknown; error?: string }[];
    expect("each command is answered", answers.length === commands.length);
    for (const { error } of answers) expect(`no error, but ${error}`, error === undefined);
    return answers.map(({ result }) => result);
  };
}
