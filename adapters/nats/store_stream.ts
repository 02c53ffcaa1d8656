import type { Msg } from "@nats-io/nats-core";
import { backoff } from "../../src/internal/backoff.ts";
import { fromBase64 } from "../../src/internal/base64.ts";
import { sleep } from "../../src/internal/sleep.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import type { Link } from "./link.ts";
import { headersOf, type Kept, type Mark, markOf, markOfBytes, readTime } from "./store_message.ts";
import { type OpenStream, type StreamLimits, StreamMaker } from "./store_stream_made.ts";
import { ApiFailure, apiRefusal, LOST, readAnswer, STALE } from "./store_refusals.ts";
import type { StoreNames } from "./store_names.ts";

/** How long the server may take to answer, in ms. */
const PATIENCE = 2000;
/** How long to wait for what was read before it is asked whether the stream is there, in ms. */
const LATE = 100;
/** How often something is tried while nobody answers for the stream, and how long to wait at most between, in ms. */
const TRIES = 5;
const PAUSE = 400;

interface PublishAnswer {
  readonly stream?: string;
  readonly seq?: number;
  readonly duplicate?: boolean;
}

/** What came of a write: its sequence, or that another one than expected is the last. */
export type Outcome = number | "stale";

/** The stream of a store: reads and writes of single messages. */
export class StoreStream {
  readonly link: Link;
  readonly names: StoreNames;
  /** Called when the stream is another one than before. */
  lost: () => void = () => {};
  readonly #maker: StreamMaker;
  /** Whether one server alone keeps it: the others may lag behind the one that leads. */
  readonly alone: boolean;
  readonly #deaf: () => void;

  constructor(link: Link, names: StoreNames, limits: StreamLimits) {
    this.link = link;
    this.names = names;
    this.#maker = new StreamMaker(link, names, limits, () => this.lost());
    // Whoever comes back may find another one.
    this.#deaf = link.onReconnect(() => this.#maker.forget());
    this.alone = (link.jetstream?.replicas ?? 1) === 1;
  }

  /** Hears of the connection no more. */
  close(): void {
    this.#deaf();
  }

  /** Does something on the stream as it is now; makes it again, and does it again, where it is not there. */
  async run<T>(signal: AbortSignal | undefined, work: (stream: OpenStream) => Promise<T>): Promise<T> {
    const { clock, random } = this.link.runtime;
    for (let failures = 1;; failures++) {
      const stream = await this.#maker.open(signal);
      try {
        return await work(stream);
      } catch (thrown) {
        if (thrown !== LOST) throw thrown;
        this.#maker.forget();
        if (failures === TRIES) throw nobody(stream.name);
        await sleep(clock, backoff(failures, PAUSE / 8, PAUSE, random.u32()), signal);
      }
    }
  }

