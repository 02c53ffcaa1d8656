import type { RouteCall, RouteTarget } from "@catga/catga";

/** The node that is sending. */
export function here<T extends RouteTarget>(_: RouteCall, nodes: readonly T[]): T | undefined {
  return nodes.find((node) => node.local) ?? nodes[0];
}

/** The same node for the same key as long as it is there: the one that scores highest with it. */
export function keeper<T extends RouteTarget>({ key }: RouteCall, nodes: readonly T[]): T | undefined {
  let best: T | undefined;
  let highest = -1;
  for (const node of nodes) {
    const score = scoreOf(`${key}/${node.id}`);
    if (score > highest) [best, highest] = [node, score];
  }
  return best;
}

/** FNV-1a, with its bits mixed once more: names that differ in their last letter should not be neighbours. */
function scoreOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return (hash ^ (hash >>> 16)) >>> 0;
}
