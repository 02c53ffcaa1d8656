import type { MsgHdrs } from "@nats-io/nats-core";
import type { QueueItem, QueueOptions } from "../../src/ports/queue.ts";
import { queueFull } from "../../src/ports/queue_faults.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import type { Frame } from "../../src/ports/transport.ts";
import type { Link } from "./link.ts";
import type { Trim } from "./queue_trim.ts";
import type { MadeStream } from "./streams.ts";
import { askApi, readJson, StreamCode, type StreamError, streamFault } from "./streams_api.ts";

const encoder: TextEncoder = new TextEncoder();

/** How many bytes the headers may have. */
const HEADERS = 4096;

/** Puts items into the stream, each as a message of its own that is acknowledged by the server. */
export class Pushes {
  readonly #link: Link;
  readonly #stream: MadeStream;
  readonly #items: number;
  readonly #trim: Trim;

  /** @param items how many the stream takes */
  constructor(link: Link, stream: MadeStream, items: number, trim: Trim) {
    this.#trim = trim;
    this.#link = link;
    this.#stream = stream;
    this.#items = items;
  }

  /**
   * @param token the topic as a token of a subject
   * @param bodies the items as they were when they were pushed
   */
  async push(
    topic: string,
    token: string,
    items: readonly QueueItem[],
    bodies: readonly Frame[],
    { signal }: QueueOptions,
  ): Promise<void> {
    for (const [at, item] of items.entries()) this.#checkSize(topic, item, bodies[at]!);
    const stream = await this.#stream.open();
    this.#trim.later();
    if (items.length === 1) return await this.#sendOne(stream, topic, token, items[0]!, bodies[0]!, signal);
    await this.#makeSure(topic, items.length, signal);
    const sent = items.map((item, at) => this.#send(stream, topic, token, item, bodies[at]!, signal));
    const failed = (await Promise.allSettled(sent)).flatMap((each) =>
      each.status === "rejected" ? [each.reason] : []
    );
    if (failed.length === 0) return;
    // Whether one of the others was kept is not known to who pushed them.
    if (signal?.aborted || (failed.length === items.length && failed.every(isUndone))) throw failed[0];
    throw partly(topic, failed[0]);
  }

  /** Where there is no room, some is made first. */
  #sendOne(
    stream: string,
    topic: string,
    token: string,
    item: QueueItem,
    body: Frame,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const send = (): Promise<void> => this.#send(stream, topic, token, item, body, signal);
    return send().catch(async (thrown: unknown) => {
      if (!CatgaError.is(thrown) || thrown.code !== "OVERLOADED") throw thrown;
      await this.#trim.run(true);
      await send();
    });
  }

  #checkSize(topic: string, { id }: QueueItem, body: Frame): void {
    const largest = (this.#link.connection.info?.max_payload ?? Infinity) - HEADERS;
    if (3 * body.length > largest && sizeOf(body) > largest) throw tooLarge(id, topic, largest);
  }

  async #send(
    stream: string,
    topic: string,
    token: string,
    { id }: QueueItem,
    body: Frame,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const subject = `catga.${this.#link.name}.q.${token}`;
    const headers = new ReadyHeaders(
      `NATS/1.0\r\nNats-Expected-Stream: ${stream}\r\nNats-Msg-Id: ${token}/${
        encodeURIComponent(id)
      }\r\n\r\n`,
    );
    try {
      const message = await this.#link.ask(subject, body, { headers: headers as unknown as MsgHdrs, signal });
      const answer = readJson(message.data) as
        | { readonly seq?: number; readonly error?: StreamError }
        | undefined;
      if (answer?.error === undefined && (answer?.seq ?? 0) > 0) return;
      throw refused(topic, answer?.error ?? {});
    } catch (thrown) {
      // The stream may be gone, or another may stand for it.
      if (this.#link.up && CatgaError.is(thrown) && thrown.code === "UNAVAILABLE") {
        this.#stream.forget(stream);
        void this.#stream.open().catch(() => {});
      }
      throw thrown;
    }
  }

  /** Refuses what cannot all be kept. */
  async #makeSure(topic: string, count: number, signal: AbortSignal | undefined): Promise<void> {
    if (count > this.#items) throw queueFull(`push to "${topic}"`, `it takes at most ${this.#items} items`);
    const isRoom = async (): Promise<boolean> => {
      const what = `STREAM.INFO.${await this.#stream.open()}`;
      const { state } = await askApi<{ state: { messages: number } }>(this.#link, what, {}, [], { signal });
      return state.messages + count <= this.#items;
    };
    if (await isRoom()) return;
    await this.#trim.run(true);
    if (!await isRoom()) throw queueFull(`push to "${topic}"`, "the queue is full");
  }
}

function sizeOf(frame: Frame): number {
  return typeof frame === "string" ? encoder.encode(frame).length : frame.length;
}

/** Headers that are written already: the client only asks for their bytes. */
class ReadyHeaders {
  readonly #lines: string;

  constructor(lines: string) {
    this.#lines = lines;
  }

  encode(): Uint8Array {
    return encoder.encode(this.#lines);
  }
}

function refused(topic: string, error: StreamError): CatgaError {
  const { wrongStream, full } = StreamCode;
  if (error.err_code === wrongStream) {
    const why = "the stream it knew is gone, and another stands for it";
    return new CatgaError(systemFault("UNAVAILABLE", `Cannot push to "${topic}": ${why}`));
  }
  return error.err_code === full
    ? queueFull(`push to "${topic}"`, "the queue is full")
    : streamFault(`push to "${topic}"`, error);
}

/** Whether provably nothing was done. */
function isUndone(thrown: unknown): boolean {
  return CatgaError.is(thrown) && (thrown.code === "UNAVAILABLE" || thrown.code === "OVERLOADED");
}

function partly(topic: string, cause: unknown): CatgaError {
  const message = `Some of what was pushed to "${topic}" may be kept, and some is not: push all of it again`;
  return new CatgaError(systemFault("TRANSPORT", message, undefined, cause));
}

function tooLarge(id: string, topic: string, largest: number): CatgaError {
  const message = `Cannot push "${id}" to "${topic}": the server takes messages of at most ${largest} bytes`;
  return new CatgaError(systemFault("VALIDATION", message));
}
