import type { NodeRecord } from "./membership.ts";
import type { Status } from "./types.ts";

const NAME = /^[\w.:-]{1,64}$/;
const CONTRACTS = 1000;
const TAGS = 32;

/** A node's record as an item of a heartbeat. */
export function encodeRecord(record: NodeRecord): unknown {
  const { id, endpoint, incarnation, seq, status, contracts, load, lag, tags } = record;
  return [id, endpoint, incarnation, seq, status, load, lag, contracts, tags];
}

/** An item of a heartbeat as a node's record; `undefined` if it is none, or larger than a node may be. */
export function decodeRecord(item: unknown): NodeRecord | undefined {
  if (!Array.isArray(item)) return undefined;
  const [id, endpoint, incarnation, seq, status, load, lag, contracts, tags] = item as readonly unknown[];
  if (typeof id !== "string" || !NAME.test(id) || typeof endpoint !== "string" || endpoint.length > 512) {
    return undefined;
  }
  if (!Number.isSafeInteger(incarnation) || !Number.isSafeInteger(seq) || !isStatus(status)) return undefined;
  if (!Array.isArray(contracts) || contracts.length > CONTRACTS || !contracts.every(isShort)) {
    return undefined;
  }
  if (typeof tags !== "object" || tags === null || Array.isArray(tags)) return undefined;
  const facts = Object.values(tags);
  if (facts.length > TAGS || !facts.every(isShort)) return undefined;
  return {
    id,
    endpoint,
    incarnation: incarnation as number,
    seq: seq as number,
    status,
    load: positive(load),
    lag: positive(lag),
    contracts,
    tags: tags as Readonly<Record<string, string>>,
  };
}

/** Whether a string can name a node. */
export function isNodeName(id: string): boolean {
  return NAME.test(id);
}

function isStatus(value: unknown): value is Status {
  return value === "joining" || value === "ready" || value === "draining" || value === "left";
}

function isShort(value: unknown): value is string {
  return typeof value === "string" && value.length <= 256;
}

function positive(value: unknown): number {
  return typeof value === "number" && value >= 0 && value < Infinity ? value : 0;
}
