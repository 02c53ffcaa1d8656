/** `npm start`. It is a script of this repository, so these are not there for the packed package on Node. */

import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ask } from "./ask.ts";
import { end, type Running, start, until } from "./cluster.ts";

const script = new URL("../../tools/start.mjs", import.meta.url);
const order = { productId: "product-123", quantity: 1 };

if (existsSync(script)) {
  describe("npm start", () => {
    test("runs three nodes until Ctrl-C, and leaves nothing behind", async () => {
      await withStart("0", async (running) => {
        const nodes = await announced(running);
        expect(nodes).toHaveLength(3);
        for (const { url } of nodes) {
          expect(await ask("POST", `${url}/orders`, order)).toMatchObject({ status: 201 });
        }
        expect(running.lines.filter((line) => line.startsWith("  curl "))).toHaveLength(3);
        await until(
          "the logs came through",
          () => running.lines.filter((line) => /^\[node-\d\] created /.test(line)).length === 3,
        );
        running.kill("SIGINT");
        expect(await running.ended).toEqual({ code: 0, signal: null });
        expect(nodes.filter(({ pid }) => isAlive(pid))).toEqual([]);
      });
    }, 120_000);

    test("goes on without a node that died, and says so", async () => {
      await withStart("0", async (running) => {
        const nodes = await announced(running);
        process.kill(nodes[1]!.pid, "SIGKILL");
        await until("its end was reported", () => running.lines.includes("node-2 ended by SIGKILL"));
        for (let i = 0; i < 6; i++) {
          const url = `${nodes[i % 2 * 2]!.url}/orders`;
          expect(await ask("POST", url, order)).toMatchObject({ status: 201 });
        }
        running.kill("SIGTERM");
        expect(await running.ended).toEqual({ code: 1, signal: null });
        expect(nodes.filter(({ pid }) => isAlive(pid))).toEqual([]);
      });
    }, 120_000);

    test("has its orders again when it is started again, and says where they are", async () => {
      const folder = mkdtempSync(join(tmpdir(), "catga-start-"));
      const file = join(folder, "new", "orders.db");
      const made: unknown[] = [];
      try {
        await withStart("0", async (running) => {
          for (const { url } of await announced(running)) {
            made.push((await ask("POST", `${url}/orders`, order)).body);
          }
          expect(running.lines).toContain(`They keep what they do in ${file}`);
          running.kill("SIGINT");
          expect(await running.ended).toEqual({ code: 0, signal: null });
        }, file);
        await withStart("0", async (running) => {
          for (const { url } of await announced(running)) {
            for (const each of made) {
              const { orderId } = each as { readonly orderId: string };
              expect((await ask("GET", `${url}/orders/${orderId}`)).body).toEqual(each);
            }
          }
        }, file);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }, 180_000);

    test("keeps them in the working directory if nothing else is said", async () => {
      const folder = mkdtempSync(join(tmpdir(), "catga-start-"));
      try {
        const { storageFile } = await import(new URL("start/storage.mjs", script).href) as {
          storageFile(env: Readonly<Record<string, string>>, folder: string): string;
        };
        expect(storageFile({}, folder)).toBe(join(folder, ".catga", "orders.db"));
        expect(existsSync(join(folder, ".catga"))).toBe(true);
        expect(storageFile({ STORAGE: "mine.db" }, folder)).toBe(join(folder, "mine.db"));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });

    test("says which port is taken, and starts nothing", async () => {
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
      const { port } = taken.address() as AddressInfo;
      try {
        await withStart(`1,2,${port}`.replace("1,2", "61001,61002"), async (running) => {
          expect(await running.ended).toEqual({ code: 1, signal: null });
          expect(running.lines.join("\n")).toContain(`Cannot start: port ${port} is taken`);
        });
      } finally {
        taken.close();
      }
    }, 120_000);
  });
}

async function withStart(
  ports: string,
  use: (running: Running) => Promise<void>,
  file?: string,
): Promise<void> {
  const deno = "Deno" in globalThis ? ["run", "-A"] : [];
  const folder = mkdtempSync(join(tmpdir(), "catga-start-"));
  const running = start([process.execPath, ...deno, "tools/start.mjs"], {
    CATGA_PORTS: ports,
    HEARTBEAT: "300",
    STORAGE: file ?? join(folder, "orders.db"),
  });
  try {
    await use(running);
  } catch (error) {
    throw new Error(`${String(error)}\n${running.lines.join("\n")}`, { cause: error });
  } finally {
    // It ends its nodes when it is asked to, not when it is killed.
    running.kill("SIGTERM");
    await Promise.race([running.ended, new Promise((resolve) => setTimeout(resolve, 25_000).unref?.())]);
    await end(running);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function announced(running: Running): Promise<{ readonly url: string; readonly pid: number }[]> {
  const line = /^ {2}node-\d {2}(http:\S+) {2}.*, pid (\d+)$/;
  await until("three nodes are announced", () => {
    if (running.gone) throw new Error("it has ended");
    return running.lines.some((line) => line === "Try:");
  }, 90_000);
  return running.lines.flatMap((text) => {
    const found = line.exec(text);
    return found === null ? [] : [{ url: found[1]!, pid: Number(found[2]) }];
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
