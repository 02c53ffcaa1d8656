/**
 * Keeps everything in one SQLite file.
 *
 * @module
 */
export { sqlite, type SqliteOptions, type SqliteStorage } from "./sqlite.ts";
