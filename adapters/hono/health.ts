import { Hono } from "hono";
import type { ClusterHealth } from "../../src/cluster/health_types.ts";
import type { Status } from "../../src/cluster/types.ts";
import { answerProblem, problemOf } from "./problem.ts";
import { systemFault } from "../../src/result.ts";

/** A node as far as health checks look at it. */
export interface HealthSource {
  health(): ClusterHealth;
  readonly status: Status;
}

/**
 * Health checks: `/health` tells what the node knows of its cluster, `/health/live` answers 200 as long as the process
 * answers at all, `/health/ready` answers 200 only while the node takes calls and 503 otherwise.
 *
 * @param source the node; a function where the app is there before the node has joined. Without a node the process is
 * always ready and `/health` answers 404.
 *
 * @example
 * ```ts
 * import { health } from "@catga/catga/hono";
 *
 * const response = await health(undefined).request("/health/live");
 * console.log(response.status); // 200
 * ```
 */
export function health(source: HealthSource | (() => HealthSource | undefined) | undefined): Hono {
  const current = (): HealthSource | undefined => typeof source === "function" ? source() : source;
  const status = (): Status => source === undefined ? "ready" : current()?.status ?? "joining";
  const app = new Hono();
  app.get("/health/live", () => answer(200, { status: "live" }));
  app.get("/health/ready", () => {
    const now = status();
    return answer(now === "ready" ? 200 : 503, { status: now });
  });
  app.get("/health", () => {
    const node = current();
    const missing = source === undefined ? "NO_HANDLER" : "UNAVAILABLE";
    return node === undefined
      ? answerProblem(problemOf(systemFault(missing, "No node"), undefined))
      : answer(200, shape(node.health()));
  });
  return app;
}

/** Field by field, so that what a node may know besides stays inside. */
function shape({ currentNode, totalNodes, onlineNodes, nodes }: ClusterHealth): unknown {
  const { nodeId, endpoint, lastSeen, load, isOnline } = currentNode;
  return {
    currentNode: { nodeId, endpoint, lastSeen, load, isOnline },
    totalNodes,
    onlineNodes,
    nodes: nodes.map(({ nodeId, endpoint, isOnline }) => ({ nodeId, endpoint, isOnline })),
  };
}

function answer(status: number, body: unknown): Response {
  return Response.json(body, { status, headers: { "cache-control": "no-store" } });
}
