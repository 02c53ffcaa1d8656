/** The shop of event-sourced carts, on the runtime that runs the test, with its file in a folder of its own. */

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { end, type Running, start, until } from "./cluster.ts";

const folder = mkdtempSync(join(tmpdir(), "catga-cart-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the shop of event-sourced carts", () => {
  test("keeps all that it promises, again on the file of the time before", async () => {
    for (let times = 1; times <= 2; times++) await complete("twice.db");
  }, 120_000);

  test("goes on on the file of a process that was killed, whenever that was", async () => {
    for (const kept of [1, 3, 5, 8]) {
      const shop = begin("killed.db");
      try {
        await until("it has kept some promises", () => shop.gone || promises(shop).length >= kept);
        shop.kill("SIGKILL");
        await shop.ended;
      } finally {
        await end(shop);
      }
    }
    await complete("killed.db");
  }, 120_000);
});

async function complete(file: string): Promise<void> {
  const shop = begin(file);
  try {
    const { code } = await shop.ended;
    expect(shop.lines.join("\n")).toContain("All as promised");
    expect([promises(shop).length, code]).toEqual([11, 0]);
  } finally {
    await end(shop);
  }
}

function promises({ lines }: Running): string[] {
  return lines.filter((line) => line.startsWith("   ✓"));
}

function begin(file: string): Running {
  const deno = "Deno" in globalThis ? ["run", "-A", "--quiet"] : [];
  return start([process.execPath, ...deno, "examples/event-sourced-cart/main.ts", join(folder, file)]);
}
