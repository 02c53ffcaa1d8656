import type { Router } from "../../message/route.ts";
import { roundRobin } from "./round_robin.ts";

/** Stays on the sending node where that serves the message, and saves the way; otherwise asks another router. */
export function localFirst(otherwise: Router = roundRobin()): Router {
  return (call, candidates) => candidates.find((candidate) => candidate.local) ?? otherwise(call, candidates);
}
