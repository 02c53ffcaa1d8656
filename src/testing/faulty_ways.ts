import { CatgaError, systemFault } from "../result.ts";
import type { Life } from "./life.ts";
import type { SeededRandom } from "./random.ts";
import type { StoreConditions } from "./simulated_store.ts";
import type { World } from "./world.ts";

type Conditions = Omit<StoreConditions, "broken">;

const CALM: Conditions = {
  latency: [0.2, 2],
  refused: 0,
  lost: 0,
  unanswered: 0,
  slow: 0,
  slowLatency: [500, 6000],
  silence: [500, 3000],
};

/** The ways from nodes to something that they share, and what goes wrong there. */
export class FaultyWays {
  readonly #world: World;
  readonly #name: string;
  readonly #random: SeededRandom;
  readonly #cuts: Set<string> = new Set();
  #conditions: Conditions;

  constructor(world: World, name: string, conditions: Partial<Conditions>, random: SeededRandom) {
    this.#world = world;
    this.#name = name;
    this.#random = random;
    this.#conditions = this.#checked({ ...CALM, ...conditions });
  }

  change(conditions: Partial<Conditions>): void {
    this.#conditions = this.#checked({ ...this.#conditions, ...conditions });
    this.#world.note(`${this.#name} ${JSON.stringify(conditions)}`);
  }

  cut(node: string): void {
    if (this.#cuts.has(node)) return;
    this.#cuts.add(node);
    this.#world.note(`${this.#name} cut ${node}`);
  }

  mend(node: string): void {
    if (this.#cuts.delete(node)) this.#world.note(`${this.#name} mend ${node}`);
  }

  heal(): void {
    this.#cuts.clear();
    this.#conditions = { ...CALM, latency: this.#conditions.latency };
    this.#world.note(`${this.#name} heal`);
  }

  /** Asks for something that begins at one instant, and hands on what comes of it. */
  request<T>(life: Life, what: string, work: () => T | Promise<T>): Promise<T> {
    const random = this.#random;
    const { refused, lost, unanswered, slow, slowLatency, latency } = this.#conditions;
    // All is drawn in any case: one fault more changes nothing about the others.
    const way = this.#draw(latency), slowWay = this.#draw(slowLatency), back = this.#draw(latency);
    const isRefused = random.chance(refused), isLost = random.chance(lost);
    const isUnanswered = random.chance(unanswered), isSlow = random.chance(slow);
    const silence = this.#draw(this.#conditions.silence);
    return new Promise((resolve, reject) => {
      const answer = (ms: number, settle: () => void): void =>
        void this.#world.plan(life, this.#world.time + ms, settle);
      const hush = (): void => answer(silence, () => reject(this.silent(what)));
      if (isRefused) return answer(way, () => reject(this.#unavailable(what)));
      if (isLost || this.isCut(life)) return hush();
      this.#world.plan(undefined, this.#world.time + (isSlow ? slowWay : way), () => {
        if (this.isCut(life)) return hush();
        const settle = (end: () => void): void => {
          if (isUnanswered || this.isCut(life)) hush();
          else answer(back, () => this.isCut(life) ? hush() : end());
        };
        const fail = (thrown: unknown): void => settle(() => reject(thrown));
        let done: T | Promise<T>;
        try {
          done = work();
        } catch (thrown) {
          return fail(thrown);
        } finally {
          this.#world.trace.add(this.#world.time, "note", this.#name, life.host.name, 0, what);
        }
        if (done instanceof Promise) done.then((value) => settle(() => resolve(value)), fail);
        else settle(() => resolve(done));
      });
    });
  }

  /** Says something that nobody answers; it may be lost. */
  tell(life: Life, work: () => void): void {
    const way = this.#draw(this.#conditions.latency);
    if (this.#random.chance(this.#conditions.lost) || this.isCut(life) || !life.alive) return;
    this.#world.plan(undefined, this.#world.time + way, work);
  }

  /** Whether all between a node and it is lost just now. */
  isCut(life: Life): boolean {
    return this.#cuts.has(life.host.name);
  }

  /** What happens to something that is told: how long it takes, and whether it is lost and noticed how much later. */
  fate(broken: number): { readonly isBroken: boolean; readonly silence: number; readonly way: number } {
    const isBroken = this.#random.chance(broken);
    const silence = this.#draw(this.#conditions.silence);
    return { isBroken, silence, way: this.#draw(this.#conditions.latency) };
  }

  /** Nobody says what came of something. */
  silent(what: string): CatgaError {
    return new CatgaError(systemFault("TRANSPORT", `No answer to "${what}": it may have been done`));
  }

  #draw([least, most]: readonly [number, number]): number {
    return this.#random.between(least, most);
  }

  #unavailable(what: string): CatgaError {
    return new CatgaError(systemFault("UNAVAILABLE", `Cannot ${what}: the ${this.#name} refuses`));
  }

  #checked(conditions: Conditions): Conditions {
    for (
      const [name, value] of Object.entries(conditions) as [string, number | readonly [number, number]][]
    ) {
      const fits = typeof value === "number"
        ? value >= 0 && value <= 1
        : value[0] >= 0 && value[0] <= value[1] && value[1] < Infinity;
      if (!fits) {
        const wanted = typeof value === "number" ? "be 0 to 1" : "go from 0 ms or more upwards";
        const message = `${name} is ${JSON.stringify(value)}, but must ${wanted}`;
        throw new RangeError(`Cannot shape a ${this.#name}: ${message}`);
      }
    }
    return conditions;
  }
}
