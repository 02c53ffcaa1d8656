/** Events over NATS: told to another process (QoS 0), and kept by JetStream (QoS 1). */
import { run, start, stop } from "../lib/processes.mjs";

/** One sample of a candidate such as `QoS 0: nc.publish` or `QoS 1, push 256: js.publish`. */
export async function sampleNatsPublish(runtime, candidate, effort) {
  const json = JSON.stringify(effort);
  const [what, name] = candidate.split(": ");
  if (what !== "QoS 0") return await run(runtime, ["rows/nats_jobs.ts", candidate, json]);
  const port = String(effort.broker.port);
  const hearer = await start(runtime, ["harness/events.ts", "hear", name, port]);
  try {
    return await run(runtime, ["harness/events.ts", "tell", name, port, String(hearer.pid), json]);
  } finally {
    await stop(hearer);
  }
}
