import type { Entry } from "../ports/store.ts";

/** Who has a lease, as the store says. */
export interface LeaseHolder {
  /** The name it was acquired under. */
  readonly owner: string;
  /** Its fencing token. */
  readonly token: number;
}

/** What is kept under the key of a lease. */
export interface LeaseRecord {
  readonly owner: string;
  /** Tells one attempt to acquire it from all others, also of the same owner. */
  readonly id: string;
  /** Left out in the first writing, whose revision is the token. */
  readonly token?: number;
}

/**
 * Who has the lease that is kept in this entry; `undefined` if it keeps none.
 *
 * @example
 * ```ts
 * import { leaseHolder } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 *
 * const store = memoryStore({ clock: systemRuntime().clock });
 * console.log(leaseHolder(await store.get("leases/report"))?.owner ?? "nobody");
 * ```
 */
export function leaseHolder(entry: Entry | undefined): LeaseHolder | undefined {
  const record = recordOf(entry);
  return record && { owner: record.owner, token: tokenOf(entry!, record) };
}

/** The record in an entry; `undefined` if it is none. */
export function recordOf(entry: Entry | undefined): LeaseRecord | undefined {
  if (entry === undefined) return undefined;
  try {
    const { owner, id, token } = JSON.parse(entry.value) as Partial<LeaseRecord>;
    if (typeof owner !== "string" || typeof id !== "string") return undefined;
    return Number.isSafeInteger(token) ? { owner, id, token: token! } : { owner, id };
  } catch {
    return undefined;
  }
}

/** The fencing token of the lease in an entry. */
export function tokenOf(entry: Entry, record: LeaseRecord): number {
  return record.token ?? entry.revision;
}
