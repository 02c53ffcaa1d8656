import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";

const BUSY = 5;
const LOCKED = 6;
const CORRUPT = 11;
const FULL = 13;
const NOT_A_DATABASE = 26;

/** Deno says of some failures what they are in words alone. */
const TEXTS: readonly (readonly [pattern: RegExp, code: number])[] = [
  [/^(?:database is locked|database schema is locked)/, BUSY],
  [/^database disk image is malformed/, CORRUPT],
  [/^database or disk is full/, FULL],
  [/^unable to open database file/, 14],
  [/^attempt to write a readonly database/, 8],
  [/^file is not a database/, NOT_A_DATABASE],
  [/^disk I\/O error/, 10],
];

/** Which of SQLite's result codes something thrown stands for; `undefined` if it is none of SQLite's. */
export function sqliteCode(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const { errcode, errno, code } = thrown as { errcode?: unknown; errno?: unknown; code?: unknown };
  if (typeof errcode === "number") return errcode & 255;
  if (typeof code !== "string" || !code.includes("SQLITE")) return undefined;
  if (typeof errno === "number") return errno & 255;
  return TEXTS.find(([pattern]) => pattern.test(thrown.message))?.[1] ?? 1;
}

/** Whether another process has what is needed just now. */
export function isBusy(thrown: unknown): boolean {
  const code = sqliteCode(thrown);
  return code === BUSY || code === LOCKED;
}

/** Whether there is no room. */
export function isFull(thrown: unknown): boolean {
  return sqliteCode(thrown) === FULL;
}

/**
 * What an operation rejects with when SQLite failed.
 *
 * @param mayBeDone whether it failed while it was made durable, so that it may come back after a crash
 */
export function sqliteFault(what: string, path: string, thrown: unknown, mayBeDone: boolean): CatgaError {
  if (CatgaError.is(thrown)) return thrown;
  const found = sqliteCode(thrown);
  const [code, why] = found === undefined ? ["INTERNAL" as const, "the adapter failed"] : told(found);
  const message = `Cannot ${what} in "${path}": ${why} (${
    thrown instanceof Error ? thrown.message : thrown
  })`;
  return new CatgaError(
    systemFault(mayBeDone && code === "UNAVAILABLE" ? "TRANSPORT" : code, message, undefined, thrown),
  );
}

function told(code: number): readonly [SystemCode, string] {
  switch (code) {
    case BUSY:
    case LOCKED:
      return ["UNAVAILABLE", "others are writing to it all the time"];
    case FULL:
      return ["OVERLOADED", "it is as large as it may be, or the disk is full; make room or raise `bytes`"];
    case CORRUPT:
    case NOT_A_DATABASE:
      return [
        "UNAVAILABLE",
        "the file is damaged or no SQLite file; stop all that use it, keep a copy with its -wal, and put a backup " +
        "in its place or what `sqlite3 FILE .recover` gets out of it",
      ];
    case 3:
    case 8:
    case 14:
    case 23:
      return [
        "UNAVAILABLE",
        "it cannot be opened for writing; its directory has to exist and be writable too",
      ];
    default:
      return ["UNAVAILABLE", `SQLite failed with result ${code}`];
  }
}
