/** What happens to calls when a node dies, stands still or is replaced. */

import { expect, test } from "bun:test";
import { allOnline, healthOf, mixed, type NodeProcess, startAgain, until, withCluster } from "./cluster.ts";
import { type Call, Load } from "./load.ts";
import { withShop } from "./shop.ts";

/** The nodes run on all runtimes whichever one drives them, so one does. */
const other = !("Bun" in globalThis);

test.skipIf(other)("killing a node costs no order, not even one that it had begun", async () => {
  await withShop(async ([first, second, third]) => {
    const load = new Load([first!.url, third!.url], 32);
    try {
      await until("load on all nodes", () => processedBy(load, second!) > 50);
      second!.process.kill("SIGKILL");
      await second!.process.ended;
      load.mark("killed");
      await allOnline([first!, third!]);
      load.mark("removed");
      await until("more load", () => load.done("killed") > 20 && load.done("removed") > 200);
    } finally {
      await load.stop();
    }
    expect(load.failed().map(shown)).toEqual([]);
  });
}, 180_000);

test.skipIf(other)(
  "a node that stands still is left out after the timeout, and comes back when it goes on",
  async () => {
    // Without a file: a process that is stopped in the middle of a write holds it for as long.
    await withCluster(await mixed(), async (nodes) => {
      const [first, second, third] = nodes;
      const load = new Load([first!.url, third!.url], 8);
      try {
        await until("load on all nodes", () => processedBy(load, second!) > 20);
        second!.process.kill("SIGSTOP");
        await allOnline([first!, third!]);
        load.mark("stopped");
        await until("load on the others", () => load.done("stopped") > 200);
        second!.process.kill("SIGCONT");
        await allOnline(nodes);
        const before = processedBy(load, second!);
        await until("load on all nodes again", () => processedBy(load, second!) > before + 20);
      } finally {
        second!.process.kill("SIGCONT");
        await load.stop();
      }
      const failed = load.failed();
      expect(failed.filter(({ began }) => began !== "").map(shown)).toEqual([]);
      expect(failed.filter((call) => !isProblem(call, ["TIMEOUT", "TRANSPORT"])).map(shown)).toEqual([]);
    });
  },
  180_000,
);

test.skipIf(other)("replacing one node after the other loses no request", async () => {
  await withShop(async (nodes) => {
    const load = new Load(nodes.map(({ url }) => url), 16);
    try {
      for (const node of nodes) {
        load.mark(node.name);
        await until("load", () => load.done(node.name) > 100);
        node.process.kill("SIGTERM");
        expect(await node.process.ended).toEqual({ code: 0, signal: null });
        await startAgain(node);
        await allOnline(nodes);
      }
      load.mark("after");
      await until("load on new nodes", () => load.done("after") > 200);
    } finally {
      await load.stop();
    }
    expect(load.failed().map(shown)).toEqual([]);
    for (const { url } of nodes) expect((await healthOf(url)).health?.onlineNodes).toBe(3);
  });
}, 180_000);

function processedBy(load: Load, node: NodeProcess): number {
  return load.calls.filter(({ answer }) =>
    (answer?.body as { readonly processedBy?: string } | undefined)?.processedBy === node.name
  ).length;
}

function isProblem({ answer }: Call, codes: readonly string[]): boolean {
  const { code } = Object(answer?.body) as { readonly code?: string };
  return answer?.type === "application/problem+json" && codes.includes(code ?? "");
}

function shown({ url, began, answer }: Call): string {
  return `${url} after "${began}": ${answer?.error ?? `${answer?.status} ${JSON.stringify(answer?.body)}`}`;
}
