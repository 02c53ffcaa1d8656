import { CatgaError, systemFault } from "../result.ts";
import type { Written } from "../internal/entry_table.ts";
import { revisionConflict } from "./store_faults.ts";

/** The revision that came of a write to a table; throws what a store rejects with if none did. */
export function revisionOf(what: string, expected: number | "absent" | undefined, written: Written): number {
  if (written.type === "done") return written.revision;
  if (written.type === "conflict") throw revisionConflict(what, expected ?? "absent", written.found);
  throw new CatgaError(systemFault("OVERLOADED", `Cannot ${what}: the store is full`));
}
