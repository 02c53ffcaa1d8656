import { CatgaError, systemFault } from "../../result.ts";
import type { Clock } from "../../ports/runtime.ts";
import type { Recorded } from "./event_types.ts";
import type { HandlingFacts } from "./projection.ts";
import { EventFailure, type ProjectionTarget, type TargetRun } from "./projection_target.ts";

/** Calls a function for each event. */
export class EffectTarget<E extends Recorded> implements ProjectionTarget<E> {
  readonly sweeps = false;
  readonly #handle: (event: E, facts: HandlingFacts) => void | Promise<void>;
  readonly #timeout: number;
  readonly #clock: Pick<Clock, "timer">;

  constructor(
    handle: (event: E, facts: HandlingFacts) => void | Promise<void>,
    timeout: number,
    clock: Pick<Clock, "timer">,
  ) {
    this.#handle = handle;
    this.#timeout = timeout;
    this.#clock = clock;
  }

  async take(events: readonly E[], run: TargetRun): Promise<void> {
    for (const event of events) {
      if (run.stopping) return;
      try {
        await this.#call(event, run);
      } catch (thrown) {
        throw new EventFailure(event.position, thrown);
      }
      await run.done(event.position);
    }
  }

  sweep(): Promise<void> {
    return Promise.resolve();
  }

  #call(event: E, { generation, lease }: TargetRun): Promise<void> {
    return new Promise((resolve, reject) => {
      const ended = new AbortController();
      const leave = (): void => {
        stop();
        lease.signal.removeEventListener("abort", lost);
      };
      const give = (reason: unknown): void => {
        leave();
        reject(reason);
        ended.abort(reason);
      };
      const lost = (): void => give(lease.signal.reason);
      const stop = this.#clock.timer(this.#timeout, () => {
        const message =
          `Handling event ${event.id} of "${event.stream}" took longer than ${this.#timeout} ms`;
        give(new CatgaError(systemFault("TIMEOUT", message)));
      });
      lease.signal.addEventListener("abort", lost, { once: true });
      const facts: HandlingFacts = { generation, token: lease.token, signal: ended.signal };
      new Promise<void>((handled) => handled(this.#handle(event, facts))).finally(leave).then(
        resolve,
        reject,
      );
    });
  }
}
