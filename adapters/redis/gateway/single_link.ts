import { createClient, RESP_TYPES } from "@redis/client";
import { Buffer } from "node:buffer";
import type { Runtime } from "../../../src/ports/runtime.ts";
import type { Format, RawReply } from "./answers.ts";
import type { RedisLink } from "./link.ts";
import { connected, lossLog, orRefused, settled, transacted } from "./link_answers.ts";
import { clientOptions, subscribeBy } from "./link_client.ts";

/**
 * Connects to a Redis. Rejects with `UNAVAILABLE` when it is not reached in time; later it goes on looking for it.
 *
 * @param timeout how long reaching it may take, in ms
 * @param limit how many commands may wait for an answer
 */
export async function openRedis(
  url: string,
  runtime: Runtime,
  timeout: number,
  limit: number,
): Promise<RedisLink> {
  const base = createClient({ url, RESP: 2 as const, ...clientOptions(timeout, limit) });
  const log = lossLog(runtime);
  base.on("error", log.lost);
  base.on("ready", log.found);
  await connected(base, runtime, timeout);
  const bytes = base.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  const clientFor = (format: Format) => format === "json" ? base : bytes;

  return {
    send: (commands, format) => {
      const client = clientFor(format);
      return settled(commands.map((words) => client.sendCommand(words as string[]) as Promise<RawReply>));
    },
    transact: (commands, format) => orRefused(transacted(clientFor(format), commands)),
    subscribe: async (channels, patterns, told, lost) => {
      const own = base.duplicate({ disableOfflineQueue: false, socket: { reconnectStrategy: false } });
      return await subscribeBy(own, runtime, timeout, { channels, patterns, told, lost });
    },
    [Symbol.asyncDispose]: () => {
      if (base.isOpen) base.destroy();
      return Promise.resolve();
    },
  };
}
