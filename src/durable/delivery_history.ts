import { CatgaError } from "../result.ts";
import type { Delivery } from "../ports/queue.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Entry, Store } from "../ports/store.ts";
import { askStore } from "./ask_store.ts";
import { keyPart } from "./dead_letters_name.ts";

/** Whose deliveries are remembered, and where. */
export interface DeliveryHistoryHost {
  readonly store: Store;
  readonly runtime: Pick<Runtime, "clock" | "crypto">;
  readonly topic: string;
  readonly group: string;
}

/** What became of the times that a delivery was handed out. */
export interface HandOuts {
  /** In how many rounds it failed. */
  readonly failed: number;
  /** The last time of which something was heard: that it had failed, or was given back. */
  readonly heard: number;
  /** How often it was begun alone and nothing more was heard. */
  readonly alone: number;
}

const PREFIX = "failures/";
/** The longest one question to the store may take, in ms. */
const PATIENCE = 3000;
/** How long it is remembered beyond the time that it is kept back, in ms: a week. */
const WEEK = 7 * 86_400_000;
/** How often whoever had the delivery before may write in between. */
const TRIES = 5;
/** Nothing is known. */
export const NOTHING: HandOuts = { failed: 0, heard: 0, alone: 0 };

/**
 * What all processes know of one delivery beyond what its queue counts: a queue counts each time that it hands it out,
 * whatever came of that. Nothing is kept of a delivery that goes well the first time.
 */
export class DeliveryHistory {
  readonly #host: DeliveryHistoryHost;
  readonly #delivery: Delivery;
  readonly #signal: AbortSignal | undefined;
  #handOuts: HandOuts = NOTHING;
  #revision: number | undefined;
  #isRead: boolean;
  /** Whether the store may have something. */
  #isKept: boolean;

  /** @param signal gives up waiting for the store */
  constructor(host: DeliveryHistoryHost, delivery: Delivery, signal?: AbortSignal) {
    this.#host = host;
    this.#delivery = delivery;
    this.#signal = signal;
    this.#isRead = delivery.attempt === 1;
    this.#isKept = !this.#isRead;
  }

  get handOuts(): HandOuts {
    return this.#handOuts;
  }

  /** How often it was handed out since something was heard of it. */
  get unheard(): number {
    return this.#delivery.attempt - 1 - this.#handOuts.heard;
  }

  /** Finds out what was written before. */
  async read(): Promise<void> {
    const entry = await this.#get(await this.#key());
    this.#handOuts = decode(entry) ?? NOTHING;
    this.#revision = entry?.revision;
    this.#isRead = true;
    this.#isKept = entry !== undefined;
  }

  /**
   * Writes what came of this time; may be repeated when its answer was lost. Rejects with `CONFLICT` when the delivery
   * was handed out to another since, who has written already.
   *
   * @param delay for how long the delivery is kept back, in ms
   */
  async write(handOuts: HandOuts, delay: number): Promise<void> {
    const { attempt } = this.#delivery;
    const value = JSON.stringify({ ...handOuts, at: attempt });
    const key = await this.#key();
    this.#isKept = true;
    for (let tries = 1;; tries++) {
      const expected = this.#revision ?? "absent";
      try {
        this.#revision = await this.#ask((signal) => {
          return this.#host.store.put(key, value, { expected, ttl: WEEK + delay, signal });
        });
        break;
      } catch (thrown) {
        if (!(CatgaError.is(thrown) && thrown.code === "CONFLICT") || tries >= TRIES) throw thrown;
        const entry = await this.#get(key);
        if ((decode(entry)?.at ?? 0) > attempt) throw thrown;
        // Its own answer was lost, or whoever had the delivery before was late: that is not counted.
        this.#revision = entry?.revision;
      }
    }
    this.#handOuts = handOuts;
  }

  /** It is done with. Never rejects: what the store does not hear of goes of itself. */
  async forget(): Promise<void> {
    if (!this.#isKept) return;
    try {
      const key = await this.#key();
      await this.#ask((signal) => this.#host.store.delete(key, { signal }));
    } catch {
      // Its time runs out.
    }
  }

  /** It was given back, and that was no crash. Never rejects: at worst it looks like one. */
  async givenBack(before: HandOuts = this.#handOuts, delay: number = 0): Promise<void> {
    try {
      const isKnown = this.#isRead;
      if (!isKnown) await this.read();
      const last = isKnown ? before : this.#handOuts;
      await this.write({ ...last, heard: this.#delivery.attempt }, delay);
    } catch {
      // The next one has written, or the store cannot be asked.
    }
  }

  async #key(): Promise<string> {
    const { topic, group, runtime: { crypto } } = this.#host;
    const { id, pushed } = this.#delivery;
    const parts = await Promise.all([topic, group, id].map((part) => keyPart(part, crypto)));
    return `${PREFIX}${parts.join("/")}/${pushed}`;
  }

  #get(key: string): Promise<Entry | undefined> {
    return this.#ask((signal) => this.#host.store.get(key, { signal }));
  }

  #ask<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return askStore({ clock: this.#host.runtime.clock, limit: PATIENCE, signal: this.#signal }, ask);
  }
}

interface WrittenHandOuts extends HandOuts {
  /** The time at which it was written. */
  readonly at: number;
}

function decode(entry: Entry | undefined): WrittenHandOuts | undefined {
  if (entry === undefined) return undefined;
  try {
    const { failed, heard, alone, at } = JSON.parse(entry.value) as WrittenHandOuts;
    return [failed, heard, alone, at].every(Number.isSafeInteger) ? { failed, heard, alone, at } : undefined;
  } catch {
    return undefined;
  }
}
