/** A Redis behind a gateway, and commanders to it, for tests of what stands on them. */

import { CatgaError } from "@catga/catga";
import type { LogEntry, Runtime } from "@catga/catga/ports";
import { redisGateway } from "@catga/catga/redis/gateway";
import { processRuntime, serve } from "@catga/catga/serve";
import { type Commander, type CommanderOptions, createCommander } from "../../adapters/redis/commander.ts";
import { restWire } from "../../adapters/redis/rest.ts";
import { type RedisServer, startRedis } from "./server.ts";

export const TOKEN = "full-token-of-the-tests";
export const READ_ONLY = "read-only-token-of-the-tests";

/** A redis-server with a gateway before it. */
export interface RedisStand extends AsyncDisposable {
  readonly server: RedisServer;
  /** Where the gateway is. */
  readonly url: string;
  /** A commander of its own to it. */
  open(options?: Partial<CommanderOptions>): Commander;
}

/** Begins both. */
export async function openStand(): Promise<RedisStand> {
  const server = await startRedis();
  const gateway = await openGateway(server.url).catch(async (error) => {
    await server[Symbol.asyncDispose]();
    throw error;
  });
  return {
    server,
    url: gateway.url,
    open: (options) => openCommander(gateway.url, options),
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A gateway to a Redis, on a free port of this machine. */
export async function openGateway(
  redis: string,
  options: { readonly requests?: number; readonly timeout?: number; readonly subscriptions?: number } = {},
): Promise<{ readonly url: string } & AsyncDisposable> {
  const runtime = quiet();
  const gateway = await redisGateway({ redis, token: TOKEN, readOnlyToken: READ_ONLY, runtime, ...options });
  const server = await serve(gateway.fetch, { port: 0 });
  return {
    url: server.url,
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await gateway[Symbol.asyncDispose]();
    },
  };
}

/** A commander to the gateway at an address, with the tests' token. */
export function openCommander(url: string, options: Partial<CommanderOptions> = {}): Commander {
  const runtime = options.runtime ?? quiet();
  return createCommander(restWire({ url, token: TOKEN }, runtime), { ...options, runtime });
}

/** The runtime of a process that logs into a list. */
export function quiet(logs: LogEntry[] = []): Runtime {
  return processRuntime({ log: (entry) => void logs.push(entry) });
}

/** The code of the `CatgaError` that something rejects with; `ok` if it does not. */
export function failed(work: PromiseLike<unknown>): Promise<unknown> {
  return Promise.resolve(work).then(() => "ok", (thrown) => CatgaError.is(thrown) ? thrown.code : thrown);
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
