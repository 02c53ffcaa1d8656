import { backoff } from "../../src/internal/backoff.ts";
import { endBody } from "../../src/internal/end_body.ts";
import { sleep } from "../../src/internal/sleep.ts";
import { within } from "../../src/internal/within.ts";
import type { Delivery, Queue } from "../../src/ports/queue.ts";
import type { FetchReply, Runtime } from "../../src/ports/runtime.ts";
import { CatgaError, type Fault, faultOf } from "../../src/result.ts";
import { writePushed } from "./push_item.ts";
import { outcomeOf, PushRefusals, type RefusedItems, retryAfter } from "./push_refusals.ts";
import { checkSecret, signPush } from "./push_signature.ts";

/** What {@linkcode pushRelay} takes. */
export interface PushRelayOptions {
  /** The door to time, chance, cryptography and the network. */
  readonly runtime: Runtime;
  /** Where the items are. */
  readonly queue: Queue;
  /** Their topic. */
  readonly topic: string;
  /** The group that they are for, begun if it is not there: `service/handler` where `handlePushed` takes them. */
  readonly group: string;
  /** Where items are posted: the address of a {@linkcode pushReceiver}. */
  readonly endpoint: string;
  /** What requests are signed with, of 24 characters or more. */
  readonly secret: string;
  /**
   * Keeps what the endpoint refuses: `deadLetters(store, { runtime })` of `/durable`, with the store that the endpoint has
   * too. When it rejects, the item is posted again later.
   */
  readonly deadLetters: RefusedItems;
  /** How long an item rests, in ms, after each time that it was refused; after the last it is a dead letter. @default [5000, 60000] */
  readonly redeliver?: readonly number[];
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
/**
 * Posts the items of a group to an endpoint, signed by Standard Webhooks, at least once each and those of a key one
 * after the other. 2xx is an acknowledgement. While the endpoint is away or has no time (no answer, 408, 425, 429, 5xx) an
 * item is posted again for as long as it takes, after what `Retry-After` says or more and more rarely. Any other answer is
 * a refusal, as time alone heals none: after a few, each counted by this relay, the item is a dead letter with its status;
 * with 413 and 422, which are about the item, at once.
 *
 * Disposing it takes no more and waits for what is under way.
 *
 * @example
 * ```ts ignore
 * import { deadLetters } from "@catga/catga/durable";
 * import { processRuntime } from "@catga/catga/serve";
 * import { pushRelay, redis } from "@catga/catga/redis";
 *
 * const runtime = processRuntime();
 * const { queue, store } = redis({ url: "https://name.upstash.io", token: "…" });
 * await using relay = pushRelay({
 *   runtime,
 *   queue,
 *   topic: "orders.paid",
 *   group: "shop/mail",
 *   endpoint: "https://shop.example.com/push",
 *   secret: "32-random-characters-or-more-…",
 *   deadLetters: deadLetters(store, { runtime }),
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
  readonly #refusals: PushRefusals = new PushRefusals();
  readonly #running: Promise<void>;
  #free: () => void = () => {};

  constructor(options: PushRelayOptions) {
    const { concurrency = 8, timeout = 30_000, longest = 60_000, redeliver = [5000, 60_000] } = options;
    for (const [name, value] of Object.entries({ concurrency, timeout, longest })) {
      if (value >= 1) continue;
      throw new RangeError(`Cannot relay items: ${name} is ${value}, but must be 1 or more`);
    }
    for (const rest of redeliver) {
      if (rest >= 0 && rest < Infinity) continue;
      throw new RangeError(`Cannot relay items: a rest of redeliver is ${rest}, but must be 0 ms or more`);
    }
    checkSecret(options.secret);
    this.#options = { ...options, concurrency, timeout, longest, redeliver };
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
    let isThere = false;
    for (let failures = 0; !signal.aborted;) {
      const max = concurrency - this.#working.size;
      if (max <= 0) {
        await new Promise<void>((resolve) => this.#free = resolve);
        continue;
      }
      try {
        if (!isThere) await queue.subscribe(topic, group, { signal });
        isThere = true;
        for (const item of await queue.pull(topic, group, { max, lease, wait: WAIT, signal })) {
          this.#begin(item);
        }
        failures = 0;
      } catch (thrown) {
        if (signal.aborted) return;
        isThere = false;
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
    if (reply !== undefined) endBody(reply.body);
    const { status } = reply ?? { status: 0 };
    const outcome = outcomeOf(status);
    if (outcome === "taken") {
      this.#refusals.taken(item);
      return await item.ack();
    }
    if (outcome === "later") {
      return await item.retry(retryAfter(reply) ?? this.#rest(item.attempt));
    }
    const { attempts, fault, isNew } = this.#refusals.count(item, status);
    if (isNew) this.#warn("push.refused", "items are refused", new CatgaError(fault));
    const rest = outcome === "never" ? undefined : this.#options.redeliver[attempts - 1];
    if (rest !== undefined) return await item.retry(rest);
    if (await this.#bury(item, attempts, fault)) return await item.ack();
    await item.retry(this.#rest(item.attempt));
  }

  async #bury(item: Delivery, attempts: number, fault: Fault): Promise<boolean> {
    const { runtime, topic, group, deadLetters } = this.#options;
    const { id, key, payload, pushed, attempt: handedOut } = item;
    try {
      await deadLetters.put({ id, key, payload, pushed, topic, group, attempts, handedOut, fault });
    } catch (thrown) {
      this.#warn("push.unburied", `"${id}" cannot become a dead letter`, thrown);
      return false;
    }
    this.#refusals.forget(item);
    runtime.log({
      level: "error",
      event: "push.buried",
      message: `"${id}" of "${topic}" is a dead letter of "${group}": ${fault.message}`,
      fields: { topic, group, id, attempts, handedOut, code: fault.code },
    });
    return true;
  }

  /** Posts an item; rejects when no answer came in time. */
  async #post(item: Delivery): Promise<FetchReply> {
    const { runtime, topic, group, endpoint, secret, timeout } = this.#options;
    const { id, key, payload, attempt, pushed } = item;
    const body = writePushed({ topic, group, id, key, payload, attempt, pushed, within: timeout });
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
