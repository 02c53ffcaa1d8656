import { backoff } from "../../src/internal/backoff.ts";
import { endBody } from "../../src/internal/end_body.ts";
import { sleep } from "../../src/internal/sleep.ts";
import { within } from "../../src/internal/within.ts";
import type { Delivery, Queue } from "../../src/ports/queue.ts";
import type { FetchReply, Runtime } from "../../src/ports/runtime.ts";
import { faultOf } from "../../src/result.ts";
import { writePushed } from "./push_item.ts";
import { checkSecret, signPush } from "./push_signature.ts";

/** What {@linkcode pushRelay} takes. */
export interface PushRelayOptions {
  /** The door to time, chance, cryptography and the network. */
  readonly runtime: Runtime;
  /** Where the items are. */
  readonly queue: Queue;
  /** Their topic. */
  readonly topic: string;
  /** The group that they are for; it has to be there. */
  readonly group: string;
  /** Where items are posted: the address of a {@linkcode pushReceiver}. */
  readonly endpoint: string;
  /** What requests are signed with, of 24 characters or more. */
  readonly secret: string;
  /** Takes what the endpoint refuses for good; when it rejects, the item is posted again later. */
  readonly bury: (item: Delivery, why: string) => Promise<void>;
  /** How many are posted at a time. @default 8 */
  readonly concurrency?: number;
  /** How long an answer may take, in ms. @default 30000 */
  readonly timeout?: number;
  /** How long an item rests at most after it could not be taken, in ms. @default 60000 */
  readonly longest?: number;
}

/** How long the queue is asked to wait for items, how long items are held beyond an answer, and the first rest, in ms. */
const WAIT = 5000;
const MARGIN = 10_000;
const REST = 1000;
/** Refusals that say nothing about the item, but about the endpoint or the secret. */
const LATER: readonly number[] = [401, 403, 404, 408, 425, 429];

/**
 * Posts the items of a group to an endpoint, signed by Standard Webhooks, at least once each and those of a key one
 * after the other. 2xx is an acknowledgement; with any other 4xx than those that are about the endpoint (401, 403, 404,
 * 408, 425, 429) an item is buried; else it is posted again, after what `Retry-After` says or more and more rarely.
 *
 * Disposing it takes no more and waits for what is under way.
 *
 * @example
 * ```ts ignore
 * import { processRuntime } from "@catga/catga/serve";
 * import { pushRelay, redis } from "@catga/catga/redis";
 *
 * const { queue } = redis({ url: "https://name.upstash.io", token: "…" });
 * await queue.subscribe("orders", "mail");
 * await using relay = pushRelay({
 *   runtime: processRuntime(),
 *   queue,
 *   topic: "orders",
 *   group: "mail",
 *   endpoint: "https://mail.example.com/push",
 *   secret: "32-random-characters-or-more-…",
 *   bury: (item, why) => Promise.resolve(console.log(item.id, why)),
 * });
 * ```
 */
export function pushRelay(options: PushRelayOptions): AsyncDisposable {
  return new PushRelay(options);
}

class PushRelay implements AsyncDisposable {
  readonly #options: Required<PushRelayOptions>;
  readonly #closed: AbortController = new AbortController();
  readonly #working: Set<Promise<void>> = new Set();
  readonly #running: Promise<void>;
  #free: () => void = () => {};

  constructor(options: PushRelayOptions) {
    const { concurrency = 8, timeout = 30_000, longest = 60_000 } = options;
    for (const [name, value] of Object.entries({ concurrency, timeout, longest })) {
      if (value >= 1) continue;
      throw new RangeError(`Cannot relay items: ${name} is ${value}, but must be 1 or more`);
    }
    checkSecret(options.secret);
    this.#options = { ...options, concurrency, timeout, longest };
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    this.#free();
    await this.#running;
    await Promise.all(this.#working);
  }

  async #run(): Promise<void> {
    const { runtime, queue, topic, group, concurrency, timeout } = this.#options;
    const { signal } = this.#closed;
    const lease = timeout + MARGIN;
    for (let failures = 0; !signal.aborted;) {
      const max = concurrency - this.#working.size;
      if (max <= 0) {
        await new Promise<void>((resolve) => this.#free = resolve);
        continue;
      }
      try {
        for (const item of await queue.pull(topic, group, { max, lease, wait: WAIT, signal })) {
          this.#begin(item);
        }
        failures = 0;
      } catch (thrown) {
        if (signal.aborted) return;
        if (failures++ === 0) this.#warn("push.unreachable", "the queue cannot be asked just now", thrown);
        await sleep(runtime.clock, this.#rest(failures), signal);
      }
    }
  }

  #begin(item: Delivery): void {
    const work = this.#deliver(item).catch((thrown: unknown) => {
      this.#warn("push.failed", `"${item.id}" stays where it is until its lease is over`, thrown);
    }).finally(() => {
      this.#working.delete(work);
      this.#free();
    });
    this.#working.add(work);
  }

  async #deliver(item: Delivery): Promise<void> {
    const reply = await this.#post(item).catch(() => undefined);
    const status = reply?.status ?? 0;
    if (reply !== undefined) endBody(reply.body);
    if (status >= 200 && status < 300) return await item.ack();
    if (status >= 400 && status < 500 && !LATER.includes(status)) {
      const why = `the endpoint answered ${status}`;
      const isBuried = await this.#options.bury(item, why).then(() => true, (thrown: unknown) => {
        this.#warn("push.unburied", `"${item.id}" could not be buried`, thrown);
        return false;
      });
      if (isBuried) return await item.ack();
    }
    await item.retry(retryAfter(reply, this.#options.longest) ?? this.#rest(item.attempt));
  }

  /** Posts an item; rejects when no answer came in time. */
  async #post(item: Delivery): Promise<FetchReply> {
    const { runtime, topic, group, endpoint, secret, timeout } = this.#options;
    const { id, key, payload, attempt, pushed } = item;
    const body = writePushed({ topic, group, id, key, payload, attempt, pushed });
    const name = await runtime.crypto.hash(JSON.stringify([topic, group, id, pushed]));
    const signed = await signPush(runtime.crypto, secret, name, runtime.clock.wall(), body);
    const headers = { "content-type": "application/json", ...signed };
    const late = new AbortController();
    const posted = runtime.fetch(endpoint, { method: "POST", headers, body, signal: late.signal });
    let reply: FetchReply | undefined;
    await within(
      runtime.clock,
      posted.then((answer) => void (reply = answer), () => {}),
      timeout,
    );
    if (reply !== undefined) return reply;
    late.abort();
    return await Promise.reject(await posted.then((answer) => endBody(answer.body), (thrown) => thrown));
  }

  /** How long to rest after so many tries, in ms. */
  #rest(tries: number): number {
    const { runtime, longest } = this.#options;
    return Math.min(longest, REST) / 2 + backoff(tries, REST, longest, runtime.random.u32());
  }

  #warn(event: string, what: string, thrown: unknown): void {
    const { runtime, topic, group } = this.#options;
    const { code, message } = faultOf(thrown);
    runtime.log({
      level: "warn",
      event,
      message: `The relay of "${group}" of "${topic}": ${what}: ${message}`,
      fields: { topic, group, code },
    });
  }
}

/** What a server says in seconds, in ms; dates are not read. */
function retryAfter(reply: FetchReply | undefined, longest: number): number | undefined {
  const header = reply?.headers.get("retry-after") ?? "";
  return /^\d{1,9}$/.test(header) ? Math.min(Number(header) * 1000, Math.max(longest, 3_600_000)) : undefined;
}
