import { byCodePoint } from "../../src/internal/by_code_point.ts";
import { sleep } from "../../src/internal/sleep.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import { StoreConsumer } from "./store_consumer.ts";
import type { Kept } from "./store_message.ts";
import type { StoreStream } from "./store_stream.ts";
import type { OpenStream } from "./store_stream_made.ts";

/** How often the server shows that it is there, in ms; what is complete is known by the next one at the latest. */
const HEARTBEAT = 250;
/** How many more than are wanted are taken with what they carry. */
const SPARE = 64;
/** How many are read at a time. */
const LANES = 32;
/** How often a server that lags behind is asked, and how long to wait between, in ms. */
const TRIES = 40;
const PAUSE = 50;

/** What {@linkcode listKept} is asked for. */
export interface ListQuery {
  readonly filter: string;
  readonly limit: number;
  readonly signal: AbortSignal | undefined;
  /** The key of a message, if it is one of those that are wanted. */
  key(message: Kept): string | undefined;
  /** Whether it is an entry whose time is not over. */
  live(message: Kept): Promise<boolean>;
}

/** The entries that are wanted, ordered by key. */
export async function listKept(
  stream: StoreStream,
  open: OpenStream,
  query: ListQuery,
): Promise<readonly Kept[]> {
  const { filter, limit, signal, key, live } = query;
  const found = new Map<string, Kept>();
  const take = (message: Kept): void => {
    if (message.mark?.kind !== "put") found.delete(message.subject);
    else if (key(message) !== undefined) found.set(message.subject, message);
  };
  const whole = await eachKept(stream, open, { filter, signal, take, most: limit + SPARE });
  if (!whole) {
    found.clear();
    await eachKept(stream, open, { filter, signal, take, most: undefined });
  }
  const ordered = [...found.values()]
    .map((message) => ({ name: key(message)!, message }))
    .toSorted((a, b) => byCodePoint(a.name, b.name));
  const page: Kept[] = [];
  for (let at = 0; at < ordered.length && page.length < limit; at += LANES) {
    const some = ordered.slice(at, at + LANES).map(async ({ message }) => {
      if (!await live(message)) return undefined;
      if (whole) return message;
      const { sequence, subject } = message;
      const read = await stream.at(open, sequence, signal) ?? await stream.last(open, subject, signal);
      return read !== undefined && await live(read) ? read : undefined;
    });
    for (const message of await Promise.all(some)) if (message !== undefined) page.push(message);
  }
  return page.slice(0, limit);
}

/** What {@linkcode eachKept} is asked for. */
export interface EachQuery {
  readonly filter: string;
  readonly signal: AbortSignal | undefined;
  /** The most that are taken with what they carry; however many without it if `undefined`. */
  readonly most: number | undefined;
  take(message: Kept): void;
}

/** Takes the last message of each subject; one may come more than once. `false` if they are too many. */
export async function eachKept(port: StoreStream, stream: OpenStream, query: EachQuery): Promise<boolean> {
  const { clock } = port.link.runtime;
  const { filter, signal } = query;
  // One that lags behind is asked again.
  const least = port.alone ? 0 : (await port.last(stream, filter, signal))?.sequence ?? 0;
  for (let tries = 1;; tries++) {
    let seen = 0;
    const take = (message: Kept): void => {
      seen = Math.max(seen, message.sequence);
      query.take(message);
    };
    if (!await once(port, stream, { ...query, take })) return false;
    if (seen >= least) return true;
    if (tries === TRIES) {
      throw new CatgaError(systemFault("TRANSPORT", "Cannot list the store: a server lags behind"));
    }
    await sleep(clock, PAUSE, signal);
  }
}

async function once(port: StoreStream, stream: OpenStream, query: EachQuery): Promise<boolean> {
  const { filter, signal, most, take } = query;
  const done = Promise.withResolvers<void>();
  // Whoever waits may have left already.
  done.promise.catch(() => {});
  const fail = (code: "CANCELLED" | "TRANSPORT", message: string): void =>
    done.reject(new CatgaError(systemFault(code, message)));
  const cancel = (): void => fail("CANCELLED", "Nobody waits any longer for the list");
  signal?.addEventListener("abort", cancel, { once: true });
  let consumer: StoreConsumer | undefined;
  let stop: (() => void) | undefined;
  let [isLast, isLate] = [false, false];
  const subjects = new Set<string>();
  // What is overwritten is taken out of those that are to come a moment before its new message is counted among them.
  const end = (): void => {
    if (!isLast || consumer === undefined) return;
    if (isLate || subjects.size >= consumer.pending) return done.resolve();
    stop ??= port.link.runtime.clock.timer(HEARTBEAT, () => {
      isLate = true;
      end();
    });
  };
  try {
    consumer = await StoreConsumer.open(port, stream, {
      filter,
      bare: most === undefined,
      deliver: "last_per_subject",
      heartbeat: HEARTBEAT,
      take: (message, rest) => {
        take(message);
        subjects.add(message.subject);
        isLast = rest === 0;
        end();
      },
      idle: done.resolve,
      broken: (why) => fail("TRANSPORT", `Cannot list the store: ${why}`),
    }, signal);
    if (most !== undefined && consumer.pending > most) return false;
    if (consumer.pending === 0) done.resolve();
    end();
    await done.promise;
    return true;
  } finally {
    consumer?.close();
    stop?.();
    signal?.removeEventListener("abort", cancel);
  }
}
