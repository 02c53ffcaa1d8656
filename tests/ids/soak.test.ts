/** A short run of the soak; `soak_worker.ts` itself makes 10^8. */

import { expect, test } from "bun:test";
import { soak } from "./soak_worker.ts";
import { Order } from "./order.ts";

test("ids of every form by the real clock: no duplicate, no disorder", async () => {
  const { made, disorder } = await soak(500_000);
  expect([made >= 500_000, disorder]).toEqual([true, 0]);
});

test("the watch over the order sees what is wrong", () => {
  const order = new Order();
  order.array(new BigUint64Array([1n, 2n, 2n, 1n, 1n << 32n, (1n << 32n) - 1n, 1n << 33n]));
  order.array(new BigUint64Array([1n << 33n]));
  expect([order.seen, order.disorder]).toEqual([8, 4]);
});
