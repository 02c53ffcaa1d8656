import type { NodeRecord } from "./record.ts";
import type { Member } from "./types.ts";

/** What one node knows of another, or of itself. */
export interface Known {
  readonly local: boolean;
  record: NodeRecord;
  /** When there was news of it last, by the wall clock, for people. */
  seen: number;
  /** Whether it answered this node when it was asked last. */
  reachable: boolean;
  /** Since when it is under suspicion, by the monotonic clock, in ms. */
  suspected: number | undefined;
}

/** The same for whoever asks this node. */
export function memberOf({ local, record, seen, reachable, suspected }: Known): Member {
  const { revision: _revision, seq: _seq, standing: _standing, ...facts } = record;
  return { ...facts, local, reachable, suspected: suspected !== undefined, lastSeen: seen };
}
