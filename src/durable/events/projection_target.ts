import type { Lease } from "../lease.ts";
import type { Recorded } from "./event_types.ts";

/** One run over some events, by whoever holds the lease. */
export interface TargetRun {
  readonly generation: number;
  readonly lease: Lease;
  /** Whether to stop before the next event. */
  readonly stopping: boolean;
  /** All up to this position is done with for good. Rejects when that could not be kept. */
  done(position: number): Promise<void>;
}

/** What a projection makes of events. */
export interface ProjectionTarget<E extends Recorded> {
  /** Whether something of earlier generations has to be swept away. */
  readonly sweeps: boolean;
  /**
   * Takes events in their order. May stop early where `run` says so. Rejects with an {@linkcode EventFailure} where an
   * event is at fault.
   */
  take(events: readonly E[], run: TargetRun): Promise<void>;
  /** Takes away what earlier generations left. */
  sweep(generation: number): Promise<void>;
}

/** What stops a projection at an event. */
export class EventFailure extends Error {
  override readonly name = "EventFailure";
  /** The position of the event. */
  readonly position: number;

  constructor(position: number, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.position = position;
  }
}
