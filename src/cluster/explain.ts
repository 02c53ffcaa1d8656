import type { Contract } from "../message/contract.ts";
import type { Message } from "../message/message.ts";
import type { Router } from "../message/route.ts";
import type { Candidates } from "./candidates.ts";
import type { Explanation } from "./inspect.ts";
import type { Known } from "./known.ts";
import type { Membership } from "./membership.ts";
import type { Shards } from "./shards/shards.ts";

/** What {@linkcode explain} looks at. */
export interface Situation {
  readonly membership: Membership;
  readonly candidates: Candidates;
  readonly shards: Shards;
  readonly contract: Contract | undefined;
  /** The router of the send, if it has one. */
  readonly route: Router | undefined;
  /** The node's own. */
  readonly router: Router;
}

/** Tells where a message would go and why, and sends nothing. */
export function explain({ type, body }: Message, situation: Situation): Explanation {
  const { membership, candidates, shards, contract, route, router } = situation;
  const key = contract?.key?.(body);
  const targets = candidates.of(type);
  const shard = contract?.shard && shards.stateOf(type, contract.shard, body);
  const chosen = route ?? contract?.route ?? router;
  const call = { type, key, zone: membership.self.zone, peek: true };
  const serving = membership.everyone().filter(({ record }) => record.contracts.includes(type));
  const names = new Set(targets.map(({ id }) => id));
  const target = shard === undefined || route !== undefined
    ? candidates.pick(chosen, call)
    : shard.here === "owned"
    ? targets.find(({ local }) => local)
    : shard.owner === undefined
    ? undefined
    : candidates.named(type, shard.owner);
  return {
    type,
    key,
    routedBy: route !== undefined
      ? "send"
      : shard !== undefined
      ? "shard"
      : contract?.route !== undefined
      ? "contract"
      : "node",
    shard,
    node: target?.id,
    candidates: [...names],
    leftOut: serving.filter(({ record }) => !names.has(record.id))
      .map((known) => ({ node: known.record.id, why: whyNot(known) })),
  };
}

function whyNot({ record, reachable, suspected, settling }: Known): string {
  if (record.status !== "ready") return `it is ${record.status}`;
  if (settling) return "it restarted too often and has to stand for three heartbeats first";
  if (!reachable) return "this node cannot reach it";
  return suspected === undefined ? "it is protected" : "nobody could reach it lately";
}
