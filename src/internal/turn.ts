/**
 * Collects what is asked for in one turn of the event loop and runs once for all of it. Answers of many calls wake
 * their callers one microtask after the other, so it waits as long as each further microtask brings something, and
 * no longer: what comes alone goes one microtask later.
 *
 * @param size tells how much has come so far
 */
export function createTurn(size: () => number, run: () => void): () => void {
  let waiting = false;
  let seen = 0;
  const look = (): void => {
    const now = size();
    if (now > seen) {
      seen = now;
      queueMicrotask(look);
      return;
    }
    waiting = false;
    run();
  };
  return () => {
    if (waiting) return;
    waiting = true;
    seen = 0;
    queueMicrotask(look);
  };
}
