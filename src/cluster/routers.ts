import type { Router } from "../message/route.ts";

/**
 * Takes the nodes in turn, for each kind of message by itself and beginning with the sending node. The order is
 * that of the candidates, so all of them get the same share while none comes or goes.
 */
export function roundRobin(): Router {
  const turns = new Map<string, number>();
  return ({ type }, candidates) => {
    const turn = turns.get(type) ?? Math.max(candidates.findIndex((candidate) => candidate.local), 0);
    turns.set(type, turn + 1);
    return candidates[turn % candidates.length];
  };
}

/** Stays on the sending node where that serves the message, and saves the way; otherwise asks another router. */
export function localFirst(otherwise: Router = roundRobin()): Router {
  return (call, candidates) => candidates.find((candidate) => candidate.local) ?? otherwise(call, candidates);
}
