import { CatgaError } from "../../src/result.ts";
import type { Runtime } from "../../src/ports/runtime.ts";
import type { ExchangeOptions, Frame, Receiver, Reply } from "../../src/ports/transport.ts";
import { BYTES_TYPE, FRAMES, type Framing, lines, sized, TEXT_TYPE, WHOLE } from "./frames.ts";
import { problem } from "./refusal.ts";

/** How many microtasks a receiver has between its first reply and its end to be answered in one piece. */
const PATIENCE = 12;
/** What a receiver rejects a frame with that it cannot read, or has had before; it has counted and logged it. */
const REFUSED: Readonly<Record<string, number>> = { SERIALIZATION: 400, TRANSPORT: 409 };
/** Bytes that wait in a stream before a reply is asked to wait. */
const WAITING = 65_536;

const WHOLE_TEXT: ResponseInit = { headers: { "content-type": TEXT_TYPE, [FRAMES]: WHOLE } };
const WHOLE_BYTES: ResponseInit = { headers: { "content-type": BYTES_TYPE, [FRAMES]: WHOLE } };
const NOTHING: ResponseInit = { status: 204, headers: { [FRAMES]: WHOLE } };

/**
 * Gathers what a receiver replies to one frame: one body if it has settled shortly after its first reply, a stream
 * otherwise.
 */
export class Answer implements ExchangeOptions {
  readonly reply: Reply;
  readonly #resolve: (response: Response) => void;
  readonly #request: Request;
  readonly #runtime: Runtime;
  #frames: Frame[] | undefined;
  #settled = false;
  #gone = false;
  #patience = PATIENCE;
  #framing: Framing | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #room: { readonly promise: Promise<void>; readonly open: () => void } | undefined;
  #abort: AbortController | undefined;

  constructor(request: Request, runtime: Runtime, resolve: (response: Response) => void) {
    this.#request = request;
    this.#runtime = runtime;
    this.#resolve = resolve;
    this.reply = (frame) => this.#take(frame);
  }

  /** Gives a frame to a receiver; resolves with the answer, which may still be coming in when it does. */
  static to(request: Request, runtime: Runtime, receiver: Receiver, frame: Frame): Promise<Response> {
    return new Promise((resolve) => {
      const answer = new Answer(request, runtime, resolve);
      try {
        receiver(frame, answer.reply, answer).then(() => answer.#end(), (error) => answer.#fail(error));
      } catch (error) {
        answer.#fail(error);
      }
    });
  }

  /** Aborts when the caller goes away; made when first asked for. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#gone) this.#abort.abort();
      else if (!this.#settled) {
        const { signal } = this.#request;
        if (signal.aborted) this.#leave();
        else signal.addEventListener("abort", () => this.#leave(), { once: true });
      }
    }
    return this.#abort.signal;
  }

  #take(frame: Frame): void | Promise<void> {
    if (this.#gone || this.#settled) return;
    if (this.#controller !== undefined) return this.#push(frame);
    if (this.#frames !== undefined) {
      this.#frames.push(frame);
      return;
    }
    this.#frames = [frame];
    void Promise.resolve().then(this.#wait);
  }

  readonly #wait = (): void | Promise<void> => {
    if (this.#settled) return;
    if (--this.#patience > 0) return Promise.resolve().then(this.#wait);
    this.#open();
  };

  #open(): void {
    const frames = this.#frames!;
    const framing = this.#framing = framingOf(frames[0]!);
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#room?.open(),
      cancel: () => this.#leave(),
    }, { highWaterMark: WAITING, size: (bytes) => bytes!.byteLength });
    for (const frame of frames) this.#controller!.enqueue(framing.frame(frame));
    this.#resolve(new Response(stream, streamed(framing)));
  }

  #push(frame: Frame): void | Promise<void> {
    const controller = this.#controller!;
    controller.enqueue(this.#framing!.frame(frame));
    if ((controller.desiredSize ?? 0) > 0) return;
    if (this.#room === undefined) {
      let open = (): void => {};
      const promise = new Promise<void>((resolve) => {
        open = () => {
          this.#room = undefined;
          resolve();
        };
      });
      this.#room = { promise, open };
    }
    return this.#room.promise;
  }

  #end(): void {
    this.#settled = true;
    if (this.#controller !== undefined) return this.#close(false);
    const frames = this.#frames;
    if (frames === undefined) return this.#resolve(new Response(null, NOTHING));
    const frame = frames[0]!;
    if (frames.length === 1) {
      return this.#resolve(
        typeof frame === "string"
          ? new Response(frame, WHOLE_TEXT)
          : new Response(frame as BodyInit, WHOLE_BYTES),
      );
    }
    try {
      const framing = framingOf(frame);
      const parts = [...frames.map((frame) => framing.frame(frame)), framing.mark(false)];
      this.#resolve(new Response(new Blob(parts as BlobPart[]), streamed(framing)));
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#settled = true;
    const status = CatgaError.is(error) ? REFUSED[error.code] : undefined;
    if (status === undefined) {
      this.#runtime.log({
        level: "error",
        event: "receiver.failed",
        message: "A receiver failed while it answered a frame",
        fields: { code: CatgaError.is(error) ? error.code : "INTERNAL", error },
      });
    }
    if (this.#controller === undefined) this.#resolve(problem(status ?? 500));
    else this.#close(true);
  }

  #close(failed: boolean): void {
    if (this.#gone) return;
    this.#controller!.enqueue(this.#framing!.mark(failed));
    this.#controller!.close();
  }

  #leave(): void {
    if (this.#gone || this.#settled) return;
    this.#gone = true;
    this.#room?.open();
    this.#abort?.abort();
  }
}

function framingOf(frame: Frame): Framing {
  return typeof frame === "string" ? lines : sized;
}

function streamed(framing: Framing): ResponseInit {
  return { headers: { "content-type": framing.type, [FRAMES]: framing.name } };
}
