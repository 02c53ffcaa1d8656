import type { LinkConditions, NetworkOptions } from "./network_types.ts";

const CALM: LinkConditions = {
  latency: [0.2, 2],
  loss: 0,
  duplicate: 0,
  reorder: 0,
  slow: 0,
  slowLatency: [500, 6000],
};

/** How frames fare on each way from one node to another. */
export class Links {
  readonly #links: Map<string, LinkConditions> = new Map();
  readonly #cuts: Set<string> = new Set();
  #base: LinkConditions;

  constructor(options: NetworkOptions) {
    this.#base = checked({ ...CALM, ...options });
  }

  between(from: string, to: string): LinkConditions {
    return this.#links.size === 0 ? this.#base : this.#links.get(nameOf(from, to)) ?? this.#base;
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(nameOf(from, to));
  }

  /** Changes one link, or what holds for all that have nothing of their own. */
  change(conditions: Partial<LinkConditions>, from: string | undefined, to: string | undefined): void {
    if (from === undefined || to === undefined) this.#base = checked({ ...this.#base, ...conditions });
    else this.#links.set(nameOf(from, to), checked({ ...this.between(from, to), ...conditions }));
  }

  /** Cuts a link; whether it was whole. */
  cut(from: string, to: string): boolean {
    if (this.isCut(from, to)) return false;
    this.#cuts.add(nameOf(from, to));
    return true;
  }

  /** Undoes a cut; whether there was one. */
  mend(from: string, to: string): boolean {
    return this.#cuts.delete(nameOf(from, to));
  }

  heal(): void {
    this.#cuts.clear();
    this.#links.clear();
    this.#base = { ...CALM, latency: this.#base.latency };
  }
}

function nameOf(from: string, to: string): string {
  return `${from} -> ${to}`;
}

function checked(conditions: LinkConditions): LinkConditions {
  for (const rate of ["loss", "duplicate", "reorder", "slow"] as const) {
    const value = conditions[rate];
    if (!(value >= 0 && value <= 1)) {
      throw new RangeError(`Cannot shape a link: ${rate} is ${value}, but must be 0 to 1`);
    }
  }
  for (const range of ["latency", "slowLatency"] as const) {
    const [least, most] = conditions[range];
    if (!(least >= 0 && least <= most && most < Infinity)) {
      throw new RangeError(
        `Cannot shape a link: ${range} is [${least}, ${most}], but must go from 0 ms or more upwards`,
      );
    }
  }
  return conditions;
}
