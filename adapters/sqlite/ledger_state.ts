import type { SqlDatabase } from "./driver.ts";

/** The one row of `state`: what is counted over the whole file. */
export interface LedgerState {
  /** The clock of the file when it was written last, and the machine's. */
  clock: number;
  wall: number;
  /** The last revision of the store. */
  revision: number;
  /** Up to this revision, what was deleted has been forgotten. */
  floor: number;
  /** How many entries there are. */
  keys: number;
  /** The position of the last event. */
  position: number;
  /** The last moment of the queue, in µs since 1970: no two things happen at one. */
  tick: number;
  /** How many items are not done with, counted once for each group that has them. */
  open: number;
  /** How many items are there for their names alone. */
  done: number;
  /** How many groups have ended whose items are still there. */
  ended: number;
}

const NAMES: readonly (keyof LedgerState)[] = [
  "clock",
  "wall",
  "revision",
  "floor",
  "keys",
  "position",
  "tick",
  "open",
  "done",
  "ended",
];

/** Reads and writes the row. */
export interface StateRow {
  read(): LedgerState;
  write(state: LedgerState): void;
}

/** The row of a file. */
export function stateRow(db: SqlDatabase): StateRow {
  const read = db.prepare<LedgerState>(`SELECT ${NAMES.join(", ")} FROM state WHERE id = 1`);
  const write = db.prepare(`UPDATE state SET ${NAMES.map((name) => `${name} = ?`).join(", ")} WHERE id = 1`);
  return {
    read: () => ({ ...read.get()! }),
    write: (state) => {
      const { clock, wall, revision, floor, keys, position, tick, open, done, ended } = state;
      write.run(clock, wall, revision, floor, keys, position, tick, open, done, ended);
    },
  };
}

/** Whether something else is counted. */
export function isSameState(a: LedgerState, b: LedgerState): boolean {
  return NAMES.every((name) => a[name] === b[name]);
}
