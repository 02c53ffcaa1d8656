/** Tests that wait more than they work, beside each other: runners take one after the other, so each begins those after it. */

import { afterAll, test } from "bun:test";

/** Defines a test that is given what it needs for itself alone. */
export type TestBeside<Room> = (name: string, body: (room: Room) => Promise<void>, timeout?: number) => void;

interface Run {
  readonly begin: () => Promise<void>;
  readonly ended: PromiseWithResolvers<void>;
}

/** So many of the tests that it defines run at a time, each with what `open` makes, which is disposed of after it. */
export function beside(lanes: number): TestBeside<undefined>;
export function beside<Room extends AsyncDisposable>(
  lanes: number,
  open: () => Promise<Room> | Room,
): TestBeside<Room>;
export function beside<Room extends AsyncDisposable | undefined>(
  lanes: number,
  open?: () => Promise<Room> | Room,
): TestBeside<Room> {
  const runs: Run[] = [];
  const underWay: Set<Promise<void>> = new Set();
  let begun = 0;

  function fill(): void {
    while (underWay.size < lanes && begun < runs.length) {
      const { begin, ended } = runs[begun++]!;
      const work = begin().then(ended.resolve, ended.reject).finally(() => {
        underWay.delete(work);
        fill();
      });
      underWay.add(work);
    }
  }

  // Where only some are run, others may be under way.
  afterAll(async () => {
    begun = runs.length;
    await Promise.all(underWay);
  }, 60_000);

  return (name, body, timeout = 90_000) => {
    const ended = Promise.withResolvers<void>();
    // Its turn may come later than its end.
    ended.promise.catch(() => {});
    const begin = async (): Promise<void> => {
      await using room = (await open?.()) as Room;
      await body(room);
    };
    const at = runs.push({ begin, ended }) - 1;
    test(name, () => {
      begun = Math.max(begun, at);
      fill();
      return ended.promise;
    }, timeout);
  };
}

/** What a test has for itself: parts that end with it, the last one first. */
export function roomOf<Parts extends Readonly<Record<string, AsyncDisposable>>>(
  parts: Parts,
): Parts & AsyncDisposable {
  const end = async (): Promise<void> => {
    for (const part of Object.values(parts).reverse()) await part[Symbol.asyncDispose]();
  };
  return { ...parts, [Symbol.asyncDispose]: end };
}
