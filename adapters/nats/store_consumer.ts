import type { Msg } from "@nats-io/nats-core";
import { randomToken } from "./random_token.ts";
import { type Kept, markOf } from "./store_message.ts";
import type { StoreStream } from "./store_stream.ts";
import type { OpenStream } from "./store_stream_made.ts";

/** How many heartbeats may fail to come. */
const MISSES = 3;
/** How long a server keeps a consumer that nobody listens to, in ms. */
const FORGOTTEN = 5000;

/** What a {@linkcode StoreConsumer} is asked for. */
export interface ConsumerOptions {
  readonly filter: string;
  /** What is there, or what comes. */
  readonly deliver: "last_per_subject" | "new";
  /** Without what the messages carry. @default false */
  readonly bare?: boolean;
  /** How often the server shows that it is there, in ms. */
  readonly heartbeat: number;
  /** Takes a message, and how many come after it. */
  take(message: Kept, rest: number): void;
  /** Everything there is was taken. */
  idle?(): void;
  /** It has ended by itself: something was lost, or may have been. */
  broken(why: string): void;
}

/** Messages of a stream as they come, in order, without a gap; what cannot be so ends it. */
export class StoreConsumer {
  /** How many messages there were for it when it was made. */
  pending: number = 0;
  readonly #stream: StoreStream;
  readonly #options: ConsumerOptions;
  readonly #ends: (() => void)[] = [];
  #heard: number;
  #taken = 0;
  #closed = false;

  private constructor(stream: StoreStream, options: ConsumerOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#heard = stream.link.runtime.clock.mono();
  }

  /** Makes one; what it takes may come before this resolves. */
  static async open(
    stream: StoreStream,
    { name }: OpenStream,
    options: ConsumerOptions,
    signal?: AbortSignal,
  ): Promise<StoreConsumer> {
    const made = new StoreConsumer(stream, options);
    const inbox = made.#listen();
    const wanted = {
      stream_name: name,
      config: {
        deliver_subject: inbox,
        filter_subject: options.filter,
        deliver_policy: options.deliver,
        ack_policy: "none",
        replay_policy: "instant",
        flow_control: true,
        idle_heartbeat: options.heartbeat * 1e6,
        inactive_threshold: FORGOTTEN * 1e6,
        headers_only: options.bare === true,
        mem_storage: true,
        num_replicas: 1,
      },
    };
    try {
      const answer = await stream.api<{ name: string; num_pending?: number }>(
        `CONSUMER.CREATE.${name}`,
        wanted,
        signal,
      );
      made.pending = answer.num_pending ?? 0;
      made.#ends.push(() =>
        stream.link.up && publish(stream, `$JS.API.CONSUMER.DELETE.${name}.${answer.name}`)
      );
      if (made.#closed) made.#end();
      return made;
    } catch (thrown) {
      made.close();
      throw thrown;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#end();
  }

  #end(): void {
    for (const end of this.#ends.splice(0)) end();
  }

  #listen(): string {
    const { link } = this.#stream;
    const { clock, random } = link.runtime;
    const inbox = `catga.${link.name}.r.${randomToken(random)}`;
    const subscription = link.connection.subscribe(inbox, {
      callback: (error, message) => error === null ? this.#take(message) : this.#break(error.message),
    });
    this.#ends.push(() => subscription.unsubscribe());
    this.#ends.push(link.onReconnect(() => this.#break("the connection was lost meanwhile")));
    const limit = this.#options.heartbeat * MISSES;
    let stop = (): void => {};
    const look = (): void => {
      if (clock.mono() - this.#heard > limit) return this.#break(`nothing was heard for ${limit} ms`);
      stop = clock.timer(this.#options.heartbeat, look);
    };
    look();
    this.#ends.push(() => stop());
    return inbox;
  }

  #take(message: Msg): void {
    if (this.#closed) return;
    const { link } = this.#stream;
    this.#heard = link.runtime.clock.mono();
    const { headers, reply, subject, data } = message;
    if (headers !== undefined && headers.code === 100) {
      const stalled = headers.get("Nats-Consumer-Stalled");
      if (reply) publish(this.#stream, reply);
      else if (stalled !== "") publish(this.#stream, stalled);
      const last = headers.get("Nats-Last-Consumer");
      if (last === "") return;
      if (Number(last) !== this.#taken) return this.#break("messages were lost");
      // One that waits for us to keep up has more to say.
      if (stalled === "") this.#options.idle?.();
      return;
    }
    const place = readPlace(reply ?? "");
    if (place === undefined || headers?.code === 503) return;
    if (place.delivered !== ++this.#taken) return this.#break("messages were lost");
    const { sequence, stamp } = place;
    this.#options.take({ subject, sequence, stamp, mark: markOf(headers), data }, place.rest);
  }

  #break(why: string): void {
    if (this.#closed) return;
    this.close();
    this.#options.broken(why);
  }
}

interface Place {
  readonly sequence: number;
  readonly delivered: number;
  readonly stamp: number;
  readonly rest: number;
}

/** Where a message stands, by the subject that would acknowledge it. */
function readPlace(reply: string): Place | undefined {
  const parts = reply.split(".");
  if (parts[0] !== "$JS" || parts[1] !== "ACK") return undefined;
  // Newer servers put domain and account first, and something random last.
  const [sequence, delivered, time, rest] = (parts.length === 9 ? parts.slice(5) : parts.slice(7)).map(
    Number,
  );
  if (![sequence, delivered, time, rest].every(Number.isFinite)) return undefined;
  return { sequence: sequence!, delivered: delivered!, stamp: time! / 1e6, rest: rest! };
}

function publish({ link }: StoreStream, subject: string): void {
  try {
    link.connection.publish(subject);
  } catch {
    // The connection is closed: nobody is left to hear it.
  }
}
