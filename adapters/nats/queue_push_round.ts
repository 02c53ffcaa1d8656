import type { Msg } from "@nats-io/nats-core";
import type { QueueItem } from "../../src/ports/queue.ts";
import { queueCancelled, queueFull } from "../../src/ports/queue_faults.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import type { Frame } from "../../src/ports/transport.ts";
import type { Asker } from "./link.ts";
import { readJson, StreamCode, type StreamError, streamFault } from "./streams_api.ts";

/** What an acknowledgement begins with; a refusal begins with its error. */
const HEAD = '{"stream":"';
const QUOTE = 34;

/** What is pushed at once to one topic. */
export interface Push {
  readonly topic: string;
  /** The topic as a token of a subject. */
  readonly token: string;
  readonly items: readonly QueueItem[];
  /** The items as they were when they were pushed. */
  readonly bodies: readonly Frame[];
  readonly signal: AbortSignal | undefined;
}

/** What a {@linkcode PushRound} tells of. */
export interface PushRoundHost {
  /** The stream may be gone, or another may stand for it. */
  lost(stream: string): void;
}

/** Messages on their way into the stream: over when all of them were acknowledged, or nobody waits any longer. */
export class PushRound implements Asker {
  readonly #host: PushRoundHost;
  readonly #stream: string;
  readonly #push: Push;
  readonly #stored: () => void;
  readonly #failed: (error: CatgaError) => void;
  #left: number;
  #failures = 0;
  /** Whether nothing was stored of those that failed, for certain. */
  #isUndone = true;
  #first: CatgaError | undefined;
  #deafen: (() => void) | undefined;

  constructor(
    host: PushRoundHost,
    stream: string,
    push: Push,
    stored: () => void,
    failed: (error: CatgaError) => void,
  ) {
    this.#host = host;
    this.#stream = stream;
    this.#push = push;
    this.#stored = stored;
    this.#failed = failed;
    this.#left = push.items.length;
    if (push.signal !== undefined) this.#heed(push.signal);
  }

  get isOver(): boolean {
    return this.#left === 0;
  }

  answered({ data }: Msg): void {
    if (this.isOver) return;
    const refused = isKept(data, this.#stream) ? undefined : this.#refusal(data);
    if (refused !== undefined) return this.failed(refused);
    if (--this.#left === 0) this.#end();
  }

  failed(error: CatgaError): void {
    if (this.isOver) return;
    const { code } = error;
    if (code === "UNAVAILABLE") this.#host.lost(this.#stream);
    this.#failures++;
    this.#first ??= error;
    this.#isUndone &&= code === "UNAVAILABLE" || code === "OVERLOADED";
    if (--this.#left === 0) this.#end();
  }

  #heed(signal: AbortSignal): void {
    const cancel = (): void => {
      this.#left = 0;
      this.#failed(queueCancelled(`push to "${this.#push.topic}"`));
    };
    if (signal.aborted) return cancel();
    signal.addEventListener("abort", cancel, { once: true });
    this.#deafen = () => signal.removeEventListener("abort", cancel);
  }

  #end(): void {
    this.#deafen?.();
    if (this.#first === undefined) return this.#stored();
    const { topic, items: { length } } = this.#push;
    // Whether one of the others was kept is not known to who pushed them.
    const isWhole = this.#failures === length && (length === 1 || this.#isUndone);
    this.#failed(isWhole ? this.#first : partly(topic, this.#first));
  }

  #refusal(data: Uint8Array): CatgaError | undefined {
    const answer = readJson(data) as { readonly seq?: number; readonly error?: StreamError } | undefined;
    const { topic } = this.#push;
    const { error = {} } = answer ?? {};
    if (answer?.error === undefined && (answer?.seq ?? 0) > 0) return undefined;
    if (error.err_code === StreamCode.wrongStream) {
      const why = "the stream it knew is gone, and another stands for it";
      return new CatgaError(systemFault("UNAVAILABLE", `Cannot push to "${topic}": ${why}`));
    }
    return error.err_code === StreamCode.full
      ? queueFull(`push to "${topic}"`, "the queue is full")
      : streamFault(`push to "${topic}"`, error);
  }
}

/** Whether bytes are the acknowledgement of a stream; most are, and need not be parsed. */
function isKept(data: Uint8Array, stream: string): boolean {
  const end = HEAD.length + stream.length;
  if (data[end] !== QUOTE) return false;
  for (let at = HEAD.length; at < end; at++) {
    if (data[at] !== stream.charCodeAt(at - HEAD.length)) return false;
  }
  for (let at = 0; at < HEAD.length; at++) if (data[at] !== HEAD.charCodeAt(at)) return false;
  return true;
}

function partly(topic: string, cause: unknown): CatgaError {
  const message = `Some of what was pushed to "${topic}" may be kept, and some is not: push all of it again`;
  return new CatgaError(systemFault("TRANSPORT", message, undefined, cause));
}
