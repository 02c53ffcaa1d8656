import type { GuardedNode, GuardOptions } from "./guard_types.ts";
import { CallRecord, outliers } from "../internal/moving_average.ts";
import type { Fault, Result } from "../result.ts";

/** What a call says of the node it was on; `retryAfter`: it failed, and the node wants no calls for so many ms. */
export type Outcome = "answered" | "failed" | "neutral" | { readonly retryAfter: number };

/** What counts as a failure of the node, if no handler answered with it. */
const CHARGED: ReadonlySet<string> = new Set(["UNAVAILABLE", "OVERLOADED", "TRANSPORT", "TIMEOUT"]);
/** Failures in a row that eject a node, times in a row until it is isolated, ms that a probe keeps others back. */
const [EJECTED_AFTER, ISOLATED_AFTER, PROBE] = [3, 5, 10_000];
/** A slow node takes so many ms more than others; compared so often, by so many answers with such a half-life. */
const [SLOW_BY, COMPARED_EACH, SAMPLES, HALF_LIFE] = [25, 1000, 5, 5000];
/** What a difference of times may be off by. */
const ROUNDING = 0.001;
const DEFAULTS: Required<GuardOptions> = {
  ...{ failures: 5, failureRate: 0.5, calls: 20, window: 10_000, open: 1000, maxOpen: 60_000 },
  ...{ slowFactor: 4, members: 1024 },
};
/** How much is against a node. */
const [FINE, EJECTED, HELD, OPEN, ISOLATED] = [0, 1, 2, 3, 4];

class Watched {
  readonly id: string;
  readonly calls: CallRecord;
  isolated = false;
  out: "open" | "failing" | "slow" | undefined = undefined;
  until = 0;
  times = 0;
  probeSince = Infinity;
  notBefore = 0;
  /** What began before the circuit changed says nothing about it, nor does what began before about latency. */
  changed = -Infinity;
  fresh = -Infinity;

  constructor(id: string, window: number) {
    this.id = id;
    this.calls = new CallRecord(window, HALF_LIFE);
  }
}

/** Says which nodes may get calls, by how earlier ones went. Times are those of one steady clock from 0 on, in ms. */
export class Guard {
  readonly #options: Required<GuardOptions>;
  readonly #u32: () => number;
  readonly #watched: Map<string, Watched> = new Map();
  /** Those that something is or was lately against: nearly always none. */
  readonly #troubled: Set<Watched> = new Set();
  #compared = 0;

