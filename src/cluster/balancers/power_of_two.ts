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
    const count = candidates.length;
    if (count < 2) return candidates[0];
    // One lot for all three questions, as lots can cost more than everything else here.
    let lot = below(count * (count - 1) * TRY_AGAIN, chance);
    const one = lot % count;
    lot = Math.floor(lot / count);
    const other = lot % (count - 1);
    const first = candidates[one]!;
    if (lot < count - 1) return first;
    const second = candidates[other < one ? other : other + 1]!;
    return waitAt(second, first) < waitAt(first, second) ? second : first;
  };
}

function waitAt({ latency, inFlight, weight }: RouteTarget, other: RouteTarget): number {
  return (latency || other.latency || 1) * (inFlight + 1) / weight;
}
