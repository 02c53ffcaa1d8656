import { Hono } from "hono";
import type { Dispatcher } from "../../src/mediator/types.ts";
import type { Runtime } from "../../src/ports/runtime.ts";
import { systemRuntime } from "../../src/ports/system_runtime.ts";
import type { Route } from "../client/mod.ts";
import { openapi, type OpenApiOptions } from "./openapi.ts";
import { answerProblem, faultOfThrown, problemOf, refusal } from "./problem.ts";
import { serveRoute, type Serving } from "./serve_route.ts";

/** What {@linkcode routes} takes beside the table. */
export interface RoutesOptions {
  /** The longest a command or query may take, in ms. Streams have the limit of their route or contract. @default 30000 */
  readonly timeout?: number;
  /** The largest body that is read, in bytes. @default 1048576 */
  readonly bodyLimit?: number;
  /** The longest silence of a stream, in ms; then a comment is sent. @default 15000 */
  readonly heartbeat?: number;
  /** The request headers that travel with the message. @default traceparent, tracestate, x-correlation-id */
  readonly headers?: readonly string[];
  /** Serves the table's OpenAPI document under `/openapi.json`. */
  readonly openapi?: OpenApiOptions;
  /** Where timers and the log come from. @default systemRuntime() */
  readonly runtime?: Runtime;
}

const HEADERS = ["traceparent", "tracestate", "x-correlation-id"];

/**
 * Serves a table of routes: commands and queries answer JSON, streams server-sent events, events 202. Every failure is
 * `application/problem+json`.
 *
 * The Hono app that comes back runs as it is or mounted in another one with `other.route("/api", app)`; what no route
 * matches is then the other app's to answer. Throws a `RangeError` if two routes claim the same requests.
 */
export function routes(app: Dispatcher, table: readonly Route[], options: RoutesOptions = {}): Hono {
  const { timeout = 30_000, bodyLimit = 1 << 20, heartbeat = 15_000, headers = HEADERS } = options;
  const { runtime = systemRuntime() } = options;
  for (const [name, value] of Object.entries({ timeout, bodyLimit, heartbeat })) {
    if (!(value > 0)) throw new RangeError(`Cannot serve routes: ${name} is ${value}, but must be above 0`);
  }
  refuseDoubles(table);
  const names = headers.map((name) => name.toLowerCase());
  const serving: Serving = { app, runtime, timeout, bodyLimit, heartbeat, headers: names };
  const server = new Hono();

  if (options.openapi !== undefined) {
    const document = openapi(table, options.openapi);
    server.get("/openapi.json", (context) => context.json(document));
  }
  for (const entry of table) server.on(entry.method, entry.path, serveRoute(entry, serving));
  for (const path of new Set(table.map((entry) => entry.path))) {
    const allow = methodsAt(path, table);
    server.all(path, () => answerProblem(refusal(405, "The path does not take this method"), { allow }));
  }
  server.notFound(() => answerProblem(refusal(404, "There is nothing under this path")));
  server.onError((error, { req }) => {
    const message = `${req.method} ${req.routePath} failed`;
    runtime.log({ level: "error", event: "http.failed", message, fields: { cause: error } });
    return answerProblem(problemOf(faultOfThrown(error), undefined));
  });
  return server;
}

function methodsAt(path: string, table: readonly Route[]): string {
  const methods = new Set<string>();
  for (const entry of table) {
    if (!covers(entry.path.split("/"), path.split("/"))) continue;
    methods.add(entry.method);
    if (entry.method === "GET") methods.add("HEAD");
  }
  return [...methods].sort().join(", ");
}

function covers(wide: readonly string[], path: readonly string[]): boolean {
  return wide.length === path.length &&
    wide.every((segment, at) => segment.startsWith(":") || segment === path[at]);
}

function refuseDoubles(table: readonly Route[]): void {
  const seen = new Map<string, Route>();
  for (const entry of table) {
    const shape = `${entry.method} ${entry.path.replace(/:\w+/g, ":")}`;
    const other = seen.get(shape);
    seen.set(shape, entry);
    if (other === undefined) continue;
    const names = `"${other.contract.type}" and "${entry.contract.type}"`;
    throw new RangeError(`Cannot serve ${entry.method} ${entry.path}: ${names} both claim it`);
  }
}
