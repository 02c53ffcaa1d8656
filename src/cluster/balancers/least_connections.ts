import type { Router, RouteTarget } from "../../message/route.ts";

/**
 * Takes the node with the fewest calls of this sender under way for its weight; of several, one after the other. A
 * slow node keeps its calls longer and so gets fewer. Needs no figures from the nodes.
 */
export function leastConnections(): Router {
  const turns = new Map<string, number>();
  return ({ type, peek }, candidates) => {
    let fewest = Infinity;
    let equals = 0;
    for (const candidate of candidates) {
      const calls = callsOf(candidate);
      if (calls === fewest) equals++;
      if (calls >= fewest) continue;
      fewest = calls;
      equals = 1;
    }
    const turn = turns.get(type) ?? Math.max(candidates.findIndex((candidate) => candidate.local), 0);
    if (peek !== true) turns.set(type, turn + 1);
    let left = turn % equals;
    return candidates.find((candidate) => callsOf(candidate) === fewest && left-- === 0);
  };
}

/** With one more, so that of idle nodes the one with the greatest weight comes first. */
function callsOf({ inFlight, weight }: RouteTarget): number {
  return (inFlight + 1) / weight;
}
