import type { Router } from "../../message/route.ts";

/** Asks one router after the other until one of them picks a node. */
export function firstOf(...routers: readonly Router[]): Router {
  return (call, candidates) => {
    for (const router of routers) {
      const picked = router(call, candidates);
      if (picked !== undefined) return picked;
    }
    return undefined;
  };
}
