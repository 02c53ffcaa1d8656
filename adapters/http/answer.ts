import { CatgaError } from "../../src/result.ts";
import type { ExchangeOptions, Frame, Receiver, Reply } from "../../src/ports/transport.ts";
import type { Framing } from "./frames.ts";
import type { Door } from "./receive.ts";
import { problem } from "./refusal.ts";
import { type Seal, Sealer } from "./seal.ts";
import { framingOf, signedAnswer, streamed, wholeAnswer } from "./whole_answer.ts";

/** How many microtasks a receiver has between its first reply and its end to be answered in one piece. */
const PATIENCE = 12;
/** What a receiver rejects a frame with that it cannot read, or has had before; it has counted and logged it. */
const REFUSED: Readonly<Record<string, number>> = { SERIALIZATION: 422, TRANSPORT: 409 };
/** Bytes that wait in a stream before a reply is asked to wait. */
const WAITING = 65_536;

/**
 * Gathers what a receiver replies to one frame: one body if it has settled shortly after its first reply, a stream
 * otherwise. With a seal all of it is signed.
 */
export class Answer implements ExchangeOptions {
  readonly reply: Reply;
  readonly #resolve: (response: Response) => void;
  readonly #request: Request;
  readonly #door: Door;
  #frames: Frame[] | undefined;
  #settled = false;
  #gone = false;
  /** Whether its node has broken it off. */
  #broken = false;
  /** Whether nobody reads the stream any longer. */
  #cancelled = false;
  #patience = PATIENCE;
  #framing: Framing | undefined;
  readonly #seal: Seal | undefined;
  #sealer: Sealer | undefined;
  /** What still has to be signed before more can be sent. */
  #signing: Promise<void> | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #room: { readonly promise: Promise<void>; readonly open: () => void } | undefined;
  #abort: AbortController | undefined;

  constructor(
    request: Request,
    door: Door,
    seal: Seal | undefined,
    resolve: (response: Response) => void,
  ) {
    this.#request = request;
    this.#door = door;
    this.#seal = seal;
    this.#resolve = resolve;
    this.reply = (frame) => this.#take(frame);
  }

  /** Gives a frame to a receiver; resolves with the answer, which may still be coming in when it does. */
  static to(
    request: Request,
    door: Door,
    seal: Seal | undefined,
    receiver: Receiver,
    frame: Frame,
  ): Promise<Response> {
    return new Promise((resolve) => {
      const answer = new Answer(request, door, seal, resolve);
      door.answers.add(answer);
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
      if (this.#gone || this.#broken) this.#abort.abort();
      else if (!this.#settled) {
        const { signal } = this.#request;
        if (signal.aborted) this.#leave();
        else signal.addEventListener("abort", () => this.#leave(), { once: true });
      }
    }
    return this.#abort.signal;
  }

  /** Ends it before its receiver does, which hears of it by its signal. */
  breakOff(): void {
    this.#door.answers.delete(this);
    if (this.#settled || this.#gone) return;
    this.#settled = this.#broken = true;
    this.#room?.open();
    this.#abort?.abort();
    if (this.#controller === undefined) void this.#refuse(500);
    else this.#close(true);
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
    try {
      this.#open();
    } catch (error) {
      this.#fail(error);
      this.#abort?.abort();
    }
  };

  #open(): void {
    const frames = this.#frames!;
    const framing = this.#framing = framingOf(frames[0]!);
    if (this.#seal !== undefined) this.#sealer = new Sealer(this.#seal);
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#room?.open(),
      cancel: () => {
        this.#cancelled = true;
        this.#leave();
      },
    }, { highWaterMark: WAITING, size: (bytes) => bytes!.byteLength });
    this.#resolve(new Response(stream, streamed(framing)));
    for (const frame of frames) this.#send(frame);
  }

  #push(frame: Frame): void | Promise<void> {
    this.#send(frame);
    return this.#signing === undefined ? this.#whenRoom() : this.#signing.then(() => this.#whenRoom());
  }

  /** Signs a frame, where frames are signed, and sends it. Throws for one of another kind than the first. */
  #send(frame: Frame): void {
    this.#framing!.check(frame);
    this.#enqueue(this.#sealer === undefined ? frame : this.#sealer.next(frame));
  }

  #enqueue(frame: Frame | Promise<Frame>): void {
    if (this.#signing === undefined && !(frame instanceof Promise)) {
      this.#controller!.enqueue(this.#framing!.frame(frame));
      return;
    }
    const signing = Promise.all([frame, this.#signing]).then(([frame]) => {
      if (this.#signing === signing) this.#signing = undefined;
      if (!this.#cancelled) this.#controller!.enqueue(this.#framing!.frame(frame));
    });
    this.#signing = signing;
    signing.catch((error) => {
      if (this.#signing === signing) this.#signing = undefined;
      this.#fail(error);
    });
  }

  #whenRoom(): void | Promise<void> {
    if (this.#gone || (this.#controller!.desiredSize ?? 0) > 0) return;
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
    this.#door.answers.delete(this);
    if (this.#settled) return;
    if (this.#controller !== undefined) {
      if (this.#sealer !== undefined && !this.#cancelled) this.#enqueue(this.#sealer.last(this.#frames![0]!));
      this.#settled = true;
      return this.#close(false);
    }
    this.#settled = true;
    const frames = this.#frames ?? [];
    try {
      if (this.#seal === undefined) return this.#resolve(wholeAnswer(frames));
    } catch (error) {
      return this.#failed(error);
    }
    signedAnswer(frames, this.#seal).then(this.#resolve, (error) => this.#failed(error));
  }

  #fail(error: unknown): void {
    this.#door.answers.delete(this);
    if (this.#settled) return;
    this.#settled = true;
    this.#failed(error);
  }

  #failed(error: unknown): void {
    const status = CatgaError.is(error) ? REFUSED[error.code] : undefined;
    if (status === undefined) {
      this.#door.runtime.log({
        level: "error",
        event: "receiver.failed",
        message: "A receiver failed while it answered a frame",
        fields: { code: CatgaError.is(error) ? error.code : "INTERNAL", error },
      });
    }
    if (this.#controller !== undefined) return this.#close(true);
    void this.#refuse(status ?? 500);
  }

  async #refuse(status: number): Promise<void> {
    try {
      this.#resolve(problem(status, await this.#seal?.whole(status, undefined)));
    } catch {
      this.#resolve(problem(status));
    }
  }

  #close(failed: boolean): void {
    if (this.#signing !== undefined) {
      void this.#signing.then(() => this.#close(failed), () => this.#close(true));
      return;
    }
    if (this.#cancelled || this.#gone) return;
    this.#controller!.enqueue(this.#framing!.mark(failed));
    this.#controller!.close();
  }

  #leave(): void {
    this.#door.answers.delete(this);
    if (this.#gone || this.#settled) return;
    this.#gone = true;
    this.#room?.open();
    this.#abort?.abort();
  }
}
