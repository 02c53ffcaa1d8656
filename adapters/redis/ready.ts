import type { Runtime } from "../../src/ports/runtime.ts";
import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";
import { codeOf, isRedisError } from "./faults.ts";
import { restWire } from "./rest.ts";
import { isReply, type Outcome, type Wire } from "./wire.ts";

/** A client of `@upstash/redis`. Only its address and token are taken, and requests are sent without it. */
export interface UpstashLike {
  /** Tells it from others. */
  readonly createScript: unknown;
}

/** A client of node-redis (`redis`, `@redis/client`), connected, with texts as replies. */
export interface NodeRedisLike {
  /** Sends a command. */
  sendCommand(words: string[]): Promise<unknown>;
}

/** A cluster client of node-redis (`createCluster`), connected, with texts as replies. */
export interface NodeRedisClusterLike {
  /** Sends a command to who has a key. */
  sendCommand(key: string | undefined, isReadonly: boolean | undefined, words: string[]): Promise<unknown>;
  /** Tells it from others. */
  readonly getRandomNode: unknown;
}

/**
 * A client of `ioredis`, made with `autoResendUnfulfilledCommands: false`; or its `Cluster`, made with
 * `retryDelayOnFailover: 0` and `redisOptions: { autoResendUnfulfilledCommands: false }`.
 */
export interface IoRedisLike {
  /** Sends a command. */
  call(command: string, ...words: string[]): Promise<unknown>;
}

/** Bun's `RedisClient`, or whatever else sends commands: those of one turn in their order, and none of them twice. */
export interface RedisSender {
  /** Sends a command; rejects for an error of Redis with a message that begins with its code. */
  send(command: string, words: string[]): Promise<unknown>;
}

/** A client that is there. It is left open. */
export type RedisClientLike =
  | UpstashLike
  | NodeRedisLike
  | NodeRedisClusterLike
  | IoRedisLike
  | RedisSender;

/** Sends by a client that is there. Throws a `CatgaError` with `VALIDATION` for one that cannot be used. */
export function readyWire(client: RedisClientLike, runtime: Runtime): Wire {
  const { createScript, call, sendCommand, send } = client as Partial<
    UpstashLike & IoRedisLike & NodeRedisLike & RedisSender
  >;
  if (typeof createScript === "function") return upstashWire(client, runtime);
  if (typeof call === "function") {
    checkIoRedis(client as IoRedisOptioned);
    return senderWire(([name = "", ...words]) => call.call(client, name, ...words));
  }
  if ("getRandomNode" in client) {
    return senderWire((words) => client.sendCommand(keyOf(words), false, [...words]));
  }
  if (typeof sendCommand === "function") return senderWire((words) => sendCommand.call(client, [...words]));
  if (typeof send === "function") {
    return senderWire(([name = "", ...words]) => send.call(client, name, words));
  }
  throw unusable("it has none of the methods sendCommand, call and send");
}

interface IoRedisOptioned {
  readonly isCluster?: boolean;
  readonly options?: {
    readonly autoResendUnfulfilledCommands?: boolean;
    readonly retryDelayOnFailover?: number;
    readonly redisOptions?: { readonly autoResendUnfulfilledCommands?: boolean };
  };
}

/** Refuses one that sends again what may have been done. */
function checkIoRedis({ isCluster = false, options }: IoRedisOptioned): void {
  if (options === undefined) return;
  const { autoResendUnfulfilledCommands, redisOptions, retryDelayOnFailover } = options;
  if (!isCluster && autoResendUnfulfilledCommands !== false) {
    throw unusable("it sends commands again. Make it with autoResendUnfulfilledCommands: false");
  }
  if (isCluster && (retryDelayOnFailover !== 0 || redisOptions?.autoResendUnfulfilledCommands !== false)) {
    const right = "retryDelayOnFailover: 0 and redisOptions: { autoResendUnfulfilledCommands: false }";
    throw unusable(`it sends commands again. Make it with ${right}`);
  }
}

/** The first key of a command, by which a cluster finds who has it. */
function keyOf([name, first, count, key]: readonly string[]): string | undefined {
  if (name !== "EVAL" && name !== "EVALSHA") return first;
  return Number(count) > 0 ? key : undefined;
}

/** Its own requests are sent up to six times, and resolve when they are given up. */
function upstashWire(client: RedisClientLike, runtime: Runtime): Wire {
  const { client: inner } = client as { readonly client?: Inner };
  const url = inner?.baseUrl;
  const token = /^Bearer (\S+)$/.exec(String(inner?.headers?.["authorization"] ?? ""))?.[1];
  if (typeof url === "string" && token !== undefined) return restWire({ url, token }, runtime);
  throw unusable("it tells neither its URL nor its token. Give { url, token } instead");
}

interface Inner {
  readonly baseUrl?: unknown;
  readonly headers?: Readonly<Record<string, unknown>>;
}

function senderWire(send: (words: readonly string[]) => Promise<unknown>): Wire {
  return {
    request: async (commands) => {
      const sent = await Promise.allSettled(commands.map(async (words) => await send(words)));
      const lost = sent.flatMap((each) =>
        each.status === "rejected" && !isRefusal(each.reason) ? [each.reason as unknown] : []
      );
      if (lost.length === commands.length && lost.every(neverSent)) {
        throw fault("UNAVAILABLE", `the client is not connected (${codeOf(lost[0])})`);
      }
      return sent.map((each): Outcome => {
        if (each.status === "fulfilled") return outcomeOf(each.value);
        if (isRefusal(each.reason)) return { error: each.reason.message };
        return {
          fault: fault("TRANSPORT", `the client failed (${codeOf(each.reason)}); it may have been done`),
        };
      });
    },
  };
}

/** Whether Redis itself has said so: node-redis, ioredis and Bun each have a sign for it. */
function isRefusal(thrown: unknown): thrown is Error {
  if (!(thrown instanceof Error)) return false;
  if ((thrown as { readonly code?: unknown }).code === "ERR_REDIS_SERVER_ERROR") return true;
  return isRedisError(thrown.message) || isOf(thrown, /^(?:ErrorReply|ReplyError)$/);
}

/** What node-redis throws for a command that never left it. */
function neverSent(thrown: unknown): boolean {
  return thrown instanceof Error && isOf(thrown, /^Client(?:Offline|Closed)Error$/);
}

function isOf(thrown: Error, name: RegExp): boolean {
  for (let at = Object.getPrototypeOf(thrown); at !== null; at = Object.getPrototypeOf(at)) {
    if (name.test(at.constructor?.name)) return true;
  }
  return false;
}

/** What a client answers, as the REST protocol would. */
function outcomeOf(value: unknown): Outcome {
  const reply = readReply(value, 16);
  if (isReply(reply)) return { reply };
  return { fault: fault("TRANSPORT", "the client gave an answer that is none; it may have been done") };
}

function readReply(value: unknown, depth: number): unknown {
  if (value === undefined || value === false) return null;
  if (value === true) return 1;
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (Array.isArray(value) && depth > 0) return value.map((part) => readReply(part, depth - 1));
  return value;
}

function unusable(why: string): CatgaError {
  return fault("VALIDATION", `Cannot use the client for Redis: ${why}`);
}

function fault(code: SystemCode, message: string): CatgaError {
  return new CatgaError(systemFault(code, message));
}
