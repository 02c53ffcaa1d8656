import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import type { Asks } from "./asks.ts";
import { cannotConnect } from "./connection_fault.ts";
import type { NatsOptions } from "./connection_options.ts";
import type { JetStreamLink } from "./link.ts";

/** What a server says of an account that keeps nothing. */
const NOT_ENABLED = 10_039;

/** What the server keeps. One that has JetStream and does not answer must not pass for one without. */
export async function jetstreamOf(
  connection: NatsConnection,
  asks: Asks,
  { storage = true, replicas = 1 }: NatsOptions,
): Promise<JetStreamLink | undefined> {
  if (connection.info?.jetstream !== true || !storage) return undefined;
  let why: string | undefined;
  try {
    const answer = await asks.ask("$JS.API.INFO");
    const { error } = answer.json<{ error?: { err_code?: number; description?: string } }>();
    if (error?.err_code === NOT_ENABLED) return undefined;
    why = error?.description;
  } catch (thrown) {
    why = (thrown as Error).message;
  }
  if (why !== undefined) {
    throw cannotConnect(
      "UNAVAILABLE",
      `its JetStream does not answer (${why}). Set storage: false to go without what it keeps`,
    );
  }
  const manager = await jetstreamManager(connection, { checkAPI: false });
  return { client: jetstream(connection), manager, replicas };
}
