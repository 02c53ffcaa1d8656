import type { Fault, Result } from "../result.ts";
import type { Contract } from "../message/contract.ts";
import type { Kind } from "../message/message.ts";
import type { Behavior } from "../mediator/behavior.ts";

/** One message that reached a recorder. */
export interface Recorded {
  /** The name of its contract. */
  readonly type: string;
  /** What it asks for. */
  readonly kind: Kind;
  /** What it carries. */
  readonly body: unknown;
  /** Names the message; the same for each try of it. */
  readonly id: string;
  /** When it came, by the runtime's `clock.mono()`, in ms. */
  readonly at: number;
  /** What came of it; `undefined` while it is still being handled. */
  readonly result: Result<unknown, Fault> | undefined;
}

/** What {@linkcode recorder} takes. */
export interface RecorderOptions {
  /** How many messages to keep, the last ones. @default 10000 */
  readonly limit?: number;
}

/** A behavior that remembers what went through it. */
export interface Recorder extends Behavior {
  /** The messages, oldest first. */
  readonly entries: readonly Recorded[];
  /** The messages of one contract, oldest first. */
  of(contract: Contract): readonly Recorded[];
  /** Forgets everything. */
  clear(): void;
}

/**
 * Records messages and their outcomes, to be looked at by a test. Put it where it should see: among the behaviors
 * of a mediator, of one handler, or of a node.
 *
 * @example
 * ```ts
 * import { createMediator, handle, query, type } from "@catga/catga";
 * import { recorder } from "@catga/catga/testing";
 * const Double = query("double", { input: type<number>(), output: type<number>() });
 * const seen = recorder();
 * const app = createMediator({ handlers: [handle(Double, (n) => n * 2)], behaviors: [seen] });
 * await app.send(Double(21));
 * console.log(seen.of(Double).map(({ body, result }) => [body, result]));
 * ```
 */
export function recorder(options: RecorderOptions = {}): Recorder {
  const { limit = 10_000 } = options;
  const entries: Recorded[] = [];
  const behavior: Behavior = (next, contract, runtime) => (context) => {
    const entry: { -readonly [K in keyof Recorded]: Recorded[K] } = {
      type: contract.type,
      kind: contract.kind,
      body: context.body,
      id: context.id,
      at: runtime.clock.mono(),
      result: undefined,
    };
    entries.push(entry);
    if (entries.length > limit) entries.shift();
    return next(context).then((result) => entry.result = result);
  };
  return Object.assign(behavior, {
    entries,
    of: (contract: Contract): readonly Recorded[] => entries.filter(({ type }) => type === contract.type),
    clear: (): void => void entries.splice(0),
  });
}
