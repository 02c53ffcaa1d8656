import type { Runtime } from "../../src/ports/runtime.ts";
import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";
import { type ClusterLike, sendToOwner } from "./cluster_owner.ts";
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

/** A cluster client of node-redis (`createCluster`) from 6.3 on, connected, with texts as replies. */
export interface NodeRedisClusterLike {
  /** Sends a command to who has a key. */
  sendCommand(key: string | undefined, isReadonly: boolean | undefined, words: string[]): Promise<unknown>;
  /** The connection to who has a key. */
  getNodeClientForKey(key: string): Promise<NodeRedisLike>;
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
    const isCluster = checkIoRedis(client as IoRedisOptioned);
    const by = ([name = "", ...words]: readonly string[]): Promise<unknown> =>
      call.call(client, name, ...words);
    return senderWire(isCluster ? (words) => by(neverAlone(words)) : by);
  }
  if ("getNodeClientForKey" in client) return senderWire((words) => sendInCluster(client, words));
  if ("getRandomNode" in client) throw unusable("it is a cluster client of node-redis before 6.3. Update it");
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

/** Refuses one that sends again what may have been done; answers whether it is a cluster's. */
function checkIoRedis({ isCluster = false, options }: IoRedisOptioned): boolean {
  if (options === undefined) return isCluster;
  const { autoResendUnfulfilledCommands, redisOptions, retryDelayOnFailover } = options;
  if (!isCluster && autoResendUnfulfilledCommands !== false) {
    throw unusable("it sends commands again. Make it with autoResendUnfulfilledCommands: false");
  }
  if (isCluster && (retryDelayOnFailover !== 0 || redisOptions?.autoResendUnfulfilledCommands !== false)) {
    const right = "retryDelayOnFailover: 0 and redisOptions: { autoResendUnfulfilledCommands: false }";
    throw unusable(`it sends commands again. Make it with ${right}`);
  }
  return isCluster;
}

async function sendInCluster(client: NodeRedisClusterLike, words: readonly string[]): Promise<unknown> {
  const key = isScript(words) && Number(words[2]) > 0 ? words[3] : undefined;
  if (key !== undefined) return await sendToOwner(client as ClusterLike, key, words, isRefusal);
  return await client.sendCommand(isScript(words) ? undefined : words[1], false, [...words]);
}

/**
 * The same script with a key more that is never there: while its slot moves, the cluster refuses it then, where it would
 * lead to the server that has not got all of it yet.
 */
function neverAlone(words: readonly string[]): readonly string[] {
  const [name = "", source = "", count, key, ...rest] = words;
  return isScript(words) && count === "1" ? [name, source, "2", key!, `${key}:never`, ...rest] : words;
}

function isScript([name]: readonly string[]): boolean {
  return name === "EVAL" || name === "EVALSHA";
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
