import { CatgaError } from "../result.ts";
import type { Change, Store } from "../ports/store.ts";
import type { StoreUnderTest } from "./store_conformance.ts";

/** How often a check looks for what comes later, and how much of a time to live it waits each time. */
const LOOKS = 100;
const PAUSE = 0.02;

/** A watch and what it has told. */
export interface Followed {
  readonly changes: readonly Change[];
  /** Whether its loop has ended. */
  ended: boolean;
  stop(): void;
}

/** What one check works with. */
export class StoreTrial {
  readonly store: Store;
  readonly other: Store;
  readonly ttl: number;
  readonly #subject: StoreUnderTest;
  readonly #prefix: string;
  readonly #followed: Followed[] = [];

  constructor(subject: StoreUnderTest, prefix: string, ttl: number) {
    this.store = subject.store;
    this.other = subject.other ?? subject.store;
    this.ttl = ttl;
    this.#subject = subject;
    this.#prefix = prefix;
  }

  key(name: string): string {
    return this.#prefix + name;
  }

  /** Lets a part of the time to live pass. */
  pass(part: number): Promise<void> {
    return this.#subject.pass(part * this.ttl);
  }

  /** Watches, from now until the check is over. */
  follow(prefix: string, store: Store = this.store): Followed {
    const changes: Change[] = [];
    const controller = new AbortController();
    const followed: Followed = { changes, ended: false, stop: () => controller.abort() };
    this.#followed.push(followed);
    void (async () => {
      for await (const change of store.watch(prefix, { signal: controller.signal })) changes.push(change);
    })().finally(() => followed.ended = true).catch(() => {});
    return followed;
  }

  /** Waits until something is so. */
  async eventually(what: string, holds: () => boolean): Promise<void> {
    for (let looks = 0; looks < LOOKS; looks++) {
      if (holds()) return;
      await this.pass(PAUSE);
    }
    throw new Error(`Expected, but did not happen: ${what}`);
  }

  close(): void {
    for (const followed of this.#followed) followed.stop();
  }
}

/** Throws unless two values are the same as JSON, in whatever order their fields are. */
export function same(what: string, found: unknown, wanted: unknown): void {
  const [a, b] = [found, wanted].map((value) => JSON.stringify(value, sorted) ?? "undefined");
  if (a !== b) throw new Error(`${what}: found ${a}, wanted ${b}`);
}

function sorted(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1));
}

/** Throws unless it is so. */
export function must(what: string, holds: boolean): void {
  if (!holds) throw new Error(`Not kept: ${what}`);
}

/** The failure of something that must fail with a code. */
export async function failing(what: string, code: string, work: Promise<unknown>): Promise<CatgaError> {
  const thrown = await work.then(() => undefined, (error: unknown) => error ?? new Error("nothing"));
  if (!CatgaError.is(thrown) || thrown.code !== code) {
    const found = thrown === undefined
      ? "it went well"
      : CatgaError.is(thrown)
      ? thrown.code
      : String(thrown);
    throw new Error(`${what}: wanted ${code}, but ${found}`);
  }
  return thrown;
}
