/** `npm run demo:nats`, with a nats-server of its own. Scripts of this repository are not in the packed package. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import { ask } from "./ask.ts";
import { end, type Running, start, until } from "./cluster.ts";

const order = { productId: "product-123", quantity: 2 };

describe.skipIf(!("Bun" in globalThis))("npm run demo:nats", () => {
  test("shows the health, the events and the failover that it promises", async () => {
    await withDemo([], async (demo) => {
      const urls = await announced(demo);
      for (const [at, url] of urls.entries()) {
        const { status, body } = await ask("GET", `${url}/health`);
        expect(status).toBe(200);
        expect(body).toMatchObject({
          currentNode: { nodeId: `node${at + 1}`, endpoint: url, isOnline: true },
          totalNodes: 3,
          onlineNodes: 3,
        });
        const { nodes } = body as { readonly nodes: readonly { readonly nodeId: string }[] };
        expect(nodes.map(({ nodeId }) => nodeId).sort()).toEqual(["node1", "node2", "node3"]);
      }
      const processed = new Set<unknown>();
      for (let count = 0; count < 6; count++) {
        const { status, body } = await ask("POST", `${urls[0]}/orders`, order);
        expect(status).toBe(201);
        expect(body).toMatchObject({ status: "Created" });
        const { orderId, processedBy } = body as Readonly<Record<string, string>>;
        processed.add(processedBy);
        await until(
          "all three nodes heard of it by both",
          () =>
            [1, 2, 3].every((node) =>
              [0, 1].every((qos) =>
                demo.lines.some((line) => line.startsWith(`[node${node}] [QoS ${qos}] order ${orderId} `))
              )
            ),
        );
      }
      expect([...processed].sort()).toEqual(["node1", "node2", "node3"]);

      const third = Number(/pid (\d+)$/.exec(demo.lines.find((line) => line.startsWith("  node3 "))!)![1]);
      process.kill(third, "SIGKILL");
      for (let count = 0; count < 9; count++) {
        expect(await ask("POST", `${urls[count % 2]}/orders`, order)).toMatchObject({ status: 201 });
      }
      await until("its end was reported", () => demo.lines.includes("node3 ended by SIGKILL"));
      demo.kill("SIGINT");
      expect(await demo.ended).toEqual({ code: 1, signal: null });
    });
  }, 120_000);

  test("tells a node that was away of every order by QoS 1, and not by QoS 0", async () => {
    await withDemo(["--compare"], async (demo) => {
      expect(await demo.ended).toEqual({ code: 0, signal: null });
      const figures = demo.lines.flatMap((line) => {
        const found = /^ {2}(node\d) {2}QoS 0: (\d+) of 100 {3}QoS 1: (\d+) of 100$/.exec(line);
        return found === null ? [] : [{ node: found[1], qos0: Number(found[2]), qos1: Number(found[3]) }];
      });
      expect(figures.map(({ node, qos1 }) => [node, qos1])).toEqual([["node1", 100], ["node2", 100], [
        "node3",
        100,
      ]]);
      expect(figures[2]!.qos0).toBeLessThanOrEqual(50);
    });
  }, 120_000);
});

async function withDemo(flags: readonly string[], use: (demo: Running) => Promise<void>): Promise<void> {
  const demo = start([process.execPath, "tools/demo_nats.mjs", ...flags], { CATGA_PORTS: "0" });
  try {
    await use(demo);
  } catch (error) {
    throw new Error(`${String(error)}\n${demo.lines.join("\n")}`, { cause: error });
  } finally {
    demo.kill("SIGTERM");
    await Promise.race([demo.ended, new Promise((resolve) => setTimeout(resolve, 25_000).unref?.())]);
    await end(demo);
  }
}

/** The urls of the three nodes. */
async function announced(demo: Running): Promise<readonly string[]> {
  await until("three nodes are announced", () => {
    if (demo.gone) throw new Error("it has ended");
    return demo.lines.includes("Try:");
  }, 90_000);
  return demo.lines.flatMap((line) => /^ {2}node\d {2}(http:\S+) {2}/.exec(line)?.[1] ?? []);
}
