import { fromBase64, toBase64 } from "../internal/base64.ts";
import type { Entry } from "../ports/store.ts";
import type { Frame } from "../ports/transport.ts";
import type { DeadLetter } from "./dead_letters_types.ts";

/** What the keys of letters begin with, and those of what they carry where it is large. */
export const LETTERS = "dead-letters/";
const BODIES = "dead-letter-bodies/";

/** How many characters of a body stand in the letter itself, and how many in an entry of its own. */
const INLINE = 2048;
const PIECE = 200_000;

/** A letter in the store. */
export interface LetterRecord extends DeadLetter {
  /** How what it carries is written. */
  readonly form: "text" | "bytes";
  /** What it carries, or in how many pieces that stands elsewhere. */
  readonly body: string | number;
  /** Names the pieces. */
  readonly mark: string;
  /** The revision of the letter whose replay has failed. */
  readonly after?: number | undefined;
  /** Whether all of it is there to stay. */
  readonly sealed: boolean;
  /** The revision of its entry. */
  readonly revision: number;
}

/** What a letter carries, as it is written. */
export interface WrittenBody {
  readonly form: "text" | "bytes";
  readonly body: string | number;
  readonly pieces: readonly string[];
}

/** Writes what a letter carries: in it, if it is small. */
export function writeBody(payload: Frame): WrittenBody {
  const form = typeof payload === "string" ? "text" : "bytes";
  const text = typeof payload === "string" ? JSON.stringify(payload) : toBase64(payload);
  if (text.length <= INLINE) return { form, body: text, pieces: [] };
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    // No cut goes through a character.
    const end = at + PIECE - (/[\ud800-\udbff]/.test(text.charAt(at + PIECE - 1)) ? 1 : 0);
    pieces.push(text.slice(at, end));
    at = end;
  }
  return { form, body: pieces.length, pieces };
}

/** Reads what a letter carries. Throws for what is no body. */
export function readBody(form: "text" | "bytes", text: string): Frame {
  return form === "text" ? JSON.parse(text) as string : fromBase64(text);
}

/** Where a piece of what a letter carries is kept. */
export function pieceKey({ mark }: LetterRecord, at: number): string {
  return `${BODIES}${mark}/${at}`;
}

/** A letter as the value of an entry. */
export function encodeLetter({ name: _name, revision: _revision, ...letter }: LetterRecord): string {
  return JSON.stringify(letter);
}

/** The letter in an entry; `undefined` if it is none. */
export function decodeLetter(entry: Entry | undefined): LetterRecord | undefined {
  if (entry === undefined) return undefined;
  try {
    const letter = JSON.parse(entry.value) as LetterRecord;
    const fits = typeof letter.topic === "string" && typeof letter.group === "string" &&
      typeof letter.id === "string" && typeof letter.replays === "number";
    return fits
      ? {
        ...letter,
        key: letter.key,
        handedOut: letter.handedOut,
        name: entry.key.slice(LETTERS.length),
        revision: entry.revision,
      }
      : undefined;
  } catch {
    return undefined;
  }
}
