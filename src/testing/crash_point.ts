/** Where a process ends: at the so-manieth thing it asks of the outside, before that is done or after. */
export interface CrashPointOptions {
  /** Which one, from 1; `Infinity` to count only. */
  readonly at: number;
  /** Whether it is done nevertheless. */
  readonly when: "before" | "after";
  /** Ends the process, such as a node of a simulation. */
  readonly crash: () => void;
}

/**
 * Ends a process at one of its awaits. Run a scenario once with `at: Infinity` to learn how many there are, then once
 * for each of them, before and after, so that every crash is looked at and none is left to chance.
 *
 * @example
 * ```ts
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 * import { CrashPoint } from "@catga/catga/testing";
 *
 * const { clock } = systemRuntime();
 * const point = new CrashPoint({ at: 2, when: "after", crash: () => console.log("gone") });
 * const store = point.wrap(memoryStore({ clock }));
 * await store.put("a", "1");
 * void store.put("b", "2"); // is written, and never answers
 * console.log(point.passed);
 * ```
 */
export class CrashPoint {
  readonly #options: CrashPointOptions;
  #passed = 0;

  /** Makes one that nothing has been asked of yet. */
  constructor(options: CrashPointOptions) {
    this.#options = options;
  }

  /** How many things have been asked so far. */
  get passed(): number {
    return this.#passed;
  }

  /** Whether the process has ended. */
  get crashed(): boolean {
    return this.#passed >= this.#options.at;
  }

  /**
   * A port whose methods count, but for `watch`, and so do those of the deliveries that it hands out. After the crash
   * they neither do anything nor answer.
   */
  wrap<T extends object>(port: T): T {
    return new Proxy(port, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function") return member;
        const call = (...args: unknown[]): unknown => Reflect.apply(member, target, args);
        if (name === "watch") return call;
        return (...args: unknown[]) => {
          const answer = this.#call(() => call(...args) as Promise<unknown>);
          return name === "pull"
            ? answer.then((those) => (those as object[]).map((each) => this.wrap(each)))
            : answer;
        };
      },
    });
  }

  #call(work: () => Promise<unknown>): Promise<unknown> {
    const { at, when, crash } = this.#options;
    if (this.crashed) return never();
    const last = ++this.#passed >= at;
    const end = (): Promise<never> => {
      crash();
      return never();
    };
    if (last && when === "before") return end();
    const answer = work();
    return last ? answer.then(end, end) : answer.then((value) => this.crashed ? never() : value);
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}
