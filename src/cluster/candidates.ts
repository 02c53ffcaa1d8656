import type { RouteCall, Router } from "../message/route.ts";
import type { Member } from "./types.ts";

const NONE: readonly Member[] = [];

/** Which nodes may get which messages, worked out once per view. */
export class Candidates {
  #view: readonly Member[] = NONE;
  readonly #byType: Map<string, readonly Member[]> = new Map();

  /** The nodes that serve a message, are ready and can be reached; a leaving node only keeps what it sends itself. */
  of(type: string, view: readonly Member[]): readonly Member[] {
    if (view !== this.#view) {
      this.#view = view;
      this.#byType.clear();
    }
    let members = this.#byType.get(type);
    if (members === undefined) {
      members = view.filter((member) => isCandidate(member, type));
      this.#byType.set(type, members);
    }
    return members;
  }
}

/** Asks a router, leaving out the nodes that a call was tried on. */
export function pick(
  router: Router,
  call: RouteCall,
  candidates: readonly Member[],
  tried?: ReadonlySet<string>,
): Member | undefined {
  const left = tried === undefined || tried.size === 0
    ? candidates
    : candidates.filter((member) => !tried.has(member.id));
  return left.length === 0 ? undefined : router(call, left);
}

function isCandidate(member: Member, type: string): boolean {
  if (!member.contracts.includes(type) || !member.reachable) return false;
  return member.status === "ready" || (member.local && member.status !== "left");
}
