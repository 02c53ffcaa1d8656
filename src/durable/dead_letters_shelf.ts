import { CatgaError, systemFault } from "../result.ts";
import type { Runtime } from "../ports/runtime.ts";
import type { Entry, Store } from "../ports/store.ts";
import type { Frame } from "../ports/transport.ts";
import { askStore } from "./ask_store.ts";
import {
  decodeLetter,
  encodeLetter,
  type LetterRecord,
  LETTERS,
  pieceKey,
  readBody,
} from "./dead_letters_entry.ts";

/** The longest one request may take, in ms. */
const PATIENCE = 5000;
/** How long what is written before a letter is there to stay is kept, in ms: a day. */
const UNSEALED = 86_400_000;

/** Dead letters as entries of a store. */
export class LetterShelf {
  readonly #store: Store;
  readonly #runtime: Pick<Runtime, "clock">;

  constructor(store: Store, runtime: Pick<Runtime, "clock">) {
    this.#store = store;
    this.#runtime = runtime;
  }

  /** The letter of a name. */
  async find(name: string): Promise<LetterRecord | undefined> {
    return decodeLetter(await this.entry(name));
  }

  /** The entry of the letter of a name. */
  entry(name: string): Promise<Entry | undefined> {
    return this.#get(`${LETTERS}${name}`);
  }

  /** The letters whose names begin like this, ordered by name. */
  async list(prefix: string, limit: number, signal?: AbortSignal): Promise<LetterRecord[]> {
    const entries = await this.#ask(
      (signal) => this.#store.list(`${LETTERS}${prefix}`, { limit, signal }),
      signal,
    );
    return entries.map(decodeLetter).filter((letter) => letter !== undefined);
  }

  /**
   * Writes a letter over what was expected there. What is in pieces goes of itself, with the letter, until all of it is
   * there to stay.
   */
  async put(record: LetterRecord, pieces: readonly string[], expected: number | "absent"): Promise<void> {
    if (pieces.length === 0) return void await this.#write(record, expected);
    await this.#putPieces(record, pieces, UNSEALED);
    const revision = await this.#write({ ...record, sealed: false }, expected, UNSEALED);
    await this.#putPieces(record, pieces);
    await this.#write(record, revision);
  }

  /** Takes a letter away, unless it is another by now; whether it was. */
  async remove(record: LetterRecord): Promise<boolean> {
    const { name, revision } = record;
    try {
      await this.#ask((signal) => this.#store.delete(`${LETTERS}${name}`, { expected: revision, signal }));
    } catch (thrown) {
      if (CatgaError.is(thrown) && thrown.code === "CONFLICT") return false;
      throw thrown;
    }
    await this.removePieces(record);
    return true;
  }

  /** Takes away what stands beside a letter. */
  async removePieces(record: LetterRecord): Promise<void> {
    for (let at = 0; typeof record.body === "number" && at < record.body; at++) {
      await this.#ask((signal) => this.#store.delete(pieceKey(record, at), { signal }));
    }
  }

  /** What a letter carries. Rejects with `SERIALIZATION` where that is gone. */
  async payload(record: LetterRecord): Promise<Frame> {
    const { form, body, name } = record;
    if (typeof body === "string") return readBody(form, body);
    let text = "";
    for (let at = 0; at < body; at++) {
      const piece = await this.#get(pieceKey(record, at));
      if (piece === undefined) {
        throw new CatgaError(
          systemFault("SERIALIZATION", `Cannot open the dead letter "${name}": a part of it is gone`),
        );
      }
      text += piece.value;
    }
    return readBody(form, text);
  }

  #write(record: LetterRecord, expected: number | "absent", ttl?: number): Promise<number> {
    const key = `${LETTERS}${record.name}`;
    return this.#ask((signal) => this.#store.put(key, encodeLetter(record), { expected, ttl, signal }));
  }

  async #putPieces(record: LetterRecord, pieces: readonly string[], ttl?: number): Promise<void> {
    for (const [at, piece] of pieces.entries()) {
      await this.#ask((signal) => this.#store.put(pieceKey(record, at), piece, { ttl, signal }));
    }
  }

  #get(key: string): Promise<Entry | undefined> {
    return this.#ask((signal) => this.#store.get(key, { signal }));
  }

  #ask<T>(ask: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return askStore({ clock: this.#runtime.clock, limit: PATIENCE, signal }, ask);
  }
}
