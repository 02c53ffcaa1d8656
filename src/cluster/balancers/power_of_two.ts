import type { Router, RouteTarget } from "../../message/route.ts";
import { below, type Chance } from "./draw.ts";

/** One call in so many goes to whichever node is drawn, so that what is known of a node that was slow is renewed. */
const TRY_AGAIN = 32;

/**
 * Draws two nodes and takes the one that will likely answer first: the lower latency times calls under way, for
 * its weight (two choices, Mitzenmacher 2001). A node whose latency is not known yet is taken to be as fast as the
 * other. Nearly as good as knowing all, and senders with the same figures do not all meet at one node.
 */
export function powerOfTwo(chance: Chance): Router {
  return (_call, candidates) => {
    const one = below(candidates.length, chance);
    const first = candidates[one];
    if (first === undefined || candidates.length === 1) return first;
    const other = below(candidates.length - 1, chance);
    const second = candidates[other < one ? other : other + 1]!;
    if (below(TRY_AGAIN, chance) === 0) return first;
    return waitAt(second, first) < waitAt(first, second) ? second : first;
  };
}

function waitAt({ latency, inFlight, weight }: RouteTarget, other: RouteTarget): number {
  return (latency || other.latency || 1) * (inFlight + 1) / weight;
}
