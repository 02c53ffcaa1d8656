import { type Context, Hono } from "hono";
import type { Runtime } from "../../../src/ports/runtime.ts";
import { systemRuntime } from "../../../src/ports/system_runtime.ts";
import { CatgaError, systemFault } from "../../../src/result.ts";
import { codeOf, UNSENT } from "../faults.ts";
import { type Access, accessOf } from "./access.ts";
import { asResp2, type Format, shown } from "./answers.ts";
import { openCluster } from "./cluster_link.ts";
import { commandRules } from "./commands.ts";
import { type Answered, LinkLost, type Words } from "./link.ts";
import { type GatewayLimits, readCommand, readCommands, Unfit } from "./request.ts";
import { openRedis } from "./single_link.ts";
import { subscription } from "./subscribe.ts";

/** What {@linkcode redisGateway} takes. */
export interface RedisGatewayOptions {
  /**
   * Where Redis is: `redis://127.0.0.1:6379`, or `rediss://user:password@host:port` by TLS. A list of some servers for a
   * Redis Cluster, where all take the login of the first.
   */
  readonly redis: string | readonly string[];
  /** Allows each command: 16 characters or more, of those that go into a header. */
  readonly token: string;
  /** Allows commands that only read, and to subscribe; nobody has such a token if left out. */
  readonly readOnlyToken?: string;
  /** How long Redis may take to be reached and for an answer, in ms. @default 10000 */
  readonly timeout?: number;
  /** Bytes in the body of a request. @default 10485760 */
  readonly limit?: number;
  /** Commands in one request. @default 1000 */
  readonly commands?: number;
  /** Requests at a time, with those that Redis has left without an answer; more get a 429. @default 256 */
  readonly requests?: number;
  /** Open subscriptions at a time, each a connection to Redis; more get a 429. @default 64 */
  readonly subscriptions?: number;
  /** The door to time and the log. */
  readonly runtime?: Runtime;
}

/** The REST API of a Redis. Disposing it closes its connections. */
export interface RedisGateway extends AsyncDisposable {
  /** Answers requests: serve it. Never rejects. Needs no `this`. */
  readonly fetch: (request: Request) => Promise<Response>;
}

/**
 * Serves the Upstash REST protocol from any Redis: commands in the body or the path, `/pipeline`, `/multi-exec`,
 * `/subscribe/{channel}` and `/psubscribe/{pattern}` as server-sent events, `Upstash-Encoding: base64`,
 * `Upstash-Response-Format: resp2`. Commands that would block or change a connection are refused. Whole numbers above
 * 2^53 are rounded. Put TLS before it where it is reached from elsewhere.
 *
 * Rejects with a `CatgaError`: `VALIDATION` for tokens and addresses that are none, `UNAVAILABLE` when Redis, or any
 * server of a cluster that has slots, is not reached in `timeout`. Later it goes on looking for it, and answers 503, or
 * `CLUSTERDOWN` to the commands for that server, until it is there. While a slot moves, transactions for it are
 * answered `TRYAGAIN`.
 *
 * @example
 * ```ts ignore
 * import { redisGateway } from "@catga/catga/redis/gateway";
 * import { serve } from "@catga/catga/serve";
 *
 * const gateway = await redisGateway({ redis: "redis://127.0.0.1:6379", token: "at-least-16-random-characters" });
 * const server = await serve(gateway.fetch, { port: 8079 });
 * ```
 */
