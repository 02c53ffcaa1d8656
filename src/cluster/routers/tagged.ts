import type { Router } from "../../message/route.ts";
import { Narrowed } from "./narrowed.ts";
import { roundRobin } from "./round_robin.ts";

/**
 * Lets another router choose among the nodes that have all of some tags, and goes to no other node: blue and green
 * stay apart. The tag `version` is the version a node was joined with, unless it has a tag of that name. To fall
 * back on other nodes, put it into `firstOf`: `firstOf(tagged({ colour: "green" }), roundRobin())`.
 */
export function tagged(tags: Readonly<Record<string, string>>, among: Router = roundRobin()): Router {
  const wanted = Object.entries(tags);
  const narrowed = new Narrowed(({ tags, version }) =>
    wanted.every(([name, value]) => (tags[name] ?? (name === "version" ? version : undefined)) === value)
  );
  return (call, candidates) => {
    const fitting = narrowed.of(candidates);
    return fitting.length === 0 ? undefined : among(call, fitting);
  };
}
