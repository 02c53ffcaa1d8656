import type { RateDecision } from "./rate_limiter.ts";
import type { RateMeasure } from "./rate_limiter_measure.ts";
import { isConflict, RateLimiterSlots, type SlotsHost } from "./rate_limiter_slots.ts";

/** How often to ask the store, and how often it may fail, before a round of calls gets its answer. */
const TRIES = 8;
const FAILURES = 2;

interface Waiting {
  readonly cost: number;
  readonly resolve: (decision: RateDecision) => void;
  readonly reject: (thrown: unknown) => void;
}

/** What was taken of the store at one time. */
interface Pot {
  tokens: number;
  /** Until when it may be used, in ms of the monotonic clock. */
  readonly until: number;
}

/** One limit of one key in this process: what it has taken of it, and who waits for more. */
export class RateLimiterBucket {
  measure: RateMeasure;
  readonly #host: SlotsHost;
  readonly #slots: RateLimiterSlots;
  readonly #waiting: Set<Waiting> = new Set();
  /** Oldest first. */
  readonly #pots: Pot[] = [];
  /** Until when the store need not be asked for so much, in ms of the monotonic clock. */
  #scarceUntil = -Infinity;
  #scarceFrom = 0;
  #busy = false;

  /** @param place what the keys of its slots begin with */
  constructor(place: string, measure: RateMeasure, host: SlotsHost) {
    this.measure = measure;
    this.#host = host;
    this.#slots = new RateLimiterSlots(place, host);
  }

  /** Answers a call at once, where the store need not be asked. */
  decide(cost: number): RateDecision | undefined {
    if (this.#waiting.size > 0) return undefined;
    if (this.#use(cost)) return this.#decision(true, cost);
    const isScarce = this.#now() < this.#scarceUntil && cost >= this.#scarceFrom;
    return isScarce ? this.#decision(false, cost) : undefined;
  }

  /** Answers a call with what the store says. */
  ask(cost: number, signal: AbortSignal | undefined, cancelled: () => Error): Promise<RateDecision> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiting);
        signal?.removeEventListener("abort", abort);
      };
      const abort = (): void => waiting.reject(cancelled());
      const waiting: Waiting = {
        cost,
        resolve: (decision) => (leave(), resolve(decision)),
        reject: (thrown) => (leave(), reject(thrown)),
      };
      this.#waiting.add(waiting);
      signal?.addEventListener("abort", abort, { once: true });
      if (this.#busy) return;
      this.#busy = true;
      this.#host.runtime.background(this.#serve());
    });
  }

  /** Answers all who wait, those together who have come while the others were answered. */
  async #serve(): Promise<void> {
    while (this.#waiting.size > 0) {
      const round = [...this.#waiting];
      const failure = await this.#fill(round.map(({ cost }) => cost));
      for (const waiting of round) {
        if (!this.#waiting.has(waiting)) continue;
        const { cost } = waiting;
        if (this.#use(cost)) waiting.resolve(this.#decision(true, cost));
        else if (failure === undefined) waiting.resolve(this.#decision(false, cost));
        else waiting.reject(failure.cause);
      }
    }
    this.#busy = false;
  }

  /** Takes of the store what is enough for calls that cost so much, or for some of them; or says why not. */
  async #fill(costs: readonly number[]): Promise<{ readonly cause: unknown } | undefined> {
    let isFresh = false;
    for (let tries = 1, failures = 0; tries <= TRIES; tries++) {
      try {
        if (!isFresh && (tries > 1 || this.#plan(costs).refused !== undefined)) {
          await this.#slots.look(this.measure);
          isFresh = true;
        }
        const { tokens, refused } = this.#plan(costs);
        const missing = tokens - this.#have();
        if (missing > 0) {
          await this.#take(missing);
          if (refused === undefined && this.#have() >= tokens) return undefined;
        } else if (refused === undefined) return undefined;
        else if (isFresh) return this.#remember(refused);
      } catch (thrown) {
        isFresh = false;
        if (!isConflict(thrown) && ++failures >= FAILURES) return { cause: thrown };
      }
    }
    return undefined;
  }

  /** How much to have for calls that cost so much, in order, and the least that there is not enough for. */
  #plan(costs: readonly number[]): { readonly tokens: number; readonly refused: number | undefined } {
    const left = this.#left();
    let tokens = 0;
    let refused: number | undefined;
    for (const cost of costs) {
      if (tokens + cost <= left) tokens += cost;
      else refused = Math.min(cost, refused ?? Infinity);
    }
    const reserve = Math.min(this.measure.reserve, left);
    return { tokens: tokens === 0 ? 0 : Math.max(tokens, reserve), refused };
  }

  async #take(missing: number): Promise<void> {
    // Nothing is used later than so much time after this, and it counts for a window from then on.
    const until = this.#now() + this.measure.slack;
    const { tokens, failure } = await this.#slots.take(this.measure, missing);
    if (tokens > 0) this.#pots.push({ tokens, until });
    if (failure !== undefined) throw failure.cause;
  }

  /** Whoever asks again at once gets the same answer. */
  #remember(refused: number): undefined {
    this.#scarceFrom = refused;
    this.#scarceUntil = this.#now() + Math.min(this.measure.slack, this.#wait(refused));
  }

  #use(cost: number): boolean {
    if (this.#have() < cost) return false;
    for (let left = cost; left > 0;) {
      const pot = this.#pots[0]!;
      const used = Math.min(left, pot.tokens);
      left -= used;
      pot.tokens -= used;
      if (pot.tokens === 0) this.#pots.shift();
    }
    return true;
  }

  /** How much was taken that may still be used. */
  #have(): number {
    const now = this.#now();
    while (this.#pots.length > 0 && now >= this.#pots[0]!.until) this.#pots.shift();
    return this.#pots.reduce((sum, { tokens }) => sum + tokens, 0);
  }

  /** How much there is, as far as is known. */
  #left(): number {
    return this.#have() + this.#slots.left(this.measure);
  }

  #decision(allowed: boolean, cost: number): RateDecision {
    return { allowed, remaining: this.#left(), retryAfter: allowed ? 0 : this.#wait(cost) };
  }

  /** When there will be so much at the latest, in ms from now. */
  #wait(cost: number): number {
    const now = this.#now();
    const missing = cost - this.#left();
    // Where there is enough, others were faster.
    const back = missing > 0 ? this.#slots.back(missing) : now + this.measure.slack;
    return Math.max(back - now, 1);
  }

  #now(): number {
    return this.#host.runtime.clock.mono();
  }
}
