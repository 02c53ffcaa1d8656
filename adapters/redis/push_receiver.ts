import { readMessage } from "../../src/internal/read_body.ts";
import type { Runtime } from "../../src/ports/runtime.ts";
import { faultOf } from "../../src/result.ts";
import { type PushedItem, readPushed } from "./push_item.ts";
import { checkSecret, isSignedPush } from "./push_signature.ts";

/** What {@linkcode pushReceiver} takes. */
export interface PushReceiverOptions {
  /** The door to time and cryptography. */
  readonly runtime: Pick<Runtime, "clock" | "crypto">;
  /** Those that requests may be signed with: one, or while it is changed two. Each of 24 characters or more. */
  readonly secrets: readonly string[];
  /**
   * Takes an item: `handlePushed` of `/durable`, for handlers as a node has them, or a function of yours. The item is done
   * with when this resolves. When it rejects with a fault that is `retryable`, or with anything that is no fault, it comes
   * again, after `data.retryAfter` ms if that is there; after `NO_HANDLER` a few times, and after any other not. It may
   * come more than once.
   */
  readonly take: (item: PushedItem) => Promise<void>;
  /** How large a request may be, in bytes. @default 2097152 */
  readonly limit?: number;
}

/**
 * The receiving half of {@linkcode pushRelay}, for a node that cannot poll: answers the relay's requests. Only `POST`
 * with a signature that is right and not older than five minutes gets through to `take`. A request that is sent again
 * within that time is as a delivery that comes twice.
 *
 * @example
 * ```ts
 * import { createMediator, on, reliableEvent, type } from "@catga/catga";
 * import { handlePushed } from "@catga/catga/durable";
 * import { processRuntime, serve } from "@catga/catga/serve";
 * import { pushReceiver, redis } from "@catga/catga/redis";
 *
 * const OrderPaid = reliableEvent("orders.paid", { data: type<{ order: string }>() });
 * const app = createMediator({
 *   handlers: [on(OrderPaid, ({ order }) => console.log(`mail about ${order}`), { name: "mail" })],
 *   runtime: processRuntime(),
 * });
 * const { store } = redis({ url: "https://name.upstash.io", token: "its-token" });
 * const fetch = pushReceiver({
 *   runtime: app.runtime,
 *   secrets: ["32-random-characters-or-more-…"],
 *   take: handlePushed(app, { store, service: "shop" }),
 * });
 * const server = await serve(fetch, { port: 0 }); // on an edge platform: export default { fetch }
 * console.log((await globalThis.fetch(server.url)).status); // 405: only a relay's POST is taken
 * await server.stop();
 * ```
 */
export function pushReceiver(options: PushReceiverOptions): (request: Request) => Promise<Response> {
  const { runtime, secrets, take, limit = 2_097_152 } = options;
  if (secrets.length === 0) throw new RangeError("Cannot receive items: give one secret or more");
  for (const secret of secrets) checkSecret(secret);

  return async (request) => {
    if (request.method !== "POST") return answer(405, "only POST is answered", { allow: "POST" });
    const bytes = await readMessage(request, limit).catch(() => null);
    if (bytes === null) return answer(400, "the request broke off");
    if (bytes === undefined) return answer(413, `the request has more than ${limit} bytes`);
    const body = new TextDecoder().decode(bytes);
    const signed = await isSignedPush(runtime.crypto, secrets, request.headers, runtime.clock.wall(), body);
    if (!signed) return answer(401, "the signature is not right, or too old");
    const item = readPushed(body);
    if (item === undefined) return answer(400, "the body is no item of a queue");
    try {
      await take(item);
      return new Response(null, { status: 204 });
    } catch (thrown) {
      return refusal(thrown);
    }
  };
}

/** What a failure is to the relay. */
function refusal(thrown: unknown): Response {
  const { code, retryable, data } = faultOf(thrown);
  if (code === "NO_HANDLER") return answer(404, code);
  if (!retryable && code !== "INTERNAL") return answer(422, code);
  const ms = (data as { readonly retryAfter?: unknown } | undefined)?.retryAfter;
  const after = typeof ms === "number" && ms > 0
    ? { "retry-after": String(Math.ceil(ms / 1000)) }
    : undefined;
  return answer(code === "OVERLOADED" ? 429 : 503, code, after);
}

function answer(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(text, { status, headers: { "content-type": "text/plain; charset=utf-8", ...headers } });
}
