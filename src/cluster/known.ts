import { hasProven } from "./damping.ts";
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
  /** Whether it restarted too often lately to be given calls before it has stood for a while. */
  settling: boolean;
}

/** What is known of a node at first. */
export function knownOf(record: NodeRecord, seen: number, local: boolean): Known {
  return { local, record, seen, reachable: true, suspected: undefined, settling: false };
}

/** Takes note where a node has stood for a while by now. */
export function settles(known: Known): boolean {
  if (!known.settling || !hasProven(known.record.seq)) return false;
  known.settling = false;
  return true;
}

/** The same for whoever asks this node. */
export function memberOf({ local, record, seen, reachable, suspected }: Known): Member {
  const { revision: _revision, seq: _seq, standing: _standing, fit: _fit, ...facts } = record;
  return { ...facts, local, reachable, suspected: suspected !== undefined, lastSeen: seen };
}
