import { CatgaError, systemFault } from "../result.ts";
import type { Store } from "../ports/store.ts";

/** What is given to whatever keeps what must not be lost. */
export interface KeptIn {
  /** Where it is kept. */
  readonly store: Pick<Store, "durability">;
  /** Whether it may be lost nevertheless. */
  readonly unsafe?: boolean | undefined;
}

/**
 * Refuses a store of which nothing survives. Throws `CONFLICT`.
 *
 * @param what what cannot be done with it, such as `keep "orders"`
 * @param lost what would be lost
 */
export function refuseUnkept(what: string, lost: string, { store, unsafe }: KeptIn): void {
  if (store.durability !== "none" || unsafe === true) return;
  const message = `Cannot ${what}: nothing of its store survives the end of the process; ` +
    `choose one that keeps things, such as that of sqlite(), or set unsafe: true and let ${lost} be lost`;
  throw new CatgaError(systemFault("CONFLICT", message));
}
