import type { Router } from "../../message/route.ts";

/** As many nodes as are remembered before those that are no candidates are forgotten. */
const MOST_REMEMBERED = 1024;

/**
 * Takes the nodes in turn by their weights, for each kind of message by itself: of four calls a node of weight 3
 * gets three beside one of weight 1, spread out and not in a row (the smooth weighted round robin of nginx, 2012).
 */
export function weightedRoundRobin(): Router {
  const byType = new Map<string, Map<string, number>>();
  return ({ type, peek }, candidates) => {
    let credits = byType.get(type);
    if (credits === undefined) byType.set(type, credits = new Map());
    const first = Math.max(candidates.findIndex((candidate) => candidate.local), 0);
    let best = candidates[first];
    let most = -Infinity;
    let total = 0;
    for (let n = 0; n < candidates.length; n++) {
      const candidate = candidates[(first + n) % candidates.length]!;
      const credit = (credits.get(candidate.id) ?? 0) + candidate.weight;
      total += candidate.weight;
      if (peek !== true) credits.set(candidate.id, credit);
      if (credit <= most) continue;
      most = credit;
      best = candidate;
    }
    if (best === undefined || peek === true) return best;
    credits.set(best.id, most - total);
    if (credits.size > MOST_REMEMBERED + candidates.length) {
      const ids = new Set(candidates.map(({ id }) => id));
      for (const id of credits.keys()) if (!ids.has(id)) credits.delete(id);
    }
    return best;
  };
}
