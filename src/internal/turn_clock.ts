/** A clock that is read once for all that happens in one turn of the event loop. */
export function turnClock(now: () => number): () => number {
  let time: number | undefined;
  const forget = (): void => {
    time = undefined;
  };
  return () => {
    if (time === undefined) {
      time = now();
      queueMicrotask(forget);
    }
    return time;
  };
}
