/** What an import of each entry, and of each peer, adds to a bundle. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { bench } from "../lib/processes.mjs";

const ALL = "mediator + cluster + HTTP backend";

/** Kilobytes gzipped that the issue allows. */
export const wanted = { ".": 6, [ALL]: 20 };

const peers = {
  "mediatr-ts":
    `export { Mediator, NotificationData, notificationHandler, RequestData, requestHandler } from "mediatr-ts";`,
  Hono: `export { Hono } from "hono";`,
  Effect: `import { Context, Effect } from "effect";
    export default [Effect.runPromiseWith, Effect.sync, Effect.flatMap, Effect.forEach, Context.Service, Context.make];`,
  "oRPC server": `export { createRouterClient, os } from "@orpc/server";`,
  moleculer: `export { ServiceBroker } from "moleculer";`,
  "@nestjs/cqrs + core": `export { CqrsModule } from "@nestjs/cqrs";
    export { NestFactory } from "@nestjs/core"; import "reflect-metadata";`,
};

// What Nest loads only where it is installed.
const optional = [
  "@nestjs/microservices",
  "@nestjs/microservices/*",
  "@nestjs/platform-express",
  "@nestjs/websockets/*",
  "class-transformer",
  "class-validator",
];

/** Bytes by name: `{ catga: { entry: { min, gzip } }, peers: { … } }`. */
export function sizes(bun) {
  const { exports } = JSON.parse(readFileSync(join(bench, "../deno.json"), "utf8"));
  const path = (entry) => JSON.stringify(join(bench, "..", exports[entry]));
  const catga = {
    [ALL]: [".", "./cluster", "./http"].map((entry) => `export * from ${path(entry)};`).join("\n"),
  };
  for (const entry of Object.keys(exports)) {
    catga[entry] = `export * from ${path(entry)};`;
  }
  const each = (sources) =>
    Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, bundled(bun, source)]));
  return { catga: each(catga), peers: each(peers) };
}

function bundled(bun, source) {
  const folder = join(bench, ".out/size");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "entry.mjs"), source);
  const apart = source.includes('from "/') ? ["hono", "hono/*", "@hono/node-server", "undici"] : [];
  const external = [...apart, ...optional].flatMap((name) => ["--external", name]);
  const args = ["build", "--minify", "--target=node", "--outfile", join(folder, "out.mjs"), ...external];
  const { status, stderr } = spawnSync(bun, [...args, join(folder, "entry.mjs")], {
    cwd: bench,
    encoding: "utf8",
  });
  if (status !== 0) {
    return { error: stderr.trim().split("\n").slice(0, 3).join(" ") };
  }
  const code = readFileSync(join(folder, "out.mjs"));
  return { min: code.length, gzip: gzipSync(code, { level: 9 }).length };
}
