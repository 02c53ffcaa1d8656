import { CatgaError, systemFault } from "../../src/result.ts";
import type { Clock } from "../../src/ports/runtime.ts";

/** What an event stream is made of. */
export interface EventStreamOptions {
  readonly clock: Clock;
  /** The longest silence, in ms; then a comment is sent, so that nobody on the way closes the connection. */
  readonly heartbeat: number;
  /** Writes the failure that ended the answers. */
  readonly fault: (thrown: unknown) => string;
  /** Called once, when the answers have ended or the client has gone. */
  readonly ended: () => void;
}

const BEAT: unique symbol = Symbol("beat");

/** Answers as server-sent events, one asked for when the client has taken the one before; at the end `end` or `fault`. */
export function eventStream(
  answers: AsyncIterator<unknown>,
  first: Promise<IteratorResult<unknown>>,
  { clock, heartbeat, fault, ended }: EventStreamOptions,
): ReadableStream<Uint8Array> {
  const utf8 = new TextEncoder();
  let waiting: Promise<IteratorResult<unknown>> | undefined = first;
  const next = async (): Promise<string | undefined> => {
    waiting ??= answers.next();
    const beat = Promise.withResolvers<typeof BEAT>();
    const stop = clock.timer(heartbeat, () => beat.resolve(BEAT));
    try {
      const answer = await Promise.race([waiting, beat.promise]);
      if (answer === BEAT) return ":\n\n";
      waiting = undefined;
      return answer.done === true ? undefined : `data: ${write(answer.value)}\n\n`;
    } finally {
      stop();
    }
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      let text: string | undefined;
      try {
        text = await next();
      } catch (thrown) {
        void answers.return?.()?.catch(() => {});
        controller.enqueue(utf8.encode(`event: fault\ndata: ${fault(thrown)}\n\n`));
        controller.close();
        return ended();
      }
      controller.enqueue(utf8.encode(text ?? "event: end\ndata: null\n\n"));
      if (text !== undefined) return;
      controller.close();
      ended();
    },
    cancel() {
      ended();
      void answers.return?.()?.catch(() => {});
    },
  }, { highWaterMark: 0 });
}

function write(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "null";
  } catch (thrown) {
    throw new CatgaError(
      systemFault("SERIALIZATION", "Cannot send the value: it is not JSON", undefined, thrown),
    );
  }
}
