/** One call that many wait for. */
export interface SharedCall<T> {
  readonly abort: AbortController;
  /** Whether nobody may ask for it, because it is to bring what is kept up to date. */
  readonly refresh: boolean;
  result: Promise<T>;
  /** How many wait. */
  waiting: number;
  joined: boolean;
  /** Whether all who wait may have the same answer. */
  shared: boolean;
  over: boolean;
}

/** How one of them waits. */
export interface Waiter<T> {
  readonly signals: readonly AbortSignal[];
  readonly timer: ((run: () => void) => () => void) | undefined;
  /** What it gets when it gives up, by time or by signal. */
  gone(late: boolean): T;
  /** Nobody waits any longer. */
  empty(): void;
}

/** Waits for a call until it is over or the waiter gives up. The call's result must not reject. */
export function waitFor<T>(call: SharedCall<T>, { signals, timer, gone, empty }: Waiter<T>): Promise<T> {
  call.waiting++;
  if (signals.length === 0 && timer === undefined) return call.result;
  return new Promise((resolve) => {
    let waits = true;
    const settle = (value: T): void => {
      waits = false;
      stop?.();
      for (const signal of signals) signal.removeEventListener("abort", abort);
      resolve(value);
    };
    const leave = (late: boolean): void => {
      if (!waits) return;
      settle(gone(late));
      if (--call.waiting === 0) empty();
    };
    const abort = (): void => leave(false);
    const stop = timer?.(() => leave(true));
    for (const signal of signals) signal.addEventListener("abort", abort, { once: true });
    void call.result.then((value) => waits && settle(value));
  });
}
