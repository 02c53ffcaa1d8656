import type { NodeKind, Status } from "./types.ts";

/** What a node says of itself, and others pass on. */
export interface NodeRecord extends Vitals {
  readonly endpoint: string;
  readonly kind: NodeKind;
  readonly status: Status;
  readonly contracts: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  readonly zone: string | undefined;
  readonly version: string | undefined;
  readonly weight: number;
  /** Since when it stands for leader, by its own wall clock in ms; the one that stood first leads. */
  readonly standing: number;
  /** Whether it can own shards just now. */
  readonly fit: boolean;
}

/** The part of a record that each heartbeat carries. */
export interface Vitals {
  readonly id: string;
  /** Told apart from other lives of the same name; the larger is the later. */
  readonly incarnation: number;
  /** Grows with each change of what else is in the record. */
  readonly revision: number;
  /** Grows with each heartbeat of one incarnation. */
  readonly seq: number;
  readonly load: number;
  readonly lag: number;
  readonly cpu: number | undefined;
  readonly memory: number | undefined;
}

const NAME = /^[\w.:-]{1,64}$/;
const CONTRACTS = 1000;
const TAGS = 32;

/** A node's vitals as an item of a heartbeat. */
export function encodeVitals(vitals: Vitals): readonly unknown[] {
  const { id, incarnation, revision, seq, load, lag, cpu, memory } = vitals;
  return [id, incarnation, revision, seq, load, lag, cpu ?? -1, memory ?? -1];
}

/** A node's record as an item of a heartbeat. */
export function encodeRecord(record: NodeRecord): readonly unknown[] {
  const { endpoint, kind, status, contracts, tags, zone = "", version = "", weight, standing, fit } = record;
  const facts = [endpoint, kind, status, contracts, tags, zone, version, weight, standing, fit ? 1 : 0];
  return [encodeVitals(record), ...facts];
}

/** An item of a heartbeat as a node's vitals; `undefined` if it is none. */
export function decodeVitals(item: unknown): Vitals | undefined {
  if (!Array.isArray(item)) return undefined;
  const [id, incarnation, revision, seq, load, lag, cpu, memory] = item as readonly unknown[];
  if (!isNodeName(id) || !isCount(incarnation) || !isCount(revision) || !isCount(seq)) return undefined;
  return {
    id,
    incarnation,
    revision,
    seq,
    load: positive(load) ?? 0,
    lag: positive(lag) ?? 0,
    cpu: positive(cpu),
    memory: positive(memory),
  };
}

/** An item of a heartbeat as a node's record; `undefined` if it is none, or larger than a node may be. */
export function decodeRecord(item: unknown): NodeRecord | undefined {
  if (!Array.isArray(item)) return undefined;
  const [first, endpoint, kind, status, contracts, tags, zone, version, weight, standing, fit] =
    item as readonly unknown[];
  const vitals = decodeVitals(first);
  if (vitals === undefined || typeof endpoint !== "string" || endpoint.length > 512) return undefined;
  if (!isKind(kind) || !isStatus(status) || !isShort(zone) || !isShort(version)) return undefined;
  if (!Array.isArray(contracts) || contracts.length > CONTRACTS || !contracts.every(isShort)) {
    return undefined;
  }
  if (typeof tags !== "object" || tags === null || Array.isArray(tags)) return undefined;
  const facts = Object.values(tags);
  if (facts.length > TAGS || !facts.every(isShort)) return undefined;
  return {
    ...vitals,
    endpoint,
    kind,
    status,
    contracts,
    tags: tags as Readonly<Record<string, string>>,
    zone: zone === "" ? undefined : zone,
    version: version === "" ? undefined : version,
    weight: positive(weight) ?? 1,
    standing: positive(standing) ?? 0,
    fit: fit === 1,
  };
}

/** Whether a value can name a node. */
export function isNodeName(value: unknown): value is string {
  return typeof value === "string" && NAME.test(value);
}

/** Whether a value can be an incarnation, a revision or a sequence number. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}

function isKind(value: unknown): value is NodeKind {
  return value === "process" || value === "object" || value === "service";
}

function isStatus(value: unknown): value is Status {
  return value === "joining" || value === "ready" || value === "draining" || value === "left";
}

function isShort(value: unknown): value is string {
  return typeof value === "string" && value.length <= 256;
}

function positive(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 && value < Infinity ? value : undefined;
}
