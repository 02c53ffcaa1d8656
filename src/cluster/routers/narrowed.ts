import type { RouteTarget } from "../../message/route.ts";

/** Those of some candidates that a router looks at; worked out once per list, as lists stay while nodes do. */
export class Narrowed {
  readonly #keep: (target: RouteTarget) => boolean;
  readonly #known: WeakMap<readonly RouteTarget[], readonly RouteTarget[]> = new WeakMap();

  constructor(keep: (target: RouteTarget) => boolean) {
    this.#keep = keep;
  }

  of<T extends RouteTarget>(candidates: readonly T[]): readonly T[] {
    let kept = this.#known.get(candidates) as readonly T[] | undefined;
    if (kept === undefined) this.#known.set(candidates, kept = candidates.filter(this.#keep));
    return kept;
  }
}
