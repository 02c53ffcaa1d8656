import type { Contract } from "../message/contract.ts";
import type { Message } from "../message/message.ts";
import type { CachePolicy } from "../message/policy.ts";
import type { RouteCall, Router } from "../message/route.ts";
import { turnClock } from "../internal/turn_clock.ts";
import type { Runtime } from "../ports/runtime.ts";
import { Guard } from "./guard.ts";
import type { GuardOptions } from "./guard_types.ts";
import { type HotKey, type HotKeyOptions, HotKeys } from "./hot_keys.ts";
import type { TargetState } from "./inspect.ts";
import type { Known } from "./known.ts";
import type { Membership } from "./membership.ts";
import { type Leading, Target, Traffic } from "./target.ts";

/** What is said of how nodes are chosen. */
export interface CandidateOptions {
  readonly leading: Leading;
  readonly guard: GuardOptions | undefined;
  readonly hotKeys: HotKeyOptions | undefined;
}

/** Which nodes may get which messages, worked out once per version of the view. */
export class Candidates {
  /** What keeps calls from nodes that fail. */
  readonly guard: Guard;
  /** Counts the keys of calls, where that is wanted. */
  readonly hotKeys: HotKeys | undefined;
  readonly #membership: Membership;
  readonly #leading: Leading;
  readonly #now: () => number;
  readonly #byType: Map<string, readonly Target[]> = new Map();
  readonly #traffic: Map<string, Traffic> = new Map();
  #version = -1;

  constructor(membership: Membership, { leading, guard, hotKeys }: CandidateOptions, runtime: Runtime) {
    this.#membership = membership;
    this.#leading = leading;
    this.guard = new Guard(guard, () => runtime.random.u32());
    this.hotKeys = hotKeys === undefined ? undefined : new HotKeys(hotKeys);
    this.#now = turnClock(() => runtime.clock.mono());
  }

  /** A call is made. Answers how its answer is to be kept because its key is hot. */
  heat({ type, body }: Message, contract: Contract | undefined): CachePolicy<unknown> | undefined {
    if (this.hotKeys === undefined) return undefined;
    const key = contract?.key?.(body);
    if (key === undefined) return undefined;
    const event = this.hotKeys.hit(type, key, this.#now());
    if (event !== undefined) this.#membership.note(event);
    const response = this.hotKeys.response(type, key);
    return response?.type === "cache" && response.ttl > 0 ? response : undefined;
  }

  /** Some time has passed: keys may have cooled. */
  tick(now: number): void {
    for (const event of this.hotKeys?.tick(now) ?? []) this.#membership.note(event);
  }

  /** The nodes that serve a message, are ready and can be reached; a leaving node only keeps what it sends itself. */
  of(type: string): readonly Target[] {
    const { version } = this.#membership;
    if (version !== this.#version) {
      this.#version = version;
      this.#byType.clear();
    }
    let targets = this.#byType.get(type);
    if (targets === undefined) {
      const known = this.#membership.everyone().filter((known) => isCandidate(known, type));
      targets = known.map((known) => this.#targetOf(known));
      this.#byType.set(type, targets);
    }
    return targets;
  }

  /** The names of all nodes that serve a message, without those that many instances stand behind. */
  serving(type: string): readonly string[] {
    return this.of(type).filter(({ kind }) => kind !== "service").map(({ id }) => id);
  }

  /** Asks a router for one of them that may get a call, leaving out those that it was tried on. */
  pick(router: Router, call: RouteCall, tried?: ReadonlySet<string>): Target | undefined {
    const all = this.of(call.type);
    const untried = tried === undefined || tried.size === 0 ? all : all.filter(({ id }) => !tried.has(id));
    if (untried.length === 0) return undefined;
    const allowed = this.guard.allowed(untried, this.#now());
    if (allowed.length === 0) return undefined;
    const response = call.key === undefined ? undefined : this.hotKeys?.response(call.type, call.key);
    return response?.type === "split"
      ? idlest(router, call, allowed, response.owners)
      : router(call, allowed);
  }

  /** The node of a name, if it may get such a call and was not isolated by hand. */
  named(type: string, id: string): Target | undefined {
    const target = this.of(type).find((target) => target.id === id);
    return target && this.guard.allowed([target], this.#now())[0];
  }

  /** How this node's calls to others go. */
  states(): readonly TargetState[] {
    return this.guard.snapshot(this.#now()).map((state) => ({
      ...state,
      inFlight: this.#traffic.get(state.id)?.inFlight ?? 0,
    }));
  }

  /** The keys that are hot just now. */
  hot(): readonly HotKey[] {
    return this.hotKeys?.list(this.#now()) ?? [];
  }

  /** A node is gone, and with it how calls to it went. */
  forget(id: string): void {
    this.#traffic.delete(id);
    this.guard.forget(id);
  }

  #targetOf(known: Known): Target {
    const { id } = known.record;
    let traffic = this.#traffic.get(id);
    if (traffic === undefined) this.#traffic.set(id, traffic = new Traffic(id, this.guard));
    return new Target(known, traffic, this.#leading);
  }
}

function isCandidate({ record, reachable, suspected, settling, local }: Known, type: string): boolean {
  if (!record.contracts.includes(type) || !reachable || suspected !== undefined || settling) return false;
  return record.status === "ready" || (local && record.status !== "left");
}

/** Of the first so many nodes that a router takes the one with the fewest calls of this node. */
function idlest(
  router: Router,
  call: RouteCall,
  candidates: readonly Target[],
  count: number,
): Target | undefined {
  let best: Target | undefined;
  let left = candidates;
  for (let n = 0; n < count && left.length > 0; n++) {
    const next = router(call, left);
    if (next === undefined) break;
    if (best === undefined || next.inFlight < best.inFlight) best = next;
    left = left.filter((target) => target !== next);
  }
  return best;
}