  /** Writes a message, over that sequence only if one is given; 0 is none. */
  async write(
    { name, floor }: OpenStream,
    subject: string,
    payload: Uint8Array | string,
    mark: Mark,
    over: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Outcome> {
    const headers = headersOf(mark);
    if (over !== undefined) headers.set("Nats-Expected-Last-Subject-Sequence", `${over}`);
    // Several servers on 2.9 take all of those that expect the same at one time, but only one of the same name.
    if (over !== undefined && over > 0 && !this.alone) headers.set("Nats-Msg-Id", `${over}`);
    const answer = await this.#ask(subject, payload, { headers, signal });
    const { error, stream, seq, duplicate } = readAnswer<PublishAnswer>(answer);
    if (duplicate === true || (error !== undefined && STALE.includes(error.err_code))) return "stale";
    if (error === undefined && stream === name && Number.isSafeInteger(seq)) {
      // Below it nothing stays: the stream is a new one, and not ready yet.
      if (seq! < floor) throw LOST;
      return seq!;
    }
    throw apiRefusal("write to the store", error);
  }

  /** The last message of a subject. */
  last(stream: OpenStream, subject: string, signal: AbortSignal | undefined): Promise<Kept | undefined> {
    return this.alone
      ? this.#read(stream, `.${subject}`, "", signal)
      : this.#readLeader(stream, { last_by_subj: subject }, signal);
  }

  /** The message of a sequence. */
  at(stream: OpenStream, seq: number, signal: AbortSignal | undefined): Promise<Kept | undefined> {
    return this.alone
      ? this.#read(stream, "", JSON.stringify({ seq }), signal)
      : this.#readLeader(stream, { seq }, signal);
  }

  /** Takes a message away, without a trace. */
  async remove({ name }: OpenStream, seq: number, signal: AbortSignal | undefined): Promise<void> {
    const wanted = JSON.stringify({ seq, no_erase: true });
    readAnswer(await this.#ask(`$JS.API.STREAM.MSG.DELETE.${name}`, wanted, { signal }));
  }

  /** Asks something of the server's interface for streams. */
  async api<T extends object>(
    what: string,
    body: object,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const answer = readAnswer<T>(await this.#ask(`$JS.API.${what}`, JSON.stringify(body), { signal }));
    if (answer.error?.err_code === ApiFailure.noStream) throw LOST;
    if (answer.error !== undefined) throw apiRefusal(what, answer.error);
    return answer;
  }

  async #read(
    stream: OpenStream,
    subject: string,
    payload: string,
    signal: AbortSignal | undefined,
  ): Promise<Kept | undefined> {
    const asked = this.#ask(`$JS.API.DIRECT.GET.${stream.name}${subject}`, payload, { signal });
    const { headers, data } = await this.#unlessLost(asked);
    if (headers === undefined || headers.code === 404) return undefined;
    if (headers.code !== 0) throw apiRefusal("read from the store", { description: headers.description });
    return {
      subject: headers.get("Nats-Subject"),
      sequence: Number(headers.get("Nats-Sequence")),
      stamp: readTime(headers.get("Nats-Time-Stamp")),
      mark: markOf(headers),
      data,
    };
  }

  /** Asks the one that leads: the others may lag behind. */
  async #readLeader(
    { name }: OpenStream,
    wanted: object,
    signal: AbortSignal | undefined,
  ): Promise<Kept | undefined> {
    const answer = await this.#ask(`$JS.API.STREAM.MSG.GET.${name}`, JSON.stringify(wanted), { signal });
    const { error, message } = readAnswer<{ message?: Readonly<Record<string, string>> }>(answer);
    if (error?.err_code === ApiFailure.noMessage) return undefined;
    if (error?.err_code === ApiFailure.noStream) throw LOST;
    if (error !== undefined || message === undefined) throw apiRefusal("read from the store", error);
    return {
      subject: message["subject"] ?? "",
      sequence: Number(message["seq"]),
      stamp: readTime(message["time"] ?? ""),
      mark: message["hdrs"] === undefined ? undefined : markOfBytes(fromBase64(message["hdrs"])),
      data: fromBase64(message["data"] ?? ""),
    };
  }

  /** Nobody says that a stream is not there to whoever reads from it this way. */
  #unlessLost<T>(asked: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = (): void => void this.#maker.isThere().then((there) => there || reject(LOST));
      const stop = this.link.runtime.clock.timer(LATE, look);
      asked.finally(stop).then(resolve, reject);
    });
  }

  async #ask(
    subject: string,
    payload: Uint8Array | string,
    options: Parameters<Link["ask"]>[2],
  ): Promise<Msg> {
    try {
      return await this.link.ask(subject, payload, { timeout: PATIENCE, ...options });
    } catch (thrown) {
      // The server is there, but nobody answers for the stream.
      if (this.link.up && CatgaError.is(thrown) && thrown.code === "UNAVAILABLE") throw LOST;
      throw thrown;
    }
  }
}

function nobody(name: string): CatgaError {
  const message = `Cannot use the store: no server answers for its stream "${name}" just now`;
  return new CatgaError(systemFault("UNAVAILABLE", message));
}
