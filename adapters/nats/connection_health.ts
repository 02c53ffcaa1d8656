import { within } from "../../src/internal/within.ts";
import type { Link } from "./link.ts";

/** How it stands with a connection, by a round trip to its server. */
export interface NatsHealth {
  /** Whether the server has answered. */
  readonly healthy: boolean;
  /** Why not. */
  readonly reason?: string;
  /** How long it took to answer, in ms. */
  readonly rtt?: number;
  /** Which server it is. */
  readonly server?: string;
  /** Its version. */
  readonly version?: string;
}

/** Asks the server whether it is there, for so many ms at most. Never rejects. */
export async function healthOf(link: Link, timeout: number): Promise<NatsHealth> {
  const { connection, runtime: { clock } } = link;
  if (connection.isClosed()) return { healthy: false, reason: "the connection is closed for good" };
  if (!link.up) return { healthy: false, reason: "no server is reached just now" };
  const begun = clock.mono();
  let answered: boolean | undefined;
  const asked = connection.flush().then(() => void (answered = true), () => void (answered = false));
  await within(clock, asked, timeout);
  if (answered === undefined) {
    return { healthy: false, reason: `the server did not answer within ${timeout} ms` };
  }
  if (!answered) return { healthy: false, reason: "the connection was lost" };
  const { server_name: server = "", version = "" } = connection.info ?? {};
  return { healthy: true, rtt: clock.mono() - begun, server, version };
}
