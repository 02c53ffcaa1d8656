// A process for shutdown.test.ts: waits for a signal and prints what happens.
import process from "node:process";
import { systemRuntime } from "@catga/catga/ports";
import { onShutdown } from "@catga/catga/serve";

const mode = process.argv[2];
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const runtime = systemRuntime({ log: ({ event }) => say(event) });

onShutdown(async () => {
  say("started");
  if (mode === "fails") throw new Error("no");
  await pause(mode === "works" ? 20 : 60_000);
  say("done");
}, { deadline: mode === "hangs" ? 100 : 30_000, runtime });
setTimeout(() => {}, 60_000);
say("ready");
