/**
 * The only door to time, chance, cryptography, the network and background work. Everything in this library that
 * needs one of them takes it from a `Runtime`, so a simulator can replay a whole cluster from a seed and an edge
 * platform can put its own in.
 */
export interface Runtime {
  /** Time and timers. */
  readonly clock: Clock;
  /** Chance. */
  readonly random: Random;
  /** Keyed hashes. */
  readonly crypto: Signer;
  /** Sends an HTTP request; the platform's `fetch` or a client with the same shape. Never follows a redirect. */
  fetch(url: string, init: FetchInit): Promise<FetchReply>;
  /** Takes work that goes on after its caller has been answered (`waitUntil` on edge platforms). */
  background(work: Promise<unknown>): void;
  /** Takes what an operator should know. Must not throw. */
  log(entry: LogEntry): void;
  /** How busy the machine or process is just now; left out where nobody can tell. */
  readonly usage?: (() => Usage) | undefined;
}

/** How busy a machine or process is. */
export interface Usage {
  /** The part of the processor time since it was asked last that was used, from 0 to 1. */
  readonly cpu: number | undefined;
  /** The part of the memory there is that is used, from 0 to 1. */
  readonly memory: number | undefined;
}

/** Time and timers. */
export interface Clock {
  /** Milliseconds that only grow, from an arbitrary start. For durations and deadlines. */
  mono(): number;
  /** Milliseconds since 1970. For people and other machines; may jump. */
  wall(): number;
  /** Runs a function once after some ms, however many, and never early; answers a function that calls it off. */
  timer(ms: number, run: () => void): () => void;
}

/** Chance. */
export interface Random {
  /** A whole number from 0 up to 2^32 - 1. */
  u32(): number;
}

/** Keyed hashes. */
export interface Signer {
  /** HMAC-SHA-256 of a text under a key, in base64url without padding. */
  hmac(key: string, text: string): string | Promise<string>;
  /** SHA-256 of a body, in base64url without padding. */
  hash(body: string | Uint8Array): string | Promise<string>;
}

/** What {@linkcode Runtime.fetch} is called with. */
export interface FetchInit {
  /** Such as `POST`. */
  readonly method: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Nothing is sent if it is left out. */
  readonly body?: string | Uint8Array;
  /** Ends the request. */
  readonly signal?: AbortSignal;
}

/** The part of a `Response` that this library reads. */
export interface FetchReply {
  /** Such as 200. */
  readonly status: number;
  /** A header by name; `null` if it is not there. */
  readonly headers: { get(name: string): string | null };
  /** The body in pieces; `null` if there is none. */
  readonly body: AsyncIterable<Uint8Array> | null;
  /** The whole body as UTF-8. */
  text(): Promise<string>;
}

/** How much an entry matters. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** One thing that happened, as data. */
export interface LogEntry {
  /** How much it matters. */
  readonly level: LogLevel;
  /** A stable name for machines, such as `handler.failed`. */
  readonly event: string;
  /** One sentence for a person. */
  readonly message: string;
  /** The details, as data. */
  readonly fields?: Readonly<Record<string, unknown>>;
}
