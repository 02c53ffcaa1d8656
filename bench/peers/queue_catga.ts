/** This library's queue in a SQLite file, by its port and as reliable events of nodes in this process. */
import { join } from "node:path";
import { memory } from "@catga/catga/memory";
import { withStorage } from "@catga/catga/ports";
import { processRuntime } from "@catga/catga/serve";
import { sqlite, type SqliteStorage } from "@catga/catga/sqlite";
import type { Jobs, Place } from "../harness/jobs.ts";
import { eventJobsOf, queueJobsOf } from "./queue_jobs.ts";

function open({ folder, durability }: Place): Promise<SqliteStorage> {
  return sqlite(join(folder, "own.db"), { durability, items: 100_000_000 });
}

export async function queueJobs(place: Place): Promise<Jobs> {
  return await queueJobsOf((await open(place)).queue);
}

export async function eventJobs(place: Place): Promise<Jobs> {
  const storage = await open(place);
  return await eventJobsOf(() => withStorage(memory(), storage), storage.queue, processRuntime());
}
