import type { LogLevel } from "../ports/runtime.ts";
import type { Behavior } from "../mediator/behavior.ts";

/** What {@linkcode log} takes. */
export interface LogOptions {
  /** The level for messages that went well; `off` leaves them out. @default "info" */
  readonly success?: LogLevel | "off";
  /** The level for messages that failed; `off` leaves them out. @default "warn" */
  readonly failure?: LogLevel | "off";
}

/**
 * Writes one entry per handled message to the runtime's log: its name, id, outcome and how long it took in ms. One
 * that is given up is written then, whatever its handler still does. What is in a message is never written.
 */
export function log(options: LogOptions = {}): Behavior {
  const { success = "info", failure = "warn" } = options;
  return (next, contract, runtime) => {
    if (success === "off" && failure === "off") return next;
    const { type } = contract;
    return (context) => {
      const start = runtime.clock.mono();
      return next(context).then((result) => {
        const level = result.ok ? success : failure;
        if (level === "off") return result;
        const ms = runtime.clock.mono() - start;
        const outcome = result.ok ? "ok" : result.error.code;
        runtime.log({
          level,
          event: "message.handled",
          message: `${type} ${outcome} in ${ms.toFixed(1)} ms`,
          fields: { type, id: context.id, correlationId: context.correlationId, outcome, ms },
        });
        return result;
      });
    };
  };
}
