import { CatgaError, systemFault } from "../../src/result.ts";
import { StoreConsumer } from "./store_consumer.ts";
import { eachKept } from "./store_list.ts";
import type { Kept } from "./store_message.ts";
import { LOST } from "./store_refusals.ts";
import type { StoreStream } from "./store_stream.ts";
import type { OpenStream } from "./store_stream_made.ts";
import { unlessAborted } from "./store_wait.ts";

/** How often the server shows that it is there, in ms: a dead connection is noticed after three of them. */
const HEARTBEAT = 1000;
/** How much of what is there is remembered, for those who begin to listen later. */
const ENTRIES = 4096;
const BYTES = 4 * 2 ** 20;

/** Who hears of what is kept. */
export interface FeedListener {
  take(message: Kept): void;
  /** No more changes come. */
  fail(error: CatgaError): void;
}

/**
 * The messages of some subjects, as they are and as they come: one consumer for all who listen to them on this
 * connection. What is there is remembered as long as it is little, so that many can begin for the price of one.
 */
export class StoreFeed {
  readonly #port: StoreStream;
  readonly #filter: string;
  readonly #ended: () => void;
  readonly #listeners: Set<FeedListener> = new Set();
  readonly #catching: Set<() => void> = new Set();
  readonly #ready: Promise<OpenStream>;
  #kept: Map<string, Kept> | undefined = new Map();
  #bytes = 0;
  #seen = 0;
  #loading = true;
  #closed = false;
  #consumer: StoreConsumer | undefined;

  /** @param ended is called when it breaks off */
  constructor(port: StoreStream, filter: string, ended: () => void) {
    this.#port = port;
    this.#filter = filter;
    this.#ended = ended;
    this.#ready = port.run(undefined, (stream) => this.#open(stream));
    this.#ready.catch((thrown: unknown) => {
      this.close();
      ended();
      return thrown;
    });
  }

  /** How many listen. */
  get size(): number {
    return this.#listeners.size;
  }

  /** Whether it has begun. */
  get begun(): boolean {
    return !this.#loading;
  }

  /** Tells all that is there now, then what comes. */
  async add(listener: FeedListener, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#add(listener, signal);
    } catch (thrown) {
      if (thrown !== LOST) throw thrown;
      this.breakOff("its stream is gone");
      throw brokenOff("its stream is gone");
    }
  }

  async #add(listener: FeedListener, signal: AbortSignal | undefined): Promise<void> {
    const stream = await unlessAborted(this.#ready, signal);
    if (this.#kept !== undefined) {
      // What was written before this must be told before it is said that all was.
      const last = await this.#port.last(stream, this.#filter, signal);
      await unlessAborted(this.#caughtUp(last?.sequence ?? 0), signal);
    }
    if (this.#closed) throw brokenOff("it has ended");
    this.#listeners.add(listener);
    if (this.#kept !== undefined) {
      for (const kept of this.#kept.values()) listener.take(kept);
      return;
    }
    await eachKept(this.#port, stream, {
      filter: this.#filter,
      signal,
      most: Infinity,
      take: (message) => listener.take(message),
    });
  }

  remove(listener: FeedListener): void {
    this.#listeners.delete(listener);
  }

  breakOff(why: string): void {
    if (this.#closed) return;
    this.close();
    this.#ended();
    for (const listener of [...this.#listeners]) listener.fail(brokenOff(why));
  }

  close(): void {
    this.#closed = true;
    this.#kept = undefined;
    this.#consumer?.close();
    this.#wake();
  }

  async #open(stream: OpenStream): Promise<OpenStream> {
    this.#kept = new Map();
    this.#bytes = this.#seen = 0;
    const take = (message: Kept): void => this.#take(message);
    const broken = (why: string): void => this.breakOff(why);
    const filter = this.#filter;
    this.#consumer = await StoreConsumer.open(this.#port, stream, {
      filter,
      deliver: "new",
      heartbeat: HEARTBEAT,
      take,
      broken,
    });
    if (this.#closed) this.#consumer.close();
    if (!await eachKept(this.#port, stream, { filter, signal: undefined, most: ENTRIES, take })) {
      this.#kept = undefined;
    }
    this.#loading = false;
    for (const [subject, { mark }] of this.#kept ?? []) if (mark?.kind !== "put") this.#kept?.delete(subject);
    return stream;
  }

  #take(message: Kept): void {
    const { subject, sequence, mark, data } = message;
    this.#seen = Math.max(this.#seen, sequence);
    if (this.#kept !== undefined) {
      const before = this.#kept.get(subject);
      if (before !== undefined && before.sequence >= sequence) return;
      this.#bytes += data.length - (before?.data.length ?? 0);
      // While what is there is being read, one that has gone is remembered too.
      if (mark?.kind === "put" || this.#loading) this.#kept.set(subject, message);
      else this.#kept.delete(subject);
      if (this.#bytes > BYTES || this.#kept.size > ENTRIES) this.#kept = undefined;
    }
    for (const listener of [...this.#listeners]) listener.take(message);
    this.#wake();
  }

  async #caughtUp(sequence: number): Promise<void> {
    while (this.#seen < sequence && this.#kept !== undefined) {
      await new Promise<void>((resolve) => this.#catching.add(resolve));
    }
  }

  #wake(): void {
    for (const wake of this.#catching) wake();
    this.#catching.clear();
  }
}

function brokenOff(why: string): CatgaError {
  return new CatgaError(systemFault("TRANSPORT", `The watch of the store broke off: ${why}`));
}
