import { failure, type Fault, faultOf, type Result, systemFault } from "../../result.ts";
import { Ending } from "../../internal/ending.ts";
import { checkInput } from "../../mediator/validate.ts";
import type { MessageContext } from "../../mediator/context.ts";
import type { Context, Step } from "../../mediator/types.ts";
import type { Codec } from "../../ports/codec.ts";
import type { Runtime } from "../../ports/runtime.ts";
import type { Store } from "../../ports/store.ts";
import { json } from "../../wire/json.ts";
import { type CallKey, callKey } from "./call_key.ts";
import { EntryWatch } from "../entry_watch.ts";
import { handleOnce } from "./handle_once.ts";
import { decodeAnswer } from "./recorded.ts";
import { cycle, mismatch, type Outcome, takeTurn } from "./turn.ts";

/** What `idempotent` and {@linkcode Idempotency} take. */
export interface IdempotencyOptions {
  /** Where answers are kept, for all processes that handle the same commands. */
  readonly store: Store;
  /** Writes answers. @default JSON */
  readonly codec?: Codec | undefined;
  /** How soon a command may be handled again after the process that handles it was heard of last, in ms. @default 10000 */
  readonly ttl?: number | undefined;
  /** How long answers are kept where the contract does not say, in ms. @default 86400000 (a day) */
  readonly retention?: number | undefined;
  /** The header that names the tenant: each has keys of its own. @default "tenant" */
  readonly tenantHeader?: string | undefined;
  /** How many calls may be under way or wait; over it they are answered `OVERLOADED`. @default 16384 */
  readonly limit?: number | undefined;
}

/** The shortest time of a claim, in ms. */
const SHORTEST = 100;
const DAY = 86_400_000;
/** How many keys are watched at a time; the others are looked at now and then. */
const WATCHES = 256;

/** All calls of this process that have one key just now. */
interface Flight {
  readonly payload: string;
  /** The message that is handled. */
  readonly leader: MessageContext;
  readonly outcome: Promise<Outcome>;
}

/**
 * Lets a command that comes again get the first answer instead of happening again, over a store.
 *
 * Of all calls with one key one is handled, under a claim in the store that it renews meanwhile; the others wait for
 * its answer, which takes the place of the claim in one compare-and-set. A process that ends or is cut off from the
 * store loses its claim after `ttl`; then another handles the call, and whatever the first one still writes is refused.
 * So a handler runs again where it ended between its effect and its record, and nowhere else. Without the store nothing
 * is handled.
 */
export class Idempotency {
  readonly #store: Store;
  readonly #runtime: Runtime;
  readonly #codec: Codec;
  readonly #ttl: number;
  readonly #retention: number;
  readonly #tenantHeader: string;
  readonly #limit: number;
  readonly #flights: Map<string, Flight> = new Map();
  /** Bodies as they were sent, where checking them has put others in their place. */
  readonly #sent: WeakMap<Context, { readonly body: unknown }> = new WeakMap();
  #calls = 0;
  #watches = 0;

  /** Throws a `RangeError` for times and limits that are none. */
  constructor(runtime: Runtime, options: IdempotencyOptions) {
    const { store, codec = json, ttl = 10_000, retention = DAY, tenantHeader = "tenant", limit = 2 ** 14 } =
      options;
    refuseUnless(ttl >= SHORTEST && ttl < Infinity, `ttl is ${ttl}, but must be ${SHORTEST} ms or more`);
    refuseUnless(retention > 0, `retention is ${retention}, but must be above 0 ms`);
    refuseUnless(limit >= 1, `limit is ${limit}, but must be 1 or more`);
    this.#store = store;
    this.#runtime = runtime;
    this.#codec = codec;
    this.#ttl = ttl;
    this.#retention = retention;
    this.#tenantHeader = tenantHeader.toLowerCase();
    this.#limit = limit;
  }

  /** How many calls are under way or wait. */
  get calls(): number {
    return this.#calls;
  }

