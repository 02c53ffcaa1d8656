/** What of an `AbortSignal` is listened to here, so that an {@linkcode Ending} can stand in its place. */
export interface EndSignal {
  readonly aborted: boolean;
  addEventListener(type: "abort", run: () => void, options?: { readonly once: true }): void;
  removeEventListener(type: "abort", run: () => void): void;
}

/**
 * An `AbortController` for this library alone: the reason and the platform's signal, which cost microseconds, are made
 * for whoever asks for them. Each listener is called once.
 */
export class Ending implements EndSignal {
  aborted: boolean = false;
  #listeners: Set<() => void> | undefined;
  #why: (() => unknown) | undefined;
  #reason: unknown;
  #controller: AbortController | undefined;

  /** Why it has ended, always the same; the platform's `AbortError` if nobody said. */
  get reason(): unknown {
    return this.#reason ??= this.#why?.() ?? this.signal.reason;
  }

  /** The same as a real signal, for code of others. */
  get signal(): AbortSignal {
    const made = this.#controller;
    const controller = made ?? (this.#controller = new AbortController());
    if (made === undefined && this.aborted) controller.abort(this.#why && this.reason);
    return controller.signal;
  }

  /** Only the first call counts. */
  end(why?: () => unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.#why = why;
    for (const run of this.#listeners ?? []) run();
    this.#listeners = undefined;
    this.#controller?.abort(why && this.reason);
  }

  /** Ends when another does; answers what calls that off. */
  follow(other: EndSignal | undefined, why?: () => unknown): () => void {
    if (other === undefined) return nothing;
    const end = (): void => this.end(why);
    if (other.aborted) end();
    else other.addEventListener("abort", end, { once: true });
    return () => other.removeEventListener("abort", end);
  }

  /** Resolves when it ends. */
  ended(): Promise<void> {
    return new Promise((resolve) => this.aborted ? resolve() : this.addEventListener("abort", resolve));
  }

  addEventListener(_type: "abort", run: () => void): void {
    (this.#listeners ??= new Set()).add(run);
  }

  removeEventListener(_type: "abort", run: () => void): void {
    this.#listeners?.delete(run);
  }
}

function nothing(): void {}
