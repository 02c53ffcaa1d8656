import type { Store } from "../../ports/store.ts";
import type { Asked } from "../ask_store.ts";
import { parseJson } from "../../internal/safe_json.ts";

/** How far a projection has come. */
export interface Progress {
  /** How often it was begun anew. */
  readonly generation: number;
  /** The position of the last event that it is done with. */
  readonly position: number;
  /** Whether what it made before it was begun anew is still there. */
  readonly sweeping: boolean;
}

/** Progress as it is kept. */
export interface Checkpoint extends Progress {
  /** The revision of its entry. */
  readonly revision: number | undefined;
}

/** Whatever asks the store within the time that it may take. */
export type AskStore = <T>(ask: (signal: AbortSignal) => Promise<T>, asked?: Asked) => Promise<T>;

/** Where a projection keeps how far it has come. */
export function checkpointKey(name: string): string {
  return `projections/${name}/at`;
}

/** How far a projection has come. */
export async function readCheckpoint(name: string, store: Store, ask: AskStore): Promise<Checkpoint> {
  const entry = await ask((signal) => store.get(checkpointKey(name), { signal }));
  if (entry === undefined) return { generation: 0, position: 0, sweeping: false, revision: undefined };
  const { g, p, sweep = false } = parseJson(entry.value) as { g: number; p: number; sweep?: boolean };
  return { generation: g, position: p, sweeping: sweep, revision: entry.revision };
}

/** Writes how far it has come over what was read. Rejects with `CONFLICT` where something else was written meanwhile. */
export async function writeCheckpoint(
  name: string,
  store: Store,
  ask: AskStore,
  progress: Progress,
  over: Checkpoint,
): Promise<Checkpoint> {
  const { generation: g, position: p, sweeping } = progress;
  const value = JSON.stringify(sweeping ? { g, p, sweep: true } : { g, p });
  const expected = over.revision ?? "absent";
  const revision = await ask((signal) => store.put(checkpointKey(name), value, { expected, signal }));
  return { generation: g, position: p, sweeping, revision };
}
