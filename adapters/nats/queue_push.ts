import type { MsgHdrs } from "@nats-io/nats-core";
import type { QueueItem } from "../../src/ports/queue.ts";
import { queueFull } from "../../src/ports/queue_faults.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import type { Frame } from "../../src/ports/transport.ts";
import type { Link } from "./link.ts";
import { type Push, PushRound, type PushRoundHost } from "./queue_push_round.ts";
import type { Trim } from "./queue_trim.ts";
import type { MadeStream } from "./streams.ts";
import { askApi } from "./streams_api.ts";

/** How many bytes the headers may have. */
const HEADERS = 4096;
/** For how long what is known of the room in the stream holds, in ms, and which part of it may be used meanwhile. */
const KNOWN = 1000;
const PART = 4;
/** What is held back of that part: where there is less room, it is looked for each time. */
const RESERVE = 1000;

const encoder: TextEncoder = new TextEncoder();

/** Puts items into the stream, each as a message of its own that is acknowledged by the server. */
export class Pushes implements PushRoundHost {
  readonly #link: Link;
  readonly #stream: MadeStream;
  readonly #items: number;
  readonly #trim: Trim;
  /** How many more may go in without a look, and until when, by the monotonic clock. */
  #room = 0;
  #roomUntil = -Infinity;

  /** @param items how many the stream takes */
  constructor(link: Link, stream: MadeStream, items: number, trim: Trim) {
    this.#trim = trim;
    this.#link = link;
    this.#stream = stream;
    this.#items = items;
  }

  /** The stream may be gone, or another may stand for it. */
  lost(stream: string): void {
    if (!this.#link.up) return;
    this.#stream.forget(stream);
    void this.#stream.open().catch(() => {});
  }

  /** @param stream the stream as it is now */
  push(stream: string, push: Push): Promise<void> {
    const { items, bodies } = push;
    for (let at = 0; at < items.length; at++) this.#checkSize(push.topic, items[at]!, bodies[at]!);
    this.#trim.later();
    this.#room -= items.length;
    if (items.length === 1) return this.#sendOne(stream, push);
    if (this.#room >= 0 && this.#link.runtime.clock.mono() < this.#roomUntil) return this.#send(stream, push);
    return this.#makeSure(push).then(() => this.#send(stream, push));
  }

  #send(stream: string, push: Push): Promise<void> {
    return new Promise((stored, failed) => this.#begin(stream, push, stored, failed));
  }

  /** Where there is no room, some is made first. */
  #sendOne(stream: string, push: Push): Promise<void> {
    return new Promise((stored, failed) =>
      this.#begin(stream, push, stored, (error) => {
        if (error.code !== "OVERLOADED") return failed(error);
        this.#trim.run(true).then(() => this.#begin(stream, push, stored, failed)).catch(failed);
      })
    );
  }

  #checkSize(topic: string, { id }: QueueItem, body: Frame): void {
    const largest = (this.#link.connection.info?.max_payload ?? Infinity) - HEADERS;
    if (3 * body.length > largest && sizeOf(body) > largest) throw tooLarge(id, topic, largest);
  }

  #begin(stream: string, push: Push, stored: () => void, failed: (error: CatgaError) => void): void {
    const { token, items, bodies } = push;
    const subject = `catga.${this.#link.name}.q.${token}`;
    const start = `NATS/1.0\r\nNats-Expected-Stream: ${stream}\r\nNats-Msg-Id: ${token}/`;
    const round = new PushRound(this, stream, push, stored, failed);
    for (let at = 0; at < items.length && !round.isOver; at++) {
      const headers = new ReadyHeaders(`${start}${encodeURIComponent(items[at]!.id)}\r\n\r\n`);
      this.#link.askFor(round, subject, bodies[at], { headers: headers as unknown as MsgHdrs });
    }
  }

  /** Refuses what cannot all be kept. */
  async #makeSure({ topic, items: { length }, signal }: Push): Promise<void> {
    if (length > this.#items) throw queueFull(`push to "${topic}"`, `it takes at most ${this.#items} items`);
    const isRoom = async (): Promise<boolean> => {
      const what = `STREAM.INFO.${await this.#stream.open()}`;
      const { state } = await askApi<{ state: { messages: number } }>(this.#link, what, {}, [], { signal });
      const left = this.#items - state.messages - length;
      this.#room = Math.floor(left / PART) - RESERVE;
      this.#roomUntil = this.#link.runtime.clock.mono() + KNOWN;
      return left >= 0;
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

function tooLarge(id: string, topic: string, largest: number): CatgaError {
  const message = `Cannot push "${id}" to "${topic}": the server takes messages of at most ${largest} bytes`;
  return new CatgaError(systemFault("VALIDATION", message));
}
