import { type Fault, type Result, unwrap } from "../../result.ts";
import type { Contract, ParsedOf } from "../../message/contract.ts";
import type { Answerable, FaultOf, OutputOf } from "../../message/message.ts";
import type { BranchResults, SagaContext, StepOptions, WaitOptions } from "./saga.ts";

/** What a function's asks go through. */
export interface ScopeDoor {
  readonly id: string;
  step(key: string, message: Answerable, options: StepOptions<Answerable>): Promise<Result<unknown, Fault>>;
  sleep(key: string, ms: number): Promise<void>;
  wait(key: string, type: string, match: unknown, timeout: number | undefined): Promise<unknown>;
  now(key: string): number;
  random(key: string): number;
}

const NAME = /^[A-Za-z][\w.:-]{0,63}$/;

/** A saga or one of its branches, as its function sees it: names have to be unique only in here. */
export class Scope implements SagaContext {
  readonly id: string;
  readonly #door: ScopeDoor;
  readonly #path: string;
  readonly #names: Map<string, number> = new Map();

  constructor(door: ScopeDoor, path: string = "") {
    this.id = door.id;
    this.#door = door;
    this.#path = path;
  }

  step<M extends Answerable>(name: string, message: M, options?: StepOptions<M>): Promise<OutputOf<M>> {
    return quiet(this.try(name, message, options).then((result) => unwrap<OutputOf<M>>(result)));
  }

  try<M extends Answerable>(
    name: string,
    message: M,
    options: StepOptions<M> = {},
  ): Promise<Result<OutputOf<M>, FaultOf<M>>> {
    const { timeout, attempts } = options;
    for (const [what, value] of Object.entries({ timeout, attempts })) {
      if (value !== undefined && !(value > 0)) {
        throw new RangeError(`Cannot do the step "${name}": ${what} is ${value}, but must be above 0`);
      }
    }
    const asked = this.#door.step(this.#key(name), message, options as StepOptions<Answerable>);
    return quiet(asked) as Promise<Result<OutputOf<M>, FaultOf<M>>>;
  }

  async all<B extends Readonly<Record<string, (branch: SagaContext) => Promise<unknown>>>>(
    branches: B,
  ): Promise<BranchResults<B>> {
    const names = Object.keys(branches);
    // Branches may be functions that throw at once.
    const running = names.map(async (name) => await branches[name]!(this.#branch(name)));
    const ends = await Promise.allSettled(running);
    const values: [string, unknown][] = ends.map((end, at) => {
      if (end.status === "rejected") throw end.reason;
      return [names[at]!, end.value];
    });
    return Object.fromEntries(values) as BranchResults<B>;
  }

  sleep(name: string, ms: number): Promise<void> {
    if (!(ms >= 0 && ms < Infinity)) {
      throw new RangeError(`Cannot sleep for "${name}": it is for ${ms} ms, but must be 0 or more`);
    }
    return quiet(this.#door.sleep(this.#key(name), ms));
  }

  waitFor<C extends Contract<"event" | "reliable">>(
    name: string,
    contract: C,
    { match, timeout }: WaitOptions<ParsedOf<C>> & { readonly timeout?: number | undefined } = {},
  ): Promise<ParsedOf<C>> {
    if (timeout !== undefined && !(timeout > 0 && timeout < Infinity)) {
      throw new RangeError(`Cannot wait for "${name}": its timeout is ${timeout}, but must be above 0 ms`);
    }
    const waited = this.#door.wait(this.#key(name), contract.type, match, timeout);
    return quiet(waited) as Promise<ParsedOf<C>>;
  }

  now(): number {
    return this.#door.now(this.#key("now"));
  }

  random(): number {
    return this.#door.random(this.#key("random"));
  }

  #branch(name: string): Scope {
    return new Scope(this.#door, `${this.#key(name)}/`);
  }

  #key(name: string): string {
    if (!NAME.test(name)) {
      throw new RangeError(
        `Cannot name a step "${name}": a name has a letter and at most 63 of letters, digits, _ . : -`,
      );
    }
    const count = (this.#names.get(name) ?? 0) + 1;
    this.#names.set(name, count);
    return `${this.#path}${name}${count === 1 ? "" : `#${count}`}`;
  }
}

/** Whoever does not await it has nothing to catch. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
