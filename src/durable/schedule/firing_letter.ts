import { CatgaError, systemFault } from "../../result.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import type { Frame } from "../../ports/transport.ts";
import { persist } from "./persist.ts";
import {
  CALLED_OFF,
  keyOfOnce,
  ONCE,
  type OnceEntry,
  onceOfId,
  readEntry,
  type Schedulable,
  writeEntry,
} from "./schedule_entry.ts";

/** Whose dead letters those are that could not be delivered at their time; no group of a queue is called so. */
export const SCHEDULES = "schedules";

/** What they came by; no event is called so. */
export function topicOfFiring(type: string): string {
  return `${SCHEDULES}/${type}`;
}

/** What could not be delivered, as its dead letter carries it. */
export interface KeptFiring {
  /** Names the firing. */
  readonly id: string;
  readonly message: Schedulable;
  readonly headers: Readonly<Record<string, string>> | undefined;
}

/** Writes what could not be delivered. */
export function writeFiring({ id, message: { kind, type, body }, headers }: KeptFiring): string {
  return JSON.stringify({ format: 1, id, message: { kind, type, body }, headers });
}

/** Reads it; `undefined` if it is none. */
export function readFiring(payload: Frame): KeptFiring | undefined {
  if (typeof payload !== "string") return undefined;
  try {
    const { format, id, message, headers } = JSON.parse(payload) as KeptFiring & { readonly format: number };
    const fits = format === 1 && typeof id === "string" && onceOfId(id) !== undefined &&
      typeof message.kind === "string" && typeof message.type === "string";
    return fits ? { id, message, headers } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Lets a scheduler deliver it once more, at once and under the id that it had; as `letter` it becomes a dead letter
 * again. Rejects with `CONFLICT` when something else was scheduled in its place.
 */
export async function fireAgain(
  { store, runtime }: { readonly store: Store; readonly runtime: Pick<Runtime, "clock" | "random"> },
  { id, message, headers }: KeptFiring,
  letter: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { time, name } = onceOfId(id)!;
  const key = keyOfOnce(ONCE, time, name);
  const value = writeEntry({ message, ...(headers && { headers }), letter });
  await persist({ runtime, signal }, async (signal) => {
    const there = await store.get(key, { signal });
    if (there === undefined) return void await store.put(key, value, { expected: "absent", signal });
    if (there.value === CALLED_OFF) {
      return void await store.put(key, value, { expected: there.revision, signal });
    }
    if (readEntry<OnceEntry>(there).letter === letter) return;
    const why = "something else is scheduled for its time under its name";
    throw new CatgaError(systemFault("CONFLICT", `Cannot replay "${id}": ${why}`));
  });
}
