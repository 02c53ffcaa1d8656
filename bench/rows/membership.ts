/**
 * What nodes that only know each other say and cost, in the simulator: `membership.ts "100 nodes" {"nodeSeconds":4000}`.
 * The last line it prints is JSON: figures a node and second of simulated time.
 */
import process from "node:process";
import { createMediator } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { simulate } from "@catga/catga/testing";

/** How many simulated seconds nodes have to meet, and how many ms they go on before it is counted. */
const MEETING = 120;
const SETTLING = 10_000;

const [candidate = "", json = "{}"] = process.argv.slice(2);
/** The same for all sizes, so that the CPU time of each is told equally well. */
const { nodeSeconds } = JSON.parse(json) as { readonly nodeSeconds: number };
const size = Number.parseInt(candidate);

await simulate({ seed: 1 }, async (simulation) => {
  const network = simulation.network({ latency: [0.2, 5] });
  const nodes: Node[] = [];
  for (let at = 0; at < size; at++) {
    const runtime = simulation.runtime(`n${at}`);
    void joinCluster(createMediator({ handlers: [], runtime }), {
      node: `n${at}`,
      endpoint: `sim:n${at}`,
      backend: network.backend,
    }).then((node) => nodes.push(node));
  }
  const met = (): boolean => nodes.length === size && nodes.every((node) => node.members().length === size);
  for (let seconds = 0; !met(); seconds++) {
    if (seconds > MEETING) throw new Error(`${size} nodes did not meet`);
    await simulation.run(1000);
  }
  await simulation.run(SETTLING);
  const before = network.stats;
  const cpu = process.cpuUsage();
  await simulation.run(nodeSeconds / size * 1000);
  const after = network.stats;
  const { user, system } = process.cpuUsage(cpu);
  console.log(JSON.stringify({
    frames: [(after.sent - before.sent) / nodeSeconds],
    bytes: [(after.size - before.size) / nodeSeconds],
    cpu: [(user + system) / nodeSeconds],
  }));
});
process.exit(0);
