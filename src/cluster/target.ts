import type { RouteTarget } from "../message/route.ts";
import type { Known } from "./known.ts";
import type { NodeKind } from "./types.ts";

/** Tells who leads just now. */
export type Leading = () => { readonly id: string } | undefined;

/** How much of a new answer's time the smoothed one takes on. */
const SHARE = 0.1;

/** How this node's own calls to another go. */
export class Traffic {
  /** Calls under way there. */
  inFlight: number = 0;
  /** How long answers lately took, smoothed, in ms; 0 before the first. */
  latency: number = 0;

  /** Takes note of an answer that took so many ms. */
  answered(ms: number): void {
    this.latency = this.latency === 0 ? ms : this.latency + (ms - this.latency) * SHARE;
  }
}

/** A node as routers see it: what it said of itself, and how this node's own calls to it go just now. */
export class Target implements RouteTarget {
  readonly traffic: Traffic;
  readonly #known: Known;
  readonly #leading: Leading;

  constructor(known: Known, traffic: Traffic, leading: Leading) {
    this.#known = known;
    this.traffic = traffic;
    this.#leading = leading;
  }

  get leader(): boolean {
    return this.#leading()?.id === this.id;
  }

  get id(): string {
    return this.#known.record.id;
  }

  get endpoint(): string {
    return this.#known.record.endpoint;
  }

  get kind(): NodeKind {
    return this.#known.record.kind;
  }

  get local(): boolean {
    return this.#known.local;
  }

  get load(): number {
    return this.#known.record.load;
  }

  get lag(): number {
    return this.#known.record.lag;
  }

  get cpu(): number | undefined {
    return this.#known.record.cpu;
  }

  get memory(): number | undefined {
    return this.#known.record.memory;
  }

  get weight(): number {
    return this.#known.record.weight;
  }

  get zone(): string | undefined {
    return this.#known.record.zone;
  }

  get version(): string | undefined {
    return this.#known.record.version;
  }

  get tags(): Readonly<Record<string, string>> {
    return this.#known.record.tags;
  }

  get inFlight(): number {
    return this.traffic.inFlight;
  }

  get latency(): number {
    return this.traffic.latency;
  }
}
