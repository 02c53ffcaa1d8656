import { createClient, ErrorReply, RESP_TYPES } from "@redis/client";
import { Buffer } from "node:buffer";
import type { Runtime } from "../../../src/ports/runtime.ts";
import { CatgaError, systemFault } from "../../../src/result.ts";
import type { RawReply } from "./answers.ts";

/** What a command was answered with: a reply or the error of Redis. */
export type Answered = { readonly reply: RawReply } | { readonly error: string };

/** A Redis behind one connection, which is made again when it is lost. */
export interface RedisLink extends AsyncDisposable {
  /** Sends commands, one after the other. Rejects with {@linkcode LinkLost} when an answer is missing. */
  send(commands: readonly Words[]): Promise<readonly Answered[]>;
  /** The same at one instant; answers a text when Redis takes none of them. */
  transact(commands: readonly Words[]): Promise<readonly Answered[] | string>;
  /** Hears what is told on channels, by a connection of its own; answers what ends that. */
  subscribe(
    channels: readonly string[],
    patterns: boolean,
    told: Told,
    lost: () => void,
  ): Promise<() => void>;
}

/** A command as texts and bytes. */
export type Words = readonly (string | Buffer)[];

/** Hears a message: the channel, what was told, and the pattern that fits. */
export type Told = (channel: string, message: Buffer, pattern: string | undefined) => void;

/** No answer came from Redis. */
export class LinkLost extends Error {
  override readonly name = "LinkLost";
  /** Whether Redis may have got any of the commands. */
  readonly sent: boolean;

  constructor(sent: boolean) {
    super("Redis did not answer");
    this.sent = sent;
  }
}

/** Errors of the client for what never left it. */
const UNSENT: ReadonlySet<string> = new Set(["ClientOfflineError", "ClientClosedError"]);

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
  const options = {
    url,
    RESP: 2 as const,
    disableOfflineQueue: true,
    disableClientInfo: true,
    commandsQueueMaxLength: limit,
    maintNotifications: "disabled" as const,
    socket: {
      connectTimeout: timeout,
      reconnectStrategy: (tries: number) => Math.min(20 * 2 ** Math.min(tries, 7), 1000),
    },
  };
  const base = createClient(options);
  let down = false;
  base.on("error", () => {
    if (down) return;
    down = true;
    const message = "The gateway lost its connection to Redis, and looks for it";
    runtime.log({ level: "warn", event: "redis.gateway.lost", message });
  });
  base.on("ready", () => down = false);
  await connected(base, runtime, timeout);
  const client = base.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });

  return {
    send: (commands) =>
      settled(commands.map((words) => client.sendCommand(words as string[]) as Promise<RawReply>)),
    transact: async (commands) => {
      const multi = client.multi();
      for (const words of commands) multi.addCommand([...words] as string[]);
      try {
        return (await multi.exec() as unknown as RawReply[]).map((reply) => ({ reply }));
      } catch (thrown) {
        const { replies } = thrown as { replies?: readonly (RawReply | ErrorReply)[] };
        if (Array.isArray(replies)) return replies.map(answeredOf);
        if (thrown instanceof ErrorReply) return thrown.message;
        throw lostBy(thrown);
      }
    },
    subscribe: async (channels, patterns, told, lost) => {
      const own = base.duplicate({ disableOfflineQueue: false, socket: { reconnectStrategy: false } });
      own.on("error", () => {});
      own.on("end", lost);
      await connected(own, runtime, timeout);
      const hear = (message: Buffer, channel: Buffer, pattern?: string): void =>
        told(channel.toString(), message, pattern);
      if (!patterns) await own.subscribe([...channels], hear, true);
      else {
        for (const pattern of channels) {
          await own.pSubscribe(pattern, (message, channel) => hear(message, channel, pattern), true);
        }
      }
      return () => own.destroy();
    },
    [Symbol.asyncDispose]: () => {
      if (base.isOpen) base.destroy();
      return Promise.resolve();
    },
  };
}

/** The part of a client that connecting needs. */
interface Connecting {
  readonly isOpen: boolean;
  connect(): Promise<unknown>;
  destroy(): void;
}

async function connected(client: Connecting, runtime: Runtime, timeout: number): Promise<void> {
  let stop = (): void => {};
  const late = new Promise<never>((_, reject) => {
    stop = runtime.clock.timer(timeout, () => reject(new LinkLost(false)));
  });
  try {
    await Promise.race([client.connect(), late]);
  } catch {
    if (client.isOpen) client.destroy();
    // What the client says quotes the address, with a password.
    const message = `Cannot reach Redis in ${timeout} ms. Check that it runs, its address and its password`;
    throw new CatgaError(systemFault("UNAVAILABLE", message));
  } finally {
    stop();
  }
}

async function settled(sent: readonly Promise<RawReply>[]): Promise<Answered[]> {
  const results = await Promise.allSettled(sent);
  const lost = results.flatMap((result) =>
    result.status === "rejected" && !(result.reason instanceof ErrorReply) ? [lostBy(result.reason)] : []
  );
  // What was answered says nothing about the others.
  if (lost.length > 0) throw new LinkLost(lost.length < results.length || lost.some(({ sent }) => sent));
  return results.map((result) =>
    result.status === "fulfilled" ? { reply: result.value } : { error: (result.reason as ErrorReply).message }
  );
}

function answeredOf(reply: RawReply | ErrorReply): Answered {
  return reply instanceof ErrorReply ? { error: reply.message } : { reply };
}

function lostBy(thrown: unknown): LinkLost {
  return new LinkLost(!(thrown instanceof Error && UNSENT.has(thrown.constructor.name)));
}
