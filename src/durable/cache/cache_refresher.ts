import { type Fault, faultOf, isResult, type Result, unwrap } from "../../result.ts";
import type { CacheFillerHost } from "./cache_filler.ts";
import { CacheClaim, type CacheClaimHost } from "./cache_claim.ts";
import type { CachePolicy } from "./cache_policy.ts";
import { encodeValue } from "./cache_record.ts";
import type { Compute } from "./cache_types.ts";

/** How many values may be computed anew at once. */
const REFRESHES = 256;

/** Computes values anew in the background. */
export class CacheRefresher<V> {
  readonly #host: CacheFillerHost<V>;
  readonly #claims: CacheClaimHost;
  readonly #under: Map<string, AbortController> = new Map();
  #closed = false;

  constructor(host: CacheFillerHost<V>, claims: CacheClaimHost) {
    this.#host = host;
    this.#claims = claims;
  }

  /** Ends all of it. */
  close(): void {
    this.#closed = true;
    for (const over of this.#under.values()) over.abort();
  }

  /** Computes a value anew while the one that is past its time is answered. */
  begin(key: string, compute: Compute<V>, policy: CachePolicy, revision: number): void {
    const { runtime, timeout } = this.#host;
    if (this.#closed || this.#under.has(key) || this.#under.size >= REFRESHES) return;
    const over = new AbortController();
    this.#under.set(key, over);
    const end = (): void => {
      stop();
      if (this.#under.get(key) === over) this.#under.delete(key);
    };
    const stop = runtime.clock.timer(timeout, () => over.abort());
    over.signal.addEventListener("abort", end, { once: true });
    const work = this.#renew(key, compute, policy, revision, over.signal);
    runtime.background(work.catch((thrown) => this.#warn(key, thrown)).finally(end));
  }

  #warn(key: string, thrown: unknown): void {
    const { runtime, namespace } = this.#host;
    const { code, message } = faultOf(thrown);
    // It was set or deleted meanwhile.
    if (code === "CONFLICT") return;
    runtime.log({
      level: "warn",
      event: "cache.refresh_failed",
      message: `Could not compute "${key}" of "${namespace}" anew: ${message}`,
      fields: { key, namespace, code },
    });
  }

  async #renew(
    key: string,
    compute: Compute<V>,
    { ttl, stale, tags }: CachePolicy,
    expected: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { shelf, near, runtime: { clock, random } } = this.#host;
    // The mark is the claim as well: while it is there nobody else computes.
    const mark = await CacheClaim.take(this.#claims, shelf.keyOf("mark", key), `${random.u32()}`, "absent");
    if (mark === undefined) return;
    signal.addEventListener("abort", () => mark.leave(), { once: true });
    try {
      const begun = clock.mono();
      const value = await computed(compute, signal, this.#host.counts);
      const text = encodeValue({ value, tags, since: mark.since, marked: stale > 0 });
      const left = ttl - (clock.mono() - begun);
      if (text === undefined) return logUnkept(key, this.#host);
      if (signal.aborted || !(left > 0)) return;
      await shelf.put(shelf.keyOf("value", key), text, { expected, ttl: left + stale });
      near?.drop(key);
      if (stale > 0) await mark.write("{}", left);
    } finally {
      // Where it failed nobody tries again before its time is over.
      mark.leave();
    }
  }
}

/** What computing answers; throws the failure where it is one. */
export async function computed<V>(
  compute: Compute<V>,
  signal: AbortSignal,
  counts: { computed: number },
): Promise<V> {
  counts.computed++;
  const answer = await compute(signal);
  return isResult(answer) ? unwrap(answer as Result<V, Fault>) : answer as V;
}

/** Says that a value was computed that is not kept. */
export function logUnkept(
  key: string,
  { runtime, namespace }: Pick<CacheFillerHost<unknown>, "runtime" | "namespace">,
): void {
  runtime.log({
    level: "warn",
    event: "cache.unkept",
    message: `"${key}" of "${namespace}" is not kept: it does not fit, is no plain data or too large`,
    fields: { key, namespace },
  });
}
