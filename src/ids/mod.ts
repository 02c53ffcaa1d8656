/**
 * Ids that are unique and ordered by time: of 64 bits for workers that have a number, UUIDs for everyone else.
 *
 * @example
 * ```ts
 * import { snowflake } from "@catga/catga/ids";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const ids = snowflake({ clock: systemRuntime().clock, worker: 1 });
 * const id = ids.next();
 * console.log(id, ids.parse(id));
 * ```
 *
 * @module
 */
export { layouts, type SnowflakeLayout, type SnowflakeLayouts } from "./layout.ts";
export type { LeasedWorker } from "./leased_worker.ts";
export { type ParseOptions, parseSnowflake, type SnowflakeParts } from "./parse.ts";
export { type Snowflake, snowflake, type SnowflakeOptions } from "./snowflake.ts";
export { snowflakeText } from "./text.ts";
export { uuidv7, type Uuidv7Options, uuidv7Time } from "./uuidv7.ts";
