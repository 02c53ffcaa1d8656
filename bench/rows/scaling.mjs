/** One and two processes that hash, with and without nodes and a caller around them. */
import { freePorts, run, start, stop } from "../lib/processes.mjs";

/** One sample of a candidate such as `2 nodes, roundRobin`: `{ perSecond, callerCpu }`, each a list of one. */
export async function sampleScaling(runtime, candidate, effort) {
  const [many, router] = candidate.split(", ");
  const count = Number.parseInt(many);
  const json = JSON.stringify(effort);
  if (router === "no caller") {
    const bare = () => run(runtime, ["harness/scaling.ts", "bare", json]);
    const results = await Promise.all(Array.from({ length: count }, bare));
    return { perSecond: [results.reduce((sum, { perSecond }) => sum + perSecond, 0)] };
  }
  const nodes = [];
  try {
    const ports = [];
    while (ports.length < count) ports.push(await freePorts());
    const own = String(await freePorts());
    for (const port of ports) nodes.push(await start(runtime, ["harness/scaling.ts", "node", String(port)]));
    const { perSecond, callerCpu } = await run(runtime, [
      ...["harness/scaling.ts", "call", router],
      ...[ports.join(","), own, json],
    ]);
    return { perSecond: [perSecond], callerCpu: [callerCpu] };
  } finally {
    await Promise.all(nodes.map(stop));
  }
}
