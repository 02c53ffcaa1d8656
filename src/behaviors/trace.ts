import type { Fault } from "../result.ts";
import type { Kind } from "../message/message.ts";
import type { Behavior } from "../mediator/behavior.ts";
import type { Context } from "../mediator/types.ts";

/** What a tracer learns when a message starts to be handled. */
export interface SpanStart {
  /** The name of the contract. */
  readonly type: string;
  /** The kind of the contract. */
  readonly kind: Kind;
  /** For ids and for trace context in the headers. */
  readonly context: Context;
}

/** One message being handled. */
export interface Span {
  /** Called once; with the fault if the message failed. */
  end(fault: Fault | undefined): void;
}

/** The hook behind {@linkcode trace}; a few lines over any tracing library. */
export interface Tracer {
  /** Called when a message starts to be handled; must not throw. */
  start(span: SpanStart): Span;
}

/** Tells a tracer when each message starts and ends. Takes no part without a tracer. */
export function trace(tracer: Tracer | undefined): Behavior {
  return (next, { type, kind }) => {
    if (tracer === undefined) return next;
    return (context) => {
      const span = tracer.start({ type, kind, context });
      return next(context).then((result) => {
        span.end(result.ok ? undefined : result.error);
        return result;
      });
    };
  };
}
