/**
 * What nodes keep in Redis, over HTTP or by a client that is there.
 *
 * @module
 */
export { type Commander, type CommandOptions } from "./commander.ts";
export type { Script } from "./scripts.ts";
export type { Reply } from "./wire.ts";
