import type { Signer } from "../../src/ports/runtime.ts";
import { encodeToken } from "./names.ts";

/** How many topics are remembered. */
const LIMIT = 10_000;

/** Topics as tokens of subjects: as they are, or by their digests where that would be too long. */
export class TopicTokens {
  readonly #crypto: Signer;
  readonly #tokens: Map<string, string> = new Map();

  constructor(crypto: Signer) {
    this.#crypto = crypto;
  }

  /** A token that is known already. */
  known(topic: string): string | undefined {
    return this.#tokens.get(topic);
  }

  async find(topic: string): Promise<string> {
    const known = this.#tokens.get(topic);
    if (known !== undefined) return known;
    // No other token begins like this.
    const token = encodeToken(topic) ?? `__${await this.#crypto.hash(topic)}`;
    if (this.#tokens.size >= LIMIT) this.#tokens.clear();
    this.#tokens.set(topic, token);
    return token;
  }
}