  /** A `u32` that gives random whole numbers below 2^32 leaves nodes out for up to a tenth longer. */
  constructor(options: GuardOptions = {}, u32: () => number = () => 0) {
    this.#options = { ...DEFAULTS, ...options };
    this.#u32 = u32;
    for (const [name, value] of Object.entries<number>(this.#options)) {
      if (!(value > 0)) throw new RangeError(`Cannot guard nodes: ${name} is ${value}, but must be over 0`);
    }
  }

  /**
   * Those that may get a call: the list itself while nothing is against anyone. When something is against all, those
   * with the least against them; nobody only when all were isolated by hand.
   */
  allowed<T extends { readonly id: string }>(candidates: readonly T[], now: number): readonly T[] {
    if (this.#troubled.size === 0) return candidates;
    for (const node of this.#troubled) if (!this.#lapse(node, now)) this.#troubled.delete(node);
    const ranks = this.#ranks(candidates, now);
    const best = Math.min(...ranks);
    if (best === ISOLATED) return [];
    return ranks.every((rank) => rank === best) ? candidates : candidates.filter((_, i) => ranks[i] === best);
  }

  /** A node gets a call. The first one after its circuit was open long enough is the probe. */
  began(id: string, now: number): void {
    const node = this.#get(id);
    if (node?.out === "open" && now >= node.until && !isProbing(node, now)) node.probeSince = now;
  }

  /** Takes what came of a call that {@linkcode Guard.began} was told of `latency` ms ago, also if it failed. */
  ended(id: string, outcome: Outcome, latency: number, now: number): void {
    const node = this.#watched.get(id);
    if (node === undefined) return;
    if (typeof outcome === "object") {
      node.notBefore = Math.max(node.notBefore, now + Math.min(outcome.retryAfter, this.#options.maxOpen));
      this.#troubled.add(node);
    }
    const began = now - latency + ROUNDING;
    if (began < node.changed) return;
    if (node.out === "open") return this.#endedOpen(node, outcome, began, now);
    if (outcome === "neutral") return;
    const failed = outcome !== "answered";
    node.calls.add(failed, began < node.fresh ? undefined : latency, now);
    if (failed) this.#judge(node, now);
    else if (now - this.#compared >= COMPARED_EACH) this.#compare(this.#compared = now);
  }

  /** Gives a node no calls until it is restored, not even when nobody else is left. */
  isolate(id: string): void {
    const node = this.#get(id);
    if (node === undefined) throw new RangeError(`Cannot isolate "${id}": too many nodes are watched`);
    node.isolated = true;
    this.#troubled.add(node);
  }

  /** Forgets what is against a node. */
  restore(id: string): void {
    this.#troubled.delete(this.#watched.get(id)!);
    this.#watched.delete(id);
  }

  /** A node is gone: forgets it, unless it was isolated by hand. */
  forget(id: string): void {
    if (this.#watched.get(id)?.isolated !== true) this.restore(id);
  }

  /** How the nodes stand that calls were made to. */
  snapshot(now: number): GuardedNode[] {
    return Array.from(this.#watched.values(), (node) => {
      this.#lapse(node, now);
      const { id, out, until, notBefore, calls: { row, share, latency } } = node;
      share.advance(now);
      return {
        ...{ id, state: this.#stateOf(node, now), until: out === undefined ? 0 : until },
        ...{ notBefore: now < notBefore ? notBefore : 0, failuresInRow: row },
        ...{ calls: share.total, failed: share.failed, latency: latency.value },
      };
    });
  }

  #stateOf(node: Watched, now: number): GuardedNode["state"] {
    if (node.isolated) return "isolatedByHand";
    if (isProbing(node, now)) return "probing";
    return node.out === "open" && node.times >= ISOLATED_AFTER ? "isolated" : node.out ?? "closed";
  }

  #get(id: string): Watched | undefined {
    let node = this.#watched.get(id);
    if (node === undefined && this.#watched.size < this.#options.members) {
      this.#watched.set(id, node = new Watched(id, this.#options.window));
    }
    return node;
  }

  /** Each candidate's rank; what is ejected over half of them is not, beginning with whose time is up first. */
  #ranks(candidates: readonly { readonly id: string }[], now: number): number[] {
    const nodes = candidates.map(({ id }) => this.#watched.get(id));
    const ranks = nodes.map((node) => node === undefined ? FINE : this.#rank(node, now));
    const most = ranks.filter((rank) => rank < ISOLATED).length >> 1;
    const ejected = [...ranks.keys()].filter((at) => ranks[at] === EJECTED);
    ejected.sort((a, b) => nodes[b]!.until - nodes[a]!.until);
    for (const at of ejected.slice(most)) ranks[at] = FINE;
    return ranks;
  }

  #rank(node: Watched, now: number): number {
    if (node.isolated) return ISOLATED;
    if (node.out === "open" && (now < node.until || isProbing(node, now))) return OPEN;
    if (now < node.notBefore) return HELD;
    return node.out !== "open" && now < node.until ? EJECTED : FINE;
  }

  /** Ends an ejection when its time is up; whether anything is still against the node. */
  #lapse(node: Watched, now: number): boolean {
    if (node.out !== "open" && now >= node.until) node.out = undefined;
    return node.isolated || node.out !== undefined || now < node.notBefore;
  }

  #endedOpen(node: Watched, outcome: Outcome, began: number, now: number): void {
    const probed = began >= node.probeSince;
    if (probed) node.probeSince = Infinity;
    if (probed && outcome !== "answered" && outcome !== "neutral") return this.#leaveOut(node, "open", now);
    if (outcome !== "answered") return;
    node.out = undefined;
    node.until = node.changed = now;
    node.calls.clear();
  }

  #judge(node: Watched, now: number): void {
    if (node.calls.fails(this.#options)) this.#leaveOut(node, "open", now);
    else if (node.calls.row >= EJECTED_AFTER && now >= node.until) this.#leaveOut(node, "failing", now);
  }

  /** Ejects those that are much slower than the others. */
  #compare(now: number): void {
    const nodes = [...this.#watched.values()].filter(({ calls }) => calls.latency.weight(now) >= SAMPLES);
    const slow = outliers(nodes, ({ calls }) => calls.latency.value, this.#options.slowFactor, SLOW_BY);
    for (const node of slow) if (node.out === undefined) this.#leaveOut(node, "slow", now);
  }

  #leaveOut(node: Watched, out: NonNullable<Watched["out"]>, now: number): void {
    const { open, maxOpen } = this.#options;
    if (node.out === undefined && now - node.until >= maxOpen) node.times = 0;
    if (node.out === "open" || now >= node.until) node.times++;
    const wait = node.times >= ISOLATED_AFTER ? maxOpen : Math.min(open * 2 ** (node.times - 1), maxOpen);
    node.out = out;
    node.until = now + wait * (1 + this.#u32() / 2 ** 32 / 10);
    if (out === "open") node.changed = now;
    if (out === "slow") node.fresh = node.until;
    node.calls.latency.clear();
    this.#troubled.add(node);
  }
}

/** What the result of a try says of its node; `answered`: a handler there gave it, whose failures are not the node's. */
export function outcomeOf(result: Result<unknown, Fault>, answered: boolean): Outcome {
  if (result.ok) return "answered";
  const { code, data } = result.error;
  if (answered) return code === "CANCELLED" || code === "TIMEOUT" ? "neutral" : "answered";
  if (!CHARGED.has(code)) return "neutral";
  const retryAfter = Number((data as { retryAfter?: unknown } | undefined | null)?.retryAfter);
  return retryAfter > 0 ? { retryAfter } : "failed";
}

function isProbing({ out, probeSince }: Watched, now: number): boolean {
  return out === "open" && now >= probeSince && now < probeSince + PROBE;
}
