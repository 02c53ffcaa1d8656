import type { Router } from "../../message/route.ts";

/** Takes one node by its name, and no other: `UNAVAILABLE` where that does not serve the message or is not there. */
export function toNode(id: string): Router {
  return (_call, candidates) => candidates.find((candidate) => candidate.id === id);
}
