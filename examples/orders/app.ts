import { toJsonSchema } from "@valibot/to-json-schema";
import type { Dispatcher } from "@catga/catga";
import { health, type HealthSource, mount, type Mountable, routes } from "@catga/catga/hono";
import { Hono } from "hono";
import { api } from "./api.ts";

/** What a node is, for its doors. */
export interface Inside {
  /** Answers the orders' routes; `undefined` as long as the node has not joined. */
  readonly node: () => Dispatcher | undefined;
  readonly health: () => HealthSource | undefined;
  /** What other nodes speak to. */
  readonly backend: Mountable;
}

/**
 * The doors of a node. Health checks and the other nodes find it from the beginning, so that it can join; the orders
 * are served once it has.
 */
export function createApp(inside: Inside): (request: Request) => Response | Promise<Response> {
  const doors = new Hono().route("/", health(inside.health)).route("/", mount(inside.backend));
  let all: Hono | undefined;
  return (request) => {
    const node = inside.node();
    if (node === undefined) return doors.fetch(request);
    all ??= routes(node, api, {
      headers: ["idempotency-key", "traceparent", "tracestate", "x-correlation-id"],
      openapi: {
        title: "Orders",
        version: "1.0.0",
        toJsonSchema: (schema, side) => toJsonSchema(schema, { typeMode: side }),
      },
    }).route("/", doors);
    return all.fetch(request);
  };
}
