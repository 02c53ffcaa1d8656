/** The streams that a node of the scenario serves and asks for. */

import { type Context, failure, type Fault, handle, ok, type Registration } from "@catga/catga";
import type { Runtime } from "@catga/catga/ports";
import type { Node } from "@catga/catga/cluster";
import type { SeededRandom } from "@catga/catga/testing";
import { Count } from "./contracts.ts";
import type { Call, Ledger } from "./ledger.ts";

/** How much later than its deadline a stream may end, in ms. */
const SLACK = 100;

export class SimulatedStreams {
  readonly #name: string;
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #random: SeededRandom;

  constructor(name: string, runtime: Runtime, ledger: Ledger, random: SeededRandom) {
    this.#name = name;
    this.#runtime = runtime;
    this.#ledger = ledger;
    this.#random = random;
  }

  handler(): Registration {
    return handle(Count, (body, context) => this.#count(body, context));
  }

  /** Reads a stream to its end, or breaks off. */
  ask(node: Node, id: string): void {
    const random = this.#random;
    const count = random.chance(0.3) ? random.below(150) : random.below(10);
    const timeout = random.between(100, 4000);
    const plan = {
      id,
      count,
      takes: random.pick([0, 1, 100]),
      // Breaks off after so many values.
      until: random.chance(0.2) ? random.below(10) : Infinity,
      pause: random.chance(0.3) ? random.between(1, 4) : 0,
    };
    const call = this.#ledger.open(id, "Count", count, this.#name);
    this.#watch(call, timeout + SLACK);
    this.#read(node, plan, timeout).then(
      () => this.#ledger.settle(call, ok(undefined)),
      (fault: Fault) => this.#ledger.settle(call, failure(fault)),
    );
  }

  async #read(
    node: Node,
    plan: { id: string; count: number; takes: number; until: number; pause: number },
    timeout: number,
  ): Promise<void> {
    const { id, count, takes, until, pause } = plan;
    let next = 0;
    for await (const value of node.stream(Count({ id, count, takes }), { timeout })) {
      if (value.id !== id || value.at !== next) {
        this.#ledger.breaks(`Count ${id} got ${JSON.stringify(value)} in place of value ${next}`);
      }
      if (next++ >= until) return;
      if (pause > 0) await new Promise<void>((resolve) => void this.#runtime.clock.timer(pause, resolve));
    }
    if (next !== count) this.#ledger.breaks(`Count ${id} ended after ${next} of ${count} values`);
  }

  async *#count(
    { id, count, takes }: { id: string; count: number; takes: number },
    { signal }: Context,
  ): AsyncGenerator<{ id: string; at: number }, void, undefined> {
    this.#ledger.start("Count", id, this.#name);
    for (let at = 0; at < count; at++) {
      if (takes > 0) await this.#sleep(takes, signal);
      yield { id, at };
    }
  }

  #sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const abort = (): void => {
        stop();
        reject(signal.reason);
      };
      const stop = this.#runtime.clock.timer(ms, () => {
        signal.removeEventListener("abort", abort);
        resolve();
      });
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  /** Looks twice: a node that stood still has a moment to end what is due. */
  #watch(call: Call, ms: number, last = false): void {
    const { clock } = this.#runtime;
    const due = clock.mono() + ms;
    call.unwatch = clock.timer(ms, () => {
      const late = clock.mono() > due + 5;
      if (late || !last) this.#watch(call, SLACK, !late);
      else this.#ledger.due(call);
    });
  }
}
