/**
 * Takes ids in every form by the real clock and watches their order: `bun tests/ids/soak_worker.ts 100000000`, or with
 * `deno run -A` or `node`. The last line it prints is JSON.
 */
import process from "node:process";
import { CatgaError } from "@catga/catga";
import { layouts, parseSnowflake, snowflake } from "@catga/catga/ids";
import { systemRuntime } from "@catga/catga/ports";
import { Order } from "./order.ts";

export interface SoakResult {
  readonly made: number;
  readonly disorder: number;
  /** How often more were wanted than the layout has. */
  readonly refused: number;
}

/** Takes so many ids; no two calls in a row need be of the same form. */
export async function soak(wanted: number): Promise<SoakResult> {
  const { clock, random } = systemRuntime();
  const layout = layouts.dense;
  const ids = snowflake({ clock, worker: 5, layout });
  const order = new Order();
  const batch = new BigUint64Array(16_384);
  let refused = 0;
  while (order.seen < wanted) {
    const way = random.u32() % 4;
    let count = 0;
    try {
      if (way === 0) count = ids.fill(batch).length;
      else if (way === 1) {
        for (; count < 512; count++) batch[count] = parseSnowflake(ids.nextText(), { layout }).id;
      } else for (; count < batch.length; count++) batch[count] = ids.next();
    } catch (thrown) {
      if (!CatgaError.is(thrown) || thrown.code !== "OVERLOADED") throw thrown;
      refused++;
      await new Promise<void>((resolve) => void clock.timer(1, resolve));
    }
    order.array(batch, count);
  }
  return { made: order.seen, disorder: order.disorder, refused };
}

if (process.argv[1]?.endsWith("soak_worker.ts")) {
  console.log(JSON.stringify(await soak(Number(process.argv[2] ?? 1e8))));
}
