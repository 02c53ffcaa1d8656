import { createClient, createCluster, ErrorReply, RESP_TYPES } from "@redis/client";
import { Buffer } from "node:buffer";
import type { Runtime } from "../../../src/ports/runtime.ts";
import type { Format, RawReply } from "./answers.ts";
import { askOwner } from "./cluster_owner.ts";
import { CommandTable } from "./command_table.ts";
import { type Answered, LinkLost, type RedisLink, type Words } from "./link.ts";
import { connected, lossLog, lostBy, orRefused, settled, transacted } from "./link_answers.ts";
import { clientOptions, subscribeBy } from "./link_client.ts";

/** How long a server may be away before the others are asked who has its slots, in ms. */
const AWAY = 1000;
/** Has texts come as bytes. */
const BYTES = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };

/**
 * Connects to a Redis Cluster by some of its servers. Rejects with `UNAVAILABLE` when it is not reached in time; later
 * it goes on looking for it, and for whoever has a slot.
 *
 * @param timeout how long reaching it may take, in ms
 * @param limit how many commands may wait for an answer of each server
 */
export async function openCluster(
  urls: readonly string[],
  runtime: Runtime,
  timeout: number,
  limit: number,
): Promise<RedisLink> {
  const options = clientOptions(timeout, limit);
  const { socket, ...login } = loginOf(urls[0]!);
  const defaults = { ...options, ...login, socket: { ...options.socket, ...socket } };
  const base = createCluster({
    rootNodes: urls.map((url) => ({ url })),
    defaults,
    RESP: 2 as const,
    commandOptions: options.commandOptions,
    topologyRefreshOnReconnectionAttemptStrategy: AWAY,
  });
  const log = lossLog(runtime);
  base.on("error", log.lost);
  base.on("node-error", log.lost);
  base.on("node-ready", log.found);
  await connected(base, runtime, timeout);
  const table = new CommandTable((commands) => settled(commands.map((words) => sendAnywhere(words))));

  /** Sends what has no key to a server that is there. */
  async function sendAnywhere(words: Words): Promise<RawReply> {
    const node = base.masters.find(({ client }) => client?.isReady) ?? base.getRandomNode();
    return await (await base.nodeClient(node)).sendCommand([...words] as string[], BYTES) as RawReply;
  }

  async function keyOf(words: Words): Promise<Words[number] | undefined> {
    if (isScript(words)) return Number(words[2]) > 0 ? words[3] : undefined;
    const { key = 0, isMovable = false } = await table.find(words) ?? {};
    if (key > 0 || !isMovable) return key > 0 ? words[key] : undefined;
    const found = await sendAnywhere(["COMMAND", "GETKEYS", ...words]).catch(() => []);
    return (found as readonly Buffer[])[0];
  }

  async function send(words: Words, key: Words[number] | undefined, format: Format): Promise<RawReply> {
    const all = [...words] as string[];
    try {
      return await base.sendCommand(key, false, all, typesOf(format)) as RawReply;
    } catch (thrown) {
      // Who is away must not spoil what others have answered.
      if (thrown instanceof ErrorReply || lostBy(thrown).sent) throw thrown;
      throw new ErrorReply("CLUSTERDOWN a server of the cluster is not reached; nothing was done");
    }
  }

  async function transact(commands: readonly Words[], format: Format): Promise<Answered[]> {
    const keys = (await Promise.all(commands.map(keyOf))).filter((key) => key !== undefined);
    const slots = new Set(await Promise.all(keys.map((key) => sendAnywhere(["CLUSTER", "KEYSLOT", key]))));
    if (slots.size > 1) throw new ErrorReply("CROSSSLOT Keys in request don't hash to the same slot");
    return await askOwner(
      base,
      String(keys[0] ?? ""),
      (owner) => transacted(owner, commands, typesOf(format)),
    );
  }

  return {
    send: async (commands, format) => {
      const keys = await Promise.all(commands.map(keyOf));
      return await settled(commands.map((words, at) => send(words, keys[at], format)));
    },
    transact: (commands, format) => orRefused(transact(commands, format)),
    subscribe: async (channels, patterns, told, lost) => {
      const node = base.masters.find(({ client }) => client?.isReady);
      if (node === undefined) throw new LinkLost(false);
      const { host, port } = node;
      const reached = { ...defaults.socket, host, port, reconnectStrategy: false as const };
      const own = createClient({
        ...defaults,
        disableOfflineQueue: false,
        RESP: 2 as const,
        socket: reached,
      });
      return await subscribeBy(own, runtime, timeout, { channels, patterns, told, lost });
    },
    [Symbol.asyncDispose]: () => {
      if (base.isOpen) base.destroy();
      return Promise.resolve();
    },
  };
}

function typesOf(format: Format): typeof BYTES | undefined {
  return format === "json" ? undefined : BYTES;
}

/** Whether it is a program of whoever sends it. */
function isScript(words: Words): boolean {
  return /^(?:EVAL|EVALSHA|FCALL)(?:_RO)?$/i.test(String(words[0]));
}

/** How each server is logged in to: as the first one is. */
function loginOf(url: string) {
  const { protocol, username, password } = new URL(url);
  return {
    ...(username === "" ? {} : { username: decodeURIComponent(username) }),
    ...(password === "" ? {} : { password: decodeURIComponent(password) }),
    socket: protocol === "rediss:" ? { tls: true as const } : {},
  };
}
