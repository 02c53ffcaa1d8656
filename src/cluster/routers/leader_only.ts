import type { Router } from "../../message/route.ts";

/** Sends to the node that leads the cluster, if it serves the message; to nobody while none does. */
export function leaderOnly(): Router {
  return (_call, candidates) => candidates.find((candidate) => candidate.leader);
}
