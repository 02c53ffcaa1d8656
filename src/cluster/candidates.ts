import type { RouteCall, Router } from "../message/route.ts";
import type { Guard } from "./guard.ts";
import type { TargetState } from "./inspect.ts";
import type { Known } from "./known.ts";
import type { Membership } from "./membership.ts";
import { type Leading, Target, Traffic } from "./target.ts";

/** Which nodes may get which messages, worked out once per version of the view. */
export class Candidates {
  readonly #membership: Membership;
  readonly #leading: Leading;
  readonly #now: () => number;
  /** What keeps calls from nodes that fail. */
  readonly guard: Guard;
  readonly #byType: Map<string, readonly Target[]> = new Map();
  readonly #traffic: Map<string, Traffic> = new Map();
  #version = -1;

  constructor(membership: Membership, leading: Leading, guard: Guard, now: () => number) {
    this.#membership = membership;
    this.guard = guard;
    this.#now = now;
    this.#leading = leading;
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
    return allowed.length === 0 ? undefined : router(call, allowed);
  }

  /** How this node's calls to others go. */
  states(): readonly TargetState[] {
    return this.guard.snapshot(this.#now()).map((state) => ({
      ...state,
      inFlight: this.#traffic.get(state.id)?.inFlight ?? 0,
    }));
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

function isCandidate({ record, reachable, suspected, local }: Known, type: string): boolean {
  if (!record.contracts.includes(type) || !reachable || suspected !== undefined) return false;
  return record.status === "ready" || (local && record.status !== "left");
}
