import type { Router } from "../../message/route.ts";
import { type Chance, unit } from "./draw.ts";

/** Draws a node for each call, by the nodes' weights. Needs no memory, and senders never move in step. */
export function random(chance: Chance): Router {
  return (_call, candidates) => {
    let total = 0;
    for (const { weight } of candidates) total += weight;
    let lot = unit(chance) * total;
    for (const candidate of candidates) {
      lot -= candidate.weight;
      if (lot < 0) return candidate;
    }
    return candidates.at(-1);
  };
}
