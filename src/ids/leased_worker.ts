/**
 * The right to make ids as a certain worker, for as long as it lasts. `leaseWorker` of `/durable` gives it; times are
 * in ms since 1970.
 */
export interface LeasedWorker {
  /** Which worker: from 0. */
  readonly worker: number;
  /** No id of this worker is of this ms or later yet, whoever made it. */
  readonly from: number;
  /**
   * Asks to make ids of a ms and all before it; answers up to which ms they may be made now, at most that one. No
   * other holder will ever make an id of those. Throws a `CatgaError` when the right is lost.
   */
  reach(time: number): number;
}
