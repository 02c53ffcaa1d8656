import { failure, type Fault, ok, type Result, systemFault } from "../../src/result.ts";
import type { Contract } from "../../src/message/contract.ts";
import type {
  Answerable,
  FaultOf,
  Message,
  OutputOf,
  Publishable,
  Streamable,
} from "../../src/message/message.ts";
import type { SendOptions } from "../../src/mediator/types.ts";
import type { FetchReply, Runtime } from "../../src/ports/runtime.ts";
import { systemRuntime } from "../../src/ports/system_runtime.ts";
import { ask, type Asked, readProblem, type RequestToSend } from "./ask.ts";
import { Attempt } from "./attempt.ts";
import { flow } from "./flow.ts";
import type { Route } from "./route.ts";

/** What {@linkcode createClient} takes. */
export interface ClientOptions {
  /** Where the routes begin: `https://api.example.com`, or with a path under which they are mounted. */
  readonly baseUrl: string;
  /** Sends requests; anything shaped like the platform's `fetch`. @default the runtime's */
  readonly fetch?: (url: string, init: RequestToSend) => FetchReply | Promise<FetchReply>;
  /** Headers for every request, or a function that makes them for each. */
  readonly headers?: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>);
  /** The longest a call may take and a stream may stay silent, in ms. @default 30000 */
  readonly timeout?: number;
  /** Where time and `fetch` come from. @default systemRuntime() */
  readonly runtime?: Runtime;
}

/** The messages that a table of routes knows. */
export type MessageOf<T extends readonly Route[]> = ReturnType<T[number]["contract"]>;

/** Speaks to a server that serves the same table of routes. */
export interface Client<T extends readonly Route[]> {
  /** Sends a command or query; answers what the handler answered. Never rejects. */
  send<M extends Extract<MessageOf<T>, Answerable>>(
    message: M,
    options?: SendOptions,
  ): Promise<Result<OutputOf<M>, FaultOf<M> & Fault>>;
  /** Publishes an event. Never rejects. */
  publish(event: Extract<MessageOf<T>, Publishable>, options?: SendOptions): Promise<Result<void>>;
  /** Asks for many answers. Iterating throws a `CatgaError` where a call would have answered a failure. */
  stream<M extends Extract<MessageOf<T>, Streamable>>(
    message: M,
    options?: SendOptions,
  ): AsyncIterable<OutputOf<M>>;
}

/**
 * Makes a client that is typed by the contracts of a table. It runs wherever there is `fetch`, in browsers too.
 *
 * Values and failures arrive as JSON makes them; they are not checked again. Without an answer the failure is
 * `TIMEOUT`, `CANCELLED`, `UNAVAILABLE` (the connection was refused) or `TRANSPORT` (it broke: the handler may have
 * run).
 *
 * @example
 * ```ts
 * import { createClient, route } from "@catga/catga/client";
 * import { query, type } from "@catga/catga";
 *
 * const GetOrder = query("orders.get", { input: type<{ id: string }>(), output: type<{ sku: string }>() });
 * const client = createClient([route("GET /orders/:id", GetOrder)], {
 *   baseUrl: "https://api.example.com",
 *   fetch: () => Response.json({ sku: "p1" }),
 * });
 * const result = await client.send(GetOrder({ id: "1" }));
 * if (result.ok) console.log(result.value.sku);
 * ```
 */
export function createClient<const T extends readonly Route[]>(table: T, options: ClientOptions): Client<T> {
  const { baseUrl, headers = {}, timeout = 30_000, runtime = systemRuntime() } = options;
  if (!(timeout > 0)) {
    throw new RangeError(`Cannot create the client: timeout is ${timeout}, but must be above 0 ms`);
  }
  const base = baseUrl.replace(/\/+$/, "");
  const routes = new Map(table.map((entry) => [entry.contract.type, entry]));
  const request = options.fetch ?? ((url, init) => runtime.fetch(url, init));

  const asked = (message: Message, sent: SendOptions | undefined): Asked | Fault => {
    const own = typeof headers === "function" ? headers() : headers;
    return ask(routes.get(message.type), message, base, { ...own, ...sent?.headers });
  };
  const attempt = (contract: Contract, sent: SendOptions | undefined): Attempt => {
    const limit = sent?.timeout ?? Math.min(timeout, contract.timeout ?? Infinity);
    return new Attempt(contract.type, runtime.clock, limit, sent?.signal);
  };

  const call = async (message: Message, sent: SendOptions | undefined): Promise<Result<unknown, Fault>> => {
    const question = asked(message, sent);
    if ("code" in question) return failure(question);
    const { contract, url, init } = question;
    const under = attempt(contract, sent);
    try {
      if (under.fault !== undefined) return failure(under.fault);
      const sending = Promise.resolve(request(url, { ...init, signal: under.signal }));
      const reply = await under.race(sending);
      const text = await under.race(reply.text());
      if (reply.status < 200 || reply.status > 299) return failure(readProblem(contract, reply.status, text));
      return read(contract, text);
    } catch (thrown) {
      return failure(under.failed(thrown));
    } finally {
      under.end();
    }
  };

  return {
    send: (message, sent) => call(message, sent) as Promise<Result<never, never>>,
    publish: (event, sent) => call(event, sent) as Promise<Result<void>>,
    stream: (message, sent) =>
      flow(
        () => asked(message, sent),
        (contract) => attempt(contract, sent),
        request,
      ) as AsyncIterable<never>,
  };
}

function read(contract: Contract, text: string): Result<unknown, Fault> {
  if (text === "") return ok(undefined);
  try {
    return ok(JSON.parse(text));
  } catch (thrown) {
    const message = `Cannot read the answer to "${contract.type}": it is not JSON`;
    return failure(systemFault("SERIALIZATION", message, undefined, thrown));
  }
}
