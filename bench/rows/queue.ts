/**
 * What a queue takes and hands out a second: `queue.ts "push 64: catga, process" {"warmup":500,"ms":2000}`, with
 * `"broker":{"port":1,"pid":1}` where there is one. The last line it prints is JSON.
 */
import process from "node:process";
import { driveJobs } from "../harness/drive_jobs.ts";
import type { MakeJobs } from "../harness/jobs.ts";

const queues: Readonly<Record<string, () => Promise<MakeJobs>>> = {
  catga: () => import("../peers/queue_catga.ts").then(({ queueJobs }) => queueJobs),
  "catga events": () => import("../peers/queue_catga.ts").then(({ eventJobs }) => eventJobs),
  "raw SQLite": () => import("../peers/queue_sqlite.ts").then(({ sqliteJobs }) => sqliteJobs),
  BullMQ: () => import("../peers/queue_bullmq.ts").then(({ bullJobs }) => bullJobs),
  "raw Redis": () => import("../peers/queue_redis.ts").then(({ redisJobs }) => redisJobs),
};

const [candidate = "", json = "{}"] = process.argv.slice(2);
console.log(JSON.stringify(await driveJobs(queues, candidate, JSON.parse(json))));
process.exit(0);
