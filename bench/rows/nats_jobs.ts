/**
 * What JetStream keeps and hands out a second: `nats_jobs.ts "QoS 1, push 256: js.publish"
 * {"warmup":500,"ms":2000,"broker":{"port":1,"pid":1}}`. The last line it prints is JSON.
 */
import process from "node:process";
import { driveJobs } from "../harness/drive_jobs.ts";
import type { MakeJobs } from "../harness/jobs.ts";

const jetstream = () => import("../peers/nats_jetstream.ts");

const queues: Readonly<Record<string, () => Promise<MakeJobs>>> = {
  "js.publish": () => jetstream().then(({ clientJobs }) => clientJobs),
  "own correlation": () => jetstream().then(({ correlatedJobs }) => correlatedJobs),
  "own correlation with names": () => jetstream().then(({ namedJobs }) => namedJobs),
  "consume() confirmed": () => jetstream().then(({ namedJobs }) => namedJobs),
  "consume()": () => jetstream().then(({ correlatedJobs }) => correlatedJobs),
  catga: () => import("../peers/nats_catga.ts").then(({ queueJobs }) => queueJobs),
  "catga events": () => import("../peers/nats_catga.ts").then(({ eventJobs }) => eventJobs),
};

const [candidate = "", json = "{}"] = process.argv.slice(2);
console.log(JSON.stringify(await driveJobs(queues, candidate, JSON.parse(json))));
process.exit(0);
