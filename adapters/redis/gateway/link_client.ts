import type { Buffer } from "node:buffer";
import type { Runtime } from "../../../src/ports/runtime.ts";
import type { Told } from "./link.ts";
import { connected } from "./link_answers.ts";

/** How each connection to Redis is made. */
export interface ClientOptions {
  readonly disableOfflineQueue: boolean;
  readonly disableClientInfo: boolean;
  readonly commandsQueueMaxLength: number;
  readonly commandOptions: { readonly timeout: 0 };
  readonly maintNotifications: "disabled";
  readonly socket: {
    readonly connectTimeout: number;
    readonly reconnectStrategy: (tries: number) => number;
  };
}

/** Connections that send nothing later that they could not send at once. */
export function clientOptions(timeout: number, limit: number): ClientOptions {
  return {
    disableOfflineQueue: true,
    disableClientInfo: true,
    commandsQueueMaxLength: limit,
    // Whoever sends has a time for all of it; one for each command costs more than to send it.
    commandOptions: { timeout: 0 },
    maintNotifications: "disabled",
    socket: {
      connectTimeout: timeout,
      reconnectStrategy: (tries) => Math.min(20 * 2 ** Math.min(tries, 7), 1000),
    },
  };
}

/** What somebody wants to hear. */
export interface Hearing {
  readonly channels: readonly string[];
  readonly patterns: boolean;
  readonly told: Told;
  readonly lost: () => void;
}

/** The part of a client that subscribing needs. */
interface Subscribing {
  readonly isOpen: boolean;
  connect(): Promise<unknown>;
  destroy(): void;
  on(event: string, listener: () => void): unknown;
  subscribe(channels: string[], hear: (message: Buffer, channel: Buffer) => void, bytes: true): Promise<void>;
  pSubscribe(pattern: string, hear: (message: Buffer, channel: Buffer) => void, bytes: true): Promise<void>;
}

/** Hears by a connection of its own, which is not made again; answers what ends it. */
export async function subscribeBy(
  own: Subscribing,
  runtime: Runtime,
  timeout: number,
  { channels, patterns, told, lost }: Hearing,
): Promise<() => void> {
  own.on("error", () => {});
  const hear = (message: Buffer, channel: Buffer, pattern?: string): void =>
    told(channel.toString(), message, pattern);
  await connected(own, runtime, timeout, async () => {
    if (!patterns) return await own.subscribe([...channels], hear, true);
    for (const pattern of channels) {
      await own.pSubscribe(pattern, (message, channel) => hear(message, channel, pattern), true);
    }
  });
  own.on("end", lost);
  return () => own.destroy();
}
