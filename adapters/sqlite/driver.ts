import { CatgaError, systemFault } from "../../src/result.ts";

/** What a column holds. */
export type SqlValue = string | number | Uint8Array | null;

/** What came of a statement. */
export interface SqlDone {
  /** How many rows it has changed. */
  readonly changes: number | bigint;
  /** The row that it has inserted. */
  readonly lastInsertRowid: number | bigint;
}

/** A statement that was prepared. */
export interface SqlStatement<Row> {
  /** Runs it. */
  readonly run: (...values: readonly SqlValue[]) => SqlDone;
  /** The first row. */
  get(...values: readonly SqlValue[]): Row | undefined;
  /** All rows. */
  all(...values: readonly SqlValue[]): Row[];
}

/** One connection to a file. Everything is done at once; whatever fails throws. */
export interface SqlDatabase {
  prepare<Row = unknown>(sql: string): SqlStatement<Row>;
  close(): void;
}

interface HostStatement {
  run(...values: readonly SqlValue[]): SqlDone;
  get(...values: readonly SqlValue[]): unknown;
  all(...values: readonly SqlValue[]): unknown[];
  finalize?(): void;
}
interface HostDatabase {
  prepare(sql: string): HostStatement;
  close(): void;
}
interface BunModule {
  readonly Database: new (
    path: string,
    options: { readonly create: boolean; readonly readwrite: boolean },
  ) => HostDatabase;
}
interface NodeModule {
  readonly DatabaseSync: new (path: string) => HostDatabase;
}

/**
 * What opens files with the runtime's own SQLite: `bun:sqlite` on Bun, `node:sqlite` on Node and Deno. Rejects with
 * `VALIDATION` where there is none.
 *
 * @param isBun which of the two to ask for
 */
export async function loadDriver(
  isBun: boolean = ("Bun" in globalThis),
  load: (name: string) => Promise<unknown> = (name) => import(name),
): Promise<(path: string) => SqlDatabase> {
  const name = isBun ? "bun:sqlite" : "node:sqlite";
  const module = await load(name).catch((thrown: unknown) => {
    const message = `Cannot use SQLite: this runtime has no ${name}. Use Bun, Deno 2.2, Node 22.18 or newer`;
    throw new CatgaError(systemFault("VALIDATION", message, undefined, thrown));
  });
  if (isBun) {
    const { Database } = module as BunModule;
    return (path) => wrap(new Database(path, { create: true, readwrite: true }));
  }
  const { DatabaseSync } = module as NodeModule;
  return (path) => wrap(new DatabaseSync(path));
}

function wrap(host: HostDatabase): SqlDatabase {
  const prepared: HostStatement[] = [];
  return {
    prepare: <Row>(sql: string): SqlStatement<Row> => {
      const statement = host.prepare(sql);
      prepared.push(statement);
      return {
        // Handed on as it is: one more function in between costs as much as a small insert.
        run: statement.run.bind(statement),
        get: (...values) => (statement.get(...values) ?? undefined) as Row | undefined,
        all: (...values) => statement.all(...values) as Row[],
      };
    },
    close: () => {
      // Bun keeps a file open for as long as there are statements.
      for (const statement of prepared.splice(0)) statement.finalize?.();
      host.close();
    },
  };
}
