import type { Kind } from "../message/message.ts";
import type { Behavior } from "../mediator/behavior.ts";

/** One handled message, as numbers. */
export interface Measure {
  /** The name of its contract. */
  readonly type: string;
  /** The kind of its contract. */
  readonly kind: Kind;
  /** `ok`, or the code it failed with. */
  readonly outcome: string;
  /** How long handling took, in ms. */
  readonly ms: number;
}

/** The hook behind {@linkcode metrics}. */
export interface Meter {
  /** Takes one measure; must not throw. */
  record(measure: Measure): void;
}

/** Tells a meter how each message ended and how long it took in ms. Takes no part without a meter. */
export function metrics(meter: Meter | undefined): Behavior {
  return (next, { type, kind }, { clock }) => {
    if (meter === undefined) return next;
    return (context) => {
      const start = clock.mono();
      return next(context).then((result) => {
        meter.record({ type, kind, outcome: result.ok ? "ok" : result.error.code, ms: clock.mono() - start });
        return result;
      });
    };
  };
}
