import type { RouteTarget } from "../message/route.ts";
import { MovingAverage } from "../internal/moving_average.ts";
import type { Guard, Outcome } from "./guard.ts";
import type { Known } from "./known.ts";
import type { NodeKind } from "./types.ts";

/** Tells who leads just now. */
export type Leading = () => { readonly id: string } | undefined;

/** After so many ms an answer counts half. */
const HALF_LIFE = 5000;

/** How this node's own calls to another go. */
export class Traffic {
  /** Calls under way there. */
  inFlight: number = 0;
  readonly #id: string;
  readonly #guard: Guard;
  readonly #latency: MovingAverage = new MovingAverage(HALF_LIFE);

  constructor(id: string, guard: Guard) {
    this.#id = id;
    this.#guard = guard;
  }

  /** How long answers lately took, smoothed, in ms; 0 before the first. */
  get latency(): number {
    return this.#latency.value;
  }

  /** A call goes there. */
  began(now: number): void {
    this.inFlight++;
    this.#guard.began(this.#id, now);
  }

  /** What came of a call that began so many ms ago. */
  ended(outcome: Outcome, ms: number, now: number): void {
    this.inFlight--;
    if (outcome === "answered") this.#latency.add(ms, now);
    this.#guard.ended(this.#id, outcome, ms, now);
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