export async function redisGateway(options: RedisGatewayOptions): Promise<RedisGateway> {
  const { redis, token, readOnlyToken, timeout = 10_000, requests = 256, subscriptions = 64 } = options;
  const { runtime = systemRuntime() } = options;
  const limits: GatewayLimits = { bytes: options.limit ?? 10_485_760, commands: options.commands ?? 1000 };
  for (const [name, given] of [["token", token], ["readOnlyToken", readOnlyToken]] as const) {
    if (given !== undefined && !/^[\x21-\x7e]{16,4096}$/.test(given)) {
      const message = `Cannot use the ${name} of the gateway: it needs 16 characters or more, without spaces`;
      throw new CatgaError(systemFault("VALIDATION", message));
    }
  }
  checkAddresses(redis);
  // With MULTI and EXEC: one without the other would make a transaction of what others send.
  const most = requests * (limits.commands + 2);
  const link = typeof redis === "string"
    ? await openRedis(redis, runtime, timeout, most)
    : await openCluster(redis, runtime, timeout, most);
  const rules = commandRules(link);
  const open = { requests: 0, subscriptions: 0 };
  const app = new Hono<Allowed>();

  app.on(["GET", "HEAD", "POST", "PUT"], "/pipeline", async (c) => {
    const format = formatOf(c);
    const commands = await readCommands(c.req.raw, limits);
    const refusals = await refusalsOf(commands, c.env.access);
    const allowed = commands.filter((_, at) => refusals[at] === undefined);
    const answers = (await inTime(link.send(allowed, format))).values();
    return answer(refusals.map((error) => error === undefined ? answers.next().value! : { error }), format);
  });

  app.on(["GET", "HEAD", "POST", "PUT"], "/multi-exec", async (c) => {
    const format = formatOf(c);
    if (format === "resp2") throw new Unfit(400, "ERR resp2 is not available for transactions");
    const commands = await readCommands(c.req.raw, limits);
    const refusals = await refusalsOf(commands, c.env.access);
    const refusal = refusals.find((error) => error !== undefined);
    const answers = refusal ?? await inTime(link.transact(commands, format));
    return typeof answers === "string" ? failed(400, answers) : answer(answers, format);
  });

  app.on(["GET", "POST"], ["/subscribe/*", "/psubscribe/*"], async (c) => {
    const [kind, ...channels] = await readCommand(new Request(c.req.raw.url), limits) as readonly string[];
    if (channels.length === 0) throw new Unfit(400, "ERR wrong number of arguments for 'subscribe' command");
    if (open.subscriptions >= subscriptions) return failed(429, "ERR too many subscriptions");
    open.subscriptions++;
    const ended = (): void => void open.subscriptions--;
    const patterns = kind === "psubscribe";
    const stream = await subscription(link, runtime.clock, channels, patterns, ended);
    return new Response(stream, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  });

  app.on(["GET", "HEAD", "POST", "PUT"], "*", async (c) => {
    const format = formatOf(c);
    const words = await readCommand(c.req.raw, limits);
    const [refusal] = await refusalsOf([words], c.env.access);
    const [answered] = refusal === undefined
      ? await inTime(link.send([words], format))
      : [{ error: refusal }];
    if (format === "resp2") return answer([answered!], format);
    const body = shown(answered!, format);
    return "error" in body ? failed(400, body.error) : json(body);
  });

  app.notFound(() => failed(405, "ERR use GET, HEAD, POST or PUT"));
  app.onError((thrown) => {
    if (thrown instanceof Unfit) return failed(thrown.status, thrown.message);
    if (thrown instanceof LinkLost || CatgaError.is(thrown)) {
      return thrown instanceof LinkLost && thrown.sent
        ? failed(502, "ERR Redis did not answer; it may have been done")
        : failed(503, "ERR Redis is not reached; nothing was done", { [UNSENT]: "yes", "retry-after": "1" });
    }
    const message = `The gateway failed at a request: ${codeOf(thrown)}`;
    runtime.log({ level: "error", event: "redis.gateway.failed", message });
    return failed(500, "ERR the gateway failed; it may have been done");
  });

  async function refusalsOf(commands: readonly Words[], access: Access): Promise<(string | undefined)[]> {
    const refusals: (string | undefined)[] = [];
    for (const words of commands) {
      const refusal = rules.refusal(words, access);
      refusals.push(refusal instanceof Promise ? await inTime(refusal) : refusal);
    }
    return refusals;
  }

  async function inTime<T>(work: Promise<T>): Promise<T> {
    let stop = (): void => {};
    const late = new Promise<never>((_, reject) => {
      stop = runtime.clock.timer(timeout, () => {
        // Its commands may still wait to be sent, so it keeps a place among the requests.
        open.requests++;
        void work.catch(() => {}).finally(() => open.requests--);
        reject(new LinkLost(true));
      });
    });
    return await Promise.race([work, late]).finally(stop);
  }

  return {
    fetch: async (request) => {
      const access = accessOf(request, options);
      if (access === undefined) return failed(401, "WRONGPASS invalid or missing auth token");
      if (open.requests >= requests) return failed(429, "ERR too many requests", { "retry-after": "1" });
      open.requests++;
      try {
        return await app.fetch(request, { access });
      } finally {
        open.requests--;
      }
    },
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}

/** What a request comes with once its token was seen. */
interface Allowed {
  readonly Bindings: { readonly access: Access };
}

function checkAddresses(redis: string | readonly string[]): void {
  const urls = typeof redis === "string" ? [redis] : redis;
  const isFit = (url: string): boolean => URL.canParse(url) && /^rediss?:$/.test(new URL(url).protocol);
  if (urls.length > 0 && urls.every(isFit)) return;
  const message = "Cannot use the address of Redis: it does not begin with redis:// or rediss://";
  throw new CatgaError(systemFault("VALIDATION", message));
}

function formatOf(c: Context): Format {
  const format = (c.req.header("upstash-response-format") ?? "json").toLowerCase();
  const base64 = c.req.header("upstash-encoding")?.toLowerCase() === "base64";
  if (format !== "json" && format !== "resp2") throw new Unfit(400, "ERR unknown response format");
  if (format === "json") return base64 ? "base64" : "json";
  if (base64) throw new Unfit(400, "ERR base64 is not available for the format resp2");
  return "resp2";
}

function answer(answers: readonly Answered[], format: Format): Response {
  if (format !== "resp2") return json(answers.map((each) => shown(each, format)));
  return new Response(asResp2(answers) as Uint8Array<ArrayBuffer>, {
    headers: { "content-type": "application/octet-stream", "cache-control": "no-store" },
  });
}

function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  });
}

function failed(status: number, error: string, headers?: Readonly<Record<string, string>>): Response {
  return json({ error }, status, headers);
}
