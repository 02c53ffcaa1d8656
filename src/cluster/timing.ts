import type { ClusterOptions, Timing } from "./types.ts";

const PROFILES: Readonly<Record<"fast" | "default" | "relaxed", Timing>> = {
  fast: { heartbeat: 200, timeout: 1000 },
  default: { heartbeat: 1000, timeout: 5000 },
  relaxed: { heartbeat: 10_000, timeout: 30_000 },
};

/** The timing that options ask for. Throws a `RangeError` for numbers that cannot work together. */
export function readTiming(option: NonNullable<ClusterOptions["timing"]>, id: string): Required<Timing> {
  const { heartbeat, timeout, probe = Math.min(heartbeat, timeout / 5) } = typeof option === "object"
    ? option
    : PROFILES[option];
  const refused = (why: string) =>
    new RangeError(
      `Cannot join as "${id}": heartbeat ${heartbeat} ms, timeout ${timeout} ms, probe ${probe} ms: ${why}`,
    );
  if (!(heartbeat > 0)) throw refused("the heartbeat must be above 0");
  if (!(timeout >= 2 * heartbeat)) throw refused("the timeout must be twice the heartbeat or more");
  // One wait for the node itself, half as long again for those who ask it, and as much at least for its objection.
  if (!(probe > 0 && probe <= timeout / 3)) {
    throw refused("the probe must be above 0 and at most a third of the timeout");
  }
  return { heartbeat, timeout, probe };
}
