import { describe, expect, test } from "bun:test";
import { createMediator } from "@catga/catga";
import { joinCluster, type Node, type Settings } from "@catga/catga/cluster";
import { http } from "@catga/catga/http";
import { memory } from "@catga/catga/memory";
import * as v from "valibot";
import { until } from "./support.ts";

const Limits = v.object({ rate: v.pipe(v.number(), v.minValue(1)), open: v.boolean() });
const spec = { schema: Limits, initial: { rate: 10, open: true } };

/** Settings of one name on so many nodes. */
async function open(
  count: number,
  more: object = {},
): Promise<{ nodes: Node[]; all: Settings<v.InferOutput<typeof Limits>>[] }> {
  const backend = memory();
  const nodes: Node[] = [];
  const all = [];
  for (let at = 0; at < count; at++) {
    const app = createMediator({ handlers: [] });
    const node = await joinCluster(app, {
      node: `n${at}`,
      endpoint: `memory:n${at}`,
      backend,
      timing: "fast",
    });
    nodes.push(node);
    all.push(await node.settings("limits", { ...spec, ...more }));
  }
  return { nodes, all };
}

const leave = (nodes: readonly Node[]) => Promise.all(nodes.map((node) => node.leave()));

describe("settings of a cluster", () => {
  test("begin as they are said to, change by what holds, and are seen on every node", async () => {
    const { nodes, all } = await open(3);
    expect(all[0]!.current).toEqual({ version: 0, value: { rate: 10, open: true }, by: "", at: 0 });
    const seen: number[] = [];
    const watching = (async () => {
      for await (const { value } of all[2]!.watch()) seen.push(value.rate);
    })();
    const changed = await all[1]!.change((now) => ({ ...now, rate: now.rate + 5 }));
    expect(changed).toMatchObject({
      ok: true,
      value: { version: 1, value: { rate: 15, open: true }, by: "n1" },
    });
    await until(() => all.every(({ current }) => current.version === 1));
    expect(all.map(({ current }) => current.value.rate)).toEqual([15, 15, 15]);
    await leave(nodes);
    await watching;
    expect(seen).toEqual([10, 15]);
  });

  test("of many writers at once lose no change, and keep the last versions", async () => {
    const { nodes, all } = await open(3, { history: 4 });
    const results = await Promise.all(
      all.flatMap((each) => [1, 2].map(() => each.change((now) => ({ ...now, rate: now.rate + 1 })))),
    );
    const done = results.filter(({ ok }) => ok).length;
    expect(done).toBeGreaterThan(0);
    await until(() => all.every(({ current }) => current.version === done));
    expect(all[0]!.current.value.rate).toBe(10 + done);
    const history = await all[0]!.history();
    expect(history.map(({ version }) => version)).toEqual(
      [done, done - 1, done - 2, done - 3].filter((n) => n > 0),
    );
    await leave(nodes);
  });

  test("take nothing that does not fit", async () => {
    const { nodes, all } = await open(1);
    const refused = await all[0]!.change((now) => ({ ...now, rate: 0 }));
    expect(refused).toMatchObject({ ok: false, error: { code: "VALIDATION" } });
    expect(all[0]!.current.version).toBe(0);
    await leave(nodes);
  });

  test("need a backend with a store", async () => {
    const backend = http({ peers: [] });
    const node = await joinCluster(createMediator({ handlers: [] }), {
      node: "a",
      endpoint: "http://127.0.0.1:1",
      backend,
    });
    const refused = await node.settings("limits", spec).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ code: "CONFLICT" });
    await node.leave();
  });
});
