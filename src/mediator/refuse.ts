import { CatgaError, systemFault } from "../result.ts";
import type { Contract } from "../message/contract.ts";

/** Throws `CONFLICT` where a second handler, or a second contract, claims a name. */
export function refuseConflict(named: ReadonlyMap<string, Contract>, contract: Contract): void {
  const other = named.get(contract.type);
  if (other === undefined) return;
  const several = contract.kind === "event" || contract.kind === "reliable";
  if (several && other === contract) return;
  const found = other === contract
    ? "it already has a handler"
    : `that name stands for another ${other.kind} too`;
  throw new CatgaError(systemFault("CONFLICT", `Cannot register "${contract.type}": ${found}`));
}

/** Throws `NO_HANDLER` for the first contract that nobody serves. Events need nobody. */
export function refuseMissing(named: ReadonlyMap<string, Contract>, contracts: readonly Contract[]): void {
  for (const contract of contracts) {
    if (named.get(contract.type)?.kind === contract.kind) continue;
    if (contract.kind === "event" || contract.kind === "reliable") continue;
    const message = `Cannot create the mediator: "${contract.type}" has no handler; add handle(…) for it`;
    throw new CatgaError(systemFault("NO_HANDLER", message));
  }
}
