/** Lets those who want the same thing have it one after the other, in the order in which they came. */
export class KeyedTurns {
  readonly #last: Map<string, Promise<void>> = new Map();
  #waiting = 0;

  /** How many keys are in somebody's hands. */
  get size(): number {
    return this.#last.size;
  }

  /** Whether a key is in somebody's hands. */
  has(key: string): boolean {
    return this.#last.has(key);
  }

  /** How many wait for a turn. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Waits for a turn; answers a function that ends it. One whose signal has aborted gets its turn at once, and has to
   * look at the signal; nobody overtakes it all the same.
   */
  async take(key: string, signal?: AbortSignal): Promise<() => void> {
    const before = this.#last.get(key);
    let end = (): void => {};
    const mine = new Promise<void>((resolve) => end = resolve);
    const last = before === undefined ? mine : before.then(() => mine);
    this.#last.set(key, last);
    const over = (): void => {
      end();
      void last.then(() => {
        if (this.#last.get(key) === last) this.#last.delete(key);
      });
    };
    if (before === undefined || signal?.aborted) return over;
    this.#waiting++;
    await either(before, signal);
    this.#waiting--;
    return over;
  }
}

function either(turn: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return turn;
  return new Promise((resolve) => {
    const go = (): void => {
      signal.removeEventListener("abort", go);
      resolve();
    };
    signal.addEventListener("abort", go, { once: true });
    void turn.then(go);
  });
}