  /** Runs a step for a message, or gives the answer that an equal one got. Never rejects. */
  async run(context: Context, next: Step): Promise<Result<unknown, Fault>> {
    const { type } = context.contract;
    if (Math.max(this.#calls, this.#flights.size) >= this.#limit) {
      const message =
        `"${type}" is not handled: ${this.#limit} idempotent calls are under way, as many as may`;
      return failure(systemFault("OVERLOADED", message));
    }
    this.#calls++;
    try {
      const sent = this.#sent.get(context)?.body ?? context.body;
      return await checkInput((checked) => {
        if (checked.body !== sent) this.#sent.set(context, { body: sent });
        return this.#answer(checked as MessageContext, sent, next);
      }, context.contract)(context);
    } catch (thrown) {
      return failure(faultOf(thrown));
    } finally {
      this.#calls--;
    }
  }

  async #answer(message: MessageContext, body: unknown, next: Step): Promise<Result<unknown, Fault>> {
    const { contract, origin } = message;
    const { type } = contract;
    const headers = message.headersIfAny;
    const facts = { contract, body, headers, inherited: origin?.parent?.headersIfAny };
    const key = await callKey(facts, this.#runtime.crypto, this.#tenantHeader);
    for (;;) {
      if (message.cancelled !== undefined) return failure(message.cancelled);
      const joined = this.#flights.get(key.key);
      // It passes by twice.
      if (joined?.leader === message) return await next(message);
      if (joined !== undefined && joined.payload !== key.payload) return failure(mismatch(type));
      if (joined !== undefined && isBehind(message, joined.leader)) return failure(cycle(type));
      const result = joined === undefined
        ? await this.#lead(key, message, next)
        : await this.#wait(message, joined.outcome);
      if (result !== undefined) return result;
    }
  }

  /** Waits for a turn that another call has; `undefined` when that one has gone. */
  #wait(message: MessageContext, outcome: Promise<Outcome>): Promise<Result<unknown, Fault> | undefined> {
    return new Promise((resolve) => {
      const stop = message.whenCancelled((fault) => resolve(failure(fault)));
      void outcome.then((outcome) => {
        stop();
        resolve(this.#resultOf(message.contract.type, outcome));
      });
    });
  }

  #resultOf(type: string, outcome: Outcome): Result<unknown, Fault> | undefined {
    if (outcome.type === "gone") return undefined;
    return outcome.type === "failed"
      ? failure({ ...outcome.fault })
      : decodeAnswer(type, this.#codec, outcome.frame);
  }

  /** Takes the turn for this call and all that join it. */
  #lead(key: CallKey, message: MessageContext, next: Step): Promise<Result<unknown, Fault> | undefined> {
    const { type, idempotency } = message.contract;
    const leaving = new Ending();
    const unlink = linked(message);
    let lost: Fault | undefined;
    let watch: EntryWatch | undefined;
    return new Promise((resolve) => {
      let handling = false;
      // The claim being lost ends the handler, but not the wait for whoever answers instead.
      const stop = message.whenCancelled((fault) => {
        if (fault === lost) return;
        if (!handling) leaving.end();
        resolve(failure(fault));
      });
      const outcome = takeTurn(key, {
        store: this.#store,
        runtime: this.#runtime,
        ttl: this.#ttl,
        type,
        leaving,
        watch: () => watch ??= this.#watch(key.key),
        handle: (claim) => {
          handling = true;
          return handleOnce(claim, message, next, {
            runtime: this.#runtime,
            codec: this.#codec,
            retention: idempotency?.retention ?? this.#retention,
            lost: () => message.cancel(lost = lostClaim(type)),
          });
        },
      }).then((outcome) => {
        this.#flights.delete(key.key);
        this.#unwatch(watch);
        unlink();
        stop();
        resolve(this.#resultOf(type, outcome));
        return outcome;
      });
      this.#flights.set(key.key, { payload: key.payload, leader: message, outcome });
      this.#runtime.background(outcome);
    });
  }

  #watch(key: string): EntryWatch {
    const watch = new EntryWatch(this.#runtime, this.#ttl / 3);
    if (this.#watches++ < WATCHES) watch.begin(key, this.#store);
    return watch;
  }

  #unwatch(watch: EntryWatch | undefined): void {
    if (watch === undefined) return;
    this.#watches--;
    watch.close();
  }
}

/** Lets a message be cancelled by its claim, also where nobody else could. */
function linked(message: MessageContext): () => void {
  if (message.late?.watched === true) return () => {};
  const parent = message.origin?.parent;
  message.watch(Infinity);
  return parent?.cancellable === true ? parent.whenCancelled((fault) => message.cancel(fault)) : () => {};
}

/** Whether a message was sent because of another. */
function isBehind({ origin }: MessageContext, other: MessageContext): boolean {
  for (let at = origin?.parent; at !== undefined; at = at.origin?.parent) if (at === other) return true;
  return false;
}

function lostClaim(type: string): Fault {
  return systemFault(
    "TRANSPORT",
    `"${type}" has to stop: its claim could not be renewed, so another may handle it now`,
  );
}

function refuseUnless(fits: boolean, why: string): void {
  if (!fits) throw new RangeError(`Cannot make calls idempotent: ${why}`);
}
