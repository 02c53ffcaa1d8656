import { agreed, HEARTBEAT, knows, stateOf, withLinkedNodes } from "./fault_cluster.ts";
import { Report } from "./report.ts";

/** How a node is cut off from all others. */
export type CutOff = "silent" | "refused";

/** How long views may differ after a cut has healed, in ms. */
const HEAL = 2000 + HEARTBEAT;

/** Cuts one node after the other off until all have declared the other side dead. */
export async function cutOff(
  { cuts }: { readonly cuts: readonly CutOff[] },
  note: (text: string) => void,
): Promise<Report> {
  const report = new Report("one of three nodes cut off");
  const declared: number[] = [];
  const healed: number[] = [];
  const led: string[] = [];
  await withLinkedNodes(async (nodes, link) => {
    for (const [at, how] of cuts.entries()) {
      const victim = at % nodes.length;
      note(`${nodes[victim]!.name} cut off, ${how}`);
      const others = [...nodes.keys()].filter((at) => at !== victim);
      const ways = others.flatMap((at) => [link(at, victim), link(victim, at)]);
      const began = Date.now();
      await Promise.all(ways.map((way) => way.set(how)));
      await knows(nodes[victim]!, "is alone", ({ members }) => members.length === 1);
      for (const at of others) {
        await knows(nodes[at]!, "declares it dead", ({ members }) => members.length === others.length);
      }
      const buried = Date.now();
      await Promise.all(ways.map((way) => way.set("open")));
      await agreed(nodes);
      declared.push(buried - began);
      healed.push(Date.now() - buried);
      const leaders = await Promise.all(nodes.map(async (node) => (await stateOf(node))?.leader ?? "nobody"));
      if (new Set(leaders).size > 1) led.push(leaders.join(", "));
    }
  });
  report.tell("cuts", cuts.length);
  report.times("until all declared the other side dead", declared);
  report.times("from healing to one view", healed, HEAL);
  report.none("views of different leaders after that", led);
  return report;
}
