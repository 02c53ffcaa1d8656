import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import type { DoneMarks } from "../consumer.ts";
import type { AppliedMark, RecordEntry } from "./record_entry.ts";
import type { Cause } from "./transaction.ts";

/** How many deliveries a record knows; then the older half of them leaves it. */
const KEPT = 64;

/** What marks of applied messages stand on. */
export interface AppliedHost {
  readonly runtime: Pick<Runtime, "crypto">;
  /** How long a message is known again, in ms by the store's clock. */
  readonly retention: number;
  readonly inbox: DoneMarks | undefined;
  /** Asks the store. */
  ask<T>(work: (store: Store, signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** What says that a message was applied for one of its handlers, in one of its steps. */
export function appliedMark({ id, delivery }: Cause, step: string | undefined): AppliedMark {
  const { group } = delivery ?? {};
  if (step !== undefined) return [id, group ?? "", step];
  return group === undefined ? [id] : [id, group];
}

/**
 * Whether a message was applied to a record. Looks at marks outside only after the record was read: a mark leaves a
 * record after there is one outside, so whoever read the record without it finds that one. Only a write over the very
 * entry that was read may follow.
 */
export async function wasApplied(
  host: AppliedHost,
  key: string,
  { applied, moved }: RecordEntry,
  mark: AppliedMark,
): Promise<boolean> {
  const text = textOf(mark);
  if (applied.some((other) => textOf(other) === text)) return true;
  if (!moved) return false;
  if (await isDone(host, mark)) return true;
  const place = await placeOf(host, key, mark);
  return await host.ask((store, signal) => store.get(place, { signal })) !== undefined;
}

/** A record's marks with one more, and whether some have left it: those whose delivery is done, and those kept outside. */
export async function withMark(
  host: AppliedHost,
  key: string,
  { applied, moved }: RecordEntry,
  mark: AppliedMark | undefined,
): Promise<Pick<RecordEntry, "applied" | "moved">> {
  if (mark === undefined) return { applied, moved };
  if (applied.length < KEPT) return { applied: [...applied, mark], moved };
  const leaving = applied.slice(0, KEPT / 2);
  await Promise.all(leaving.map(async (old) => {
    if (await isDone(host, old)) return;
    const place = await placeOf(host, key, old);
    const { retention: ttl } = host;
    await host.ask((store, signal) => store.put(place, "", { ttl, signal }));
  }));
  return { applied: [...applied.slice(KEPT / 2), mark], moved: true };
}

async function isDone(host: AppliedHost, [id, group = ""]: AppliedMark): Promise<boolean> {
  const { inbox } = host;
  return group !== "" && inbox !== undefined && await host.ask(() => inbox.seen(group, id));
}

async function placeOf({ runtime }: AppliedHost, key: string, mark: AppliedMark): Promise<string> {
  return `applied/${await runtime.crypto.hash(`${key}\n${textOf(mark)}`)}`;
}

function textOf(mark: AppliedMark): string {
  return JSON.stringify(mark);
}
