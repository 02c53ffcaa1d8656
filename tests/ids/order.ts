/** Watches that ids only grow, which also says that none came twice. Compares halves: bigints would take too long. */
export class Order {
  seen = 0;
  /** How many were not larger than the one before. */
  disorder = 0;
  #high = -1;
  #low = 0;

  array(ids: BigUint64Array, count: number = ids.length): void {
    const halves = new Uint32Array(ids.buffer, ids.byteOffset, 2 * count);
    let [last, lastLow] = [this.#high, this.#low];
    for (let at = 0; at < halves.length; at += 2) {
      const [low, high] = [halves[at]!, halves[at + 1]!];
      if (high < last || (high === last && low <= lastLow)) this.disorder++;
      [last, lastLow] = [high, low];
    }
    [this.#high, this.#low] = [last, lastLow];
    this.seen += count;
  }
}
