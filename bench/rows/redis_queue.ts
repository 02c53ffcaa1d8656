/** What queues in Redis take and hand out: `redis_queue.ts "take 100: catga" {"warmup":200,"ms":700,"broker":{…}}`. */
import process from "node:process";
import { driveJobs } from "../harness/drive_jobs.ts";
import type { MakeJobs } from "../harness/jobs.ts";

const rest = () => import("../peers/redis_queue.ts");

const queues: Readonly<Record<string, () => Promise<MakeJobs>>> = {
  "catga": () => rest().then(({ queueJobs }) => queueJobs),
  "plain stream": () => rest().then(({ plainJobs }) => plainJobs),
  "plain stream joined": () => rest().then(({ joinedJobs }) => joinedJobs),
  "BullMQ by TCP": () => import("../peers/queue_bullmq.ts").then(({ bullJobs }) => bullJobs),
};

const [candidate = "", json = "{}"] = process.argv.slice(2);
console.log(JSON.stringify(await driveJobs(queues, candidate, JSON.parse(json))));
process.exit(0);
