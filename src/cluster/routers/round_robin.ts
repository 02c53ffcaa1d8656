import type { Router } from "../../message/route.ts";

/**
 * Takes the nodes in turn, for each kind of message by itself and beginning with the sending node. The order is
 * that of the candidates, so all of them get the same share while none comes or goes.
 */
export function roundRobin(): Router {
  const turns = new Map<string, number>();
  return ({ type, peek }, candidates) => {
    const turn = turns.get(type) ?? Math.max(candidates.findIndex((candidate) => candidate.local), 0);
    if (peek !== true) turns.set(type, turn + 1);
    return candidates[turn % candidates.length];
  };
}
