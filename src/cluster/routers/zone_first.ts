import type { Router } from "../../message/route.ts";
import { Narrowed } from "./narrowed.ts";
import { roundRobin } from "./round_robin.ts";

/** Lets another router choose among the nodes of the sender's zone; among all of them where it has none there. */
export function zoneFirst(otherwise: Router = roundRobin()): Router {
  const zones = new Map<string, Narrowed>();
  return (call, candidates) => {
    const { zone } = call;
    if (zone === undefined) return otherwise(call, candidates);
    let narrowed = zones.get(zone);
    if (narrowed === undefined) {
      zones.set(zone, narrowed = new Narrowed((target) => target.zone === zone));
    }
    const near = narrowed.of(candidates);
    return (near.length === 0 ? undefined : otherwise(call, near)) ?? otherwise(call, candidates);
  };
}
