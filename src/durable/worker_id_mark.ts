import type { Entry } from "../ports/store.ts";

/** What is kept of a worker for as long as there are ids: up to when its ids may reach. */
export interface WorkerMark {
  /** No id of this ms or later has been made, in ms since 1970. */
  readonly until: number;
  /** The token of the lease of who wrote it. */
  readonly token: number;
}

/** The mark in an entry: one of nobody where there is no entry, `undefined` where something else is kept. */
export function markOf(entry: Entry | undefined): WorkerMark | undefined {
  if (entry === undefined) return { until: 0, token: 0 };
  try {
    const { until, token } = JSON.parse(entry.value) as Partial<WorkerMark>;
    return Number.isSafeInteger(until) && Number.isSafeInteger(token)
      ? { until: until!, token: token! }
      : undefined;
  } catch {
    return undefined;
  }
}
