/** The checkout as a saga, three services as processes of the runtime that runs the test, whose plugs are pulled. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { end, start, until } from "./cluster.ts";

const ORDERS = 6;

describe("the checkout over three services", () => {
  test.skipIf(!("Bun" in globalThis))(
    "keeps all that it promises, and leaves no process behind",
    async () => {
      const deno = "Deno" in globalThis ? ["run", "-A", "--quiet"] : [];
      const shop = start([process.execPath, ...deno, "examples/checkout-saga/main.ts"]);
      try {
        const { code } = await shop.ended;
        expect(shop.lines.join("\n")).toContain(`${ORDERS} orders, all as promised`);
        expect(code).toBe(0);
        const pids = shop.lines.flatMap((line) => / pid (\d+)/.exec(line)?.slice(1).map(Number) ?? []);
        expect(pids).toHaveLength(3);
        await until("all of its services have ended", () => !pids.some(isAlive));
      } finally {
        await end(shop);
      }
    },
    180_000,
  );
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
