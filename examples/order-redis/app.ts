import type { Dispatcher } from "@catga/catga";
import { health, type HealthSource, mount, type Mountable, routes } from "@catga/catga/hono";
import { Hono } from "hono";
import { api } from "./contracts.ts";

/**
 * The doors of a node: health checks and the other nodes find it from the beginning, so that it can join, and the shop
 * is served once it has.
 */
export function createApp(
  node: () => Dispatcher & HealthSource | undefined,
  backend: Mountable,
): (request: Request) => Response | Promise<Response> {
  const doors = new Hono().route("/", health(node)).route("/", mount(backend));
  let all: Hono | undefined;
  return (request) => {
    const joined = node();
    if (joined === undefined) return doors.fetch(request);
    all ??= routes(joined, api, { headers: ["idempotency-key", "x-correlation-id"] }).route("/", doors);
    return all.fetch(request);
  };
}
