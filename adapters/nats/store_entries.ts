import { backoff } from "../../src/internal/backoff.ts";
import { Lru } from "../../src/internal/lru.ts";
import { sleep } from "../../src/internal/sleep.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import type { Link } from "./link.ts";
import { type Reading, ServerClock } from "./store_clock.ts";
import { type Kept, keyOf, type Mark } from "./store_message.ts";
import { StoreNames } from "./store_names.ts";
import { LOST } from "./store_refusals.ts";
import { type Outcome, StoreStream } from "./store_stream.ts";
import type { OpenStream, StreamLimits } from "./store_stream_made.ts";

/** How many entries are known to be live without asking. */
const KNOWN = 4096;
/** When to look whether a write was done whose answer was lost: after so many ms, each. */
const LOOKS = [0, 50, 200, 750];
/** How long to wait at most for others who write the same, in ms. */
const LONGEST = 50;

/** A {@linkcode Mark} before it is written. */
export type Wanted = Omit<Mark, "id">;

/** Single entries: what is there, whether its time is over, and writes whose outcome is certain where it can be. */
export class StoreEntries {
  readonly link: Link;
  readonly names: StoreNames;
  readonly stream: StoreStream;
  readonly clock: ServerClock;
  /** Revisions that are certainly live until their time. */
  readonly #known: Lru<true> = new Lru({ entries: KNOWN, size: KNOWN });
  readonly #id: string;
  #writes = 0;

  constructor(link: Link, limits: StreamLimits) {
    const { clock, random, crypto } = link.runtime;
    this.link = link;
    this.names = new StoreNames(link.name, crypto);
    this.stream = new StoreStream(link, this.names, limits);
    this.clock = new ServerClock(clock);
    this.#id = [random.u32(), random.u32()].map((part) => part.toString(36)).join("");
  }

  /** Sees that there is a stream, with its notes, and what its server's clock shows. */
  async begin(): Promise<void> {
    await this.clock.look(this.#readClock);
    await this.write(this.names.sweep, { kind: "gone" }, "", 0, undefined);
  }

  /** The last message of a subject. */
  async read(subject: string, signal: AbortSignal | undefined): Promise<Kept | undefined> {
    const kept = await this.stream.run(signal, (stream) => this.stream.last(stream, subject, signal));
    if (kept?.mark?.kind !== "put") return kept;
    // Whoever wrote a key that does not belong there wrote nothing.
    if (keyOf(kept, this.names) === undefined) return { ...kept, mark: undefined };
    const now = this.link.runtime.clock.mono();
    const { ttl } = kept.mark;
    this.#know(kept.sequence, ttl === undefined ? Infinity : now + this.clock.certain(kept.stamp, ttl));
    return kept;
  }

  /** Whether a message is an entry whose time is not over. */
  async live(kept: Kept | undefined, signal?: AbortSignal): Promise<boolean> {
    if (kept?.mark?.kind !== "put") return false;
    const { ttl } = kept.mark;
    if (ttl === undefined || !this.clock.mayBeOver(kept.stamp, ttl)) return true;
    const over = await this.clock.isOver(kept, ttl, this.#readClock);
    if (signal?.aborted) {
      throw new CatgaError(systemFault("CANCELLED", "Nobody waits any longer for the store"));
    }
    return !over;
  }

  /** Lets others go first, who write the same. */
  rest(tries: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, random } = this.link.runtime;
    return sleep(clock, backoff(tries + 1, 1, LONGEST, random.u32()), signal);
  }

  /** Whether what was written with this revision is certainly live, unless it was written over. */
  isLive(revision: number): boolean {
    return this.#known.get(`${revision}`, this.link.runtime.clock.mono()) === true;
  }

  /** Writes a message over that revision, over nothing if it is 0, or over whatever is there; answers its revision. */
  write(
    subject: string,
    wanted: Wanted,
    value: string,
    over: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Outcome> {
    const mark: Mark = { ...wanted, id: `${this.#id}-${(this.#writes++).toString(36)}` };
    const payload = this.#payload(value);
    return this.stream.run(signal, (stream) => this.#write(stream, subject, payload, mark, over, signal));
  }

  async #write(
    stream: OpenStream,
    subject: string,
    payload: Uint8Array,
    mark: Mark,
    over: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Outcome> {
    const since = this.link.runtime.clock.mono();
    const outcome = await this.stream.write(stream, subject, payload, mark, over, signal)
      .catch((thrown: unknown) => this.#settle(thrown, stream, subject, mark, signal));
    if (outcome !== "stale" && mark.kind === "put") {
      this.#know(outcome, mark.ttl === undefined ? Infinity : since + mark.ttl * 0.99);
    }
    return outcome;
  }

  /** Whether a write was done whose answer was lost; throws again what was thrown if that is not certain. */
  async #settle(
    thrown: unknown,
    stream: OpenStream,
    subject: string,
    { id }: Mark,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    if (!CatgaError.is(thrown) || thrown.code !== "TRANSPORT") throw thrown;
    for (const pause of LOOKS) {
      await sleep(this.link.runtime.clock, pause, signal);
      if (signal?.aborted) break;
      try {
        const kept = await this.stream.last(stream, subject, signal);
        if (kept?.mark?.id === id) return kept.sequence;
        break;
      } catch {
        // It is still away.
      }
    }
    throw thrown;
  }

  #payload(value: string): Uint8Array {
    const payload = new TextEncoder().encode(value);
    const most = this.link.connection.info?.max_payload ?? Infinity;
    if (payload.length + 8192 <= most || payload.length <= 8192) return payload;
    const message =
      `Cannot put ${payload.length} bytes: the server takes ${most}, with 8192 for headers (max_payload)`;
    throw new CatgaError(systemFault("VALIDATION", message));
  }

  #know(revision: number, until: number): void {
    this.#known.set(`${revision}`, true, until, 1);
  }

  /** Writes a message and reads when the server took it. */
  readonly #readClock = (): Promise<Reading> => {
    const { clock } = this.link.runtime;
    const { clock: subject } = this.names;
    return this.stream.run(undefined, async (stream) => {
      const since = clock.mono();
      const mark: Mark = { kind: "gone", id: this.#id };
      const written = await this.stream.write(stream, subject, "", mark, undefined, undefined);
      let until = clock.mono();
      const kept = await this.stream.last(stream, subject, undefined);
      if (kept === undefined) throw LOST;
      // Another one may have written since.
      if (kept.sequence !== written) until = clock.mono();
      return { stamp: kept.stamp, sequence: kept.sequence, since, until };
    });
  };
}
