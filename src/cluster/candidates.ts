import type { RouteCall, Router } from "../message/route.ts";
import type { TargetState } from "./inspect.ts";
import type { Known } from "./known.ts";
import type { Membership } from "./membership.ts";
import { type Leading, Target, Traffic } from "./target.ts";

/** Which nodes may get which messages, worked out once per version of the view. */
export class Candidates {
  readonly #membership: Membership;
  readonly #leading: Leading;
  readonly #byType: Map<string, readonly Target[]> = new Map();
  readonly #traffic: Map<string, Traffic> = new Map();
  #version = -1;

  constructor(membership: Membership, leading: Leading) {
    this.#membership = membership;
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

  /** How this node's calls to others go. */
  states(): readonly TargetState[] {
    return [...this.#traffic].map(([node, { inFlight, latency }]) => ({ node, inFlight, latency }));
  }

  /** A node is gone, and with it how calls to it went. */
  forget(id: string): void {
    this.#traffic.delete(id);
  }

  #targetOf(known: Known): Target {
    const { id } = known.record;
    let traffic = this.#traffic.get(id);
    if (traffic === undefined) this.#traffic.set(id, traffic = new Traffic());
    return new Target(known, traffic, this.#leading);
  }
}

/** Asks a router, leaving out the nodes that a call was tried on. */
export function pick(
  router: Router,
  call: RouteCall,
  candidates: readonly Target[],
  tried?: ReadonlySet<string>,
): Target | undefined {
  const left = tried === undefined || tried.size === 0
    ? candidates
    : candidates.filter((target) => !tried.has(target.id));
  return left.length === 0 ? undefined : router(call, left);
}

function isCandidate({ record, reachable, suspected, local }: Known, type: string): boolean {
  if (!record.contracts.includes(type) || !reachable || suspected !== undefined) return false;
  return record.status === "ready" || (local && record.status !== "left");
}
