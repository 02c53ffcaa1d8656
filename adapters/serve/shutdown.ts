import type { Runtime } from "../../src/ports/runtime.ts";
import { systemRuntime } from "../../src/ports/system_runtime.ts";
import { processHere } from "./process.ts";

/** How {@linkcode onShutdown} ends the process. */
export interface ShutdownOptions {
  /** The longest that the work may take, in ms; then the process exits with 1. @default 10000 */
  readonly deadline?: number;
  /** Where time and the log come from. @default systemRuntime() */
  readonly runtime?: Runtime;
}

const SIGNALS = ["SIGTERM", "SIGINT"];

/**
 * Runs some work when the process is asked to end, by SIGTERM or by SIGINT (Ctrl-C), then ends it: with 0, with 1 if
 * the work failed or took too long, at once with 1 when asked a second time. What it answers calls that off.
 *
 * @example
 * ```ts
 * import { onShutdown } from "@catga/catga/serve";
 * const callOff = onShutdown(async () => {
 *   // leave the cluster, then stop the server
 * });
 * callOff();
 * ```
 */
export function onShutdown(run: () => Promise<void>, options: ShutdownOptions = {}): () => void {
  const { deadline = 10_000, runtime = systemRuntime() } = options;
  const process = processHere();
  if (process === undefined) return () => {};
  let asked = false;

  const fail = (message: string, error?: unknown): never => {
    runtime.log({ level: "error", event: "shutdown.failed", message, fields: { error } });
    return process.exit(1);
  };
  const onSignal = (): void => {
    if (asked) return process.exit(1);
    asked = true;
    runtime.clock.timer(deadline, () => fail(`Ended after ${deadline} ms with work undone`));
    Promise.resolve().then(run).then(
      () => process.exit(0),
      (error) => fail("The work before the end failed", error),
    );
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return () => {
    for (const name of SIGNALS) process.off(name, onSignal);
  };
}
