import type { Signer } from "../../src/ports/runtime.ts";
import { decodeToken, encodeToken } from "./names.ts";

/** How many tokens of a key stand in its subject as they are, and how long they may be together. */
const TOKENS = 16;
const LENGTH = 400;
/** What the token of a digest begins with: no text becomes such a token. */
const DIGEST = "_h";

/**
 * Keys as subjects: `a/b` is `a.b` below the root, so that a prefix is asked for by its whole parts. Of a key that is
 * too long for that the first parts stay, and a digest of all of it stands for the others.
 */
export class StoreNames {
  /** What all subjects of the store begin with. */
  readonly root: string;
  /** All of them. */
  readonly all: string;
  /** Where the clock of the server is read, and who swept last is noted: no keys. */
  readonly clock: string;
  readonly sweep: string;
  readonly #crypto: Signer;

  constructor(cluster: string, crypto: Signer) {
    this.root = `catga.${cluster}.kv`;
    this.all = `${this.root}.>`;
    this.clock = `${this.root}._clock`;
    this.sweep = `${this.root}._sweep`;
    this.#crypto = crypto;
  }

  /** Where a key is kept. */
  async subject(key: string): Promise<string> {
    const parts = key.split("/");
    const tokens = leading(parts);
    if (tokens.length < parts.length) tokens.push(DIGEST + await this.#crypto.hash(key));
    return [this.root, ...tokens].join(".");
  }

  /** What takes in all keys that begin like this, and maybe others. */
  filter(prefix: string): string {
    return [this.root, ...leading(prefix.split("/").slice(0, -1)), ">"].join(".");
  }

  /** The key that is kept there; `undefined` where the subject does not tell. */
  key(subject: string): string | undefined {
    if (!subject.startsWith(`${this.root}.`)) return undefined;
    const plain = subject.slice(this.root.length + 1);
    // Most keys stand in their subjects as they are.
    if (/^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*$/.test(plain)) return plain.replaceAll(".", "/");
    const parts: string[] = [];
    for (const token of plain.split(".")) {
      const part = decodeToken(token);
      if (part === undefined) return undefined;
      parts.push(part);
    }
    return parts.join("/");
  }

  /** Whether a key that its message tells can be kept there. */
  fits(subject: string, key: string): boolean {
    const parts = key.split("/");
    const tokens = leading(parts);
    return tokens.length < parts.length && subject.startsWith([this.root, ...tokens, DIGEST].join("."));
  }
}

/** The tokens of the first parts, as far as they fit. */
function leading(parts: readonly string[]): string[] {
  const tokens: string[] = [];
  let length = 0;
  for (const part of parts) {
    const token = encodeToken(part);
    length += 1 + (token?.length ?? 0);
    if (token === undefined || tokens.length === TOKENS || length > LENGTH) break;
    tokens.push(token);
  }
  return tokens;
}
