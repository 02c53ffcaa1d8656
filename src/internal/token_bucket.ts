/** Allows so much at once, and grows back with what it is told of. */
export class TokenBucket {
  readonly #limit: number;
  readonly #perMs: number;
  #tokens: number;
  #last: number;

  /**
   * @param limit the most it holds
   * @param perSecond how much comes back each second
   * @param now the time in ms
   */
  constructor(limit: number, perSecond: number, now: number) {
    this.#limit = limit;
    this.#perMs = perSecond / 1000;
    this.#tokens = limit;
    this.#last = now;
  }

  /** Gives some back. */
  earn(tokens: number): void {
    this.#tokens = Math.min(this.#limit, this.#tokens + tokens);
  }

  /** Takes one, if there is one. */
  take(now: number): boolean {
    this.earn((now - this.#last) * this.#perMs);
    this.#last = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
