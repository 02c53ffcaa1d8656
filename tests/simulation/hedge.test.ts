/** Queries that are asked of a second node when the first takes its time. */

import { expect, test } from "bun:test";
import { command, createMediator, handle, query, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { simulate } from "@catga/catga/testing";
import { drain } from "./drain.ts";

const spec = { input: type<void>(), output: type<string>(), timeout: 5000 };
const Plain = query("plain", spec);
const Hedged = query("hedged", { ...spec, hedge: 50 });
const Once = command("once", { ...spec, hedge: 50 });

/** What so many calls of one contract took, when one of three nodes takes 1 s for one call in twenty. */
async function measure(
  contract: typeof Plain | typeof Hedged | typeof Once,
): Promise<{ slow: number; handled: number }> {
  let slow = 0;
  let handled = 0;
  await simulate({ seed: 1, ...(drain === undefined ? {} : { drain }) }, async (simulation) => {
    const { backend } = simulation.network();
    const nodes = new Map<string, Node>();
    for (const name of ["caller", "a", "b"]) {
      const runtime = simulation.runtime(name);
      const answer = (): Promise<string> => {
        handled++;
        const wait = handled % 20 === 0 ? 1000 : 5;
        return new Promise((resolve) => runtime.clock.timer(wait, () => resolve(name)));
      };
      const handlers = name === "caller"
        ? []
        : [Plain, Hedged, Once].map((contract) => handle(contract, answer));
      const app = createMediator({ runtime, handlers });
      void joinCluster(app, { node: name, endpoint: `sim:${name}`, backend }).then((node) =>
        nodes.set(name, node)
      );
    }
    await simulation.until(() => nodes.size === 3, 5000);
    await simulation.run(500);
    const { clock } = simulation.runtime("caller");
    let done = 0;
    const next = (left: number): void => {
      if (left === 0) return;
      const began = clock.mono();
      void nodes.get("caller")!.send(contract()).then((result) => {
        expect(result.ok).toBe(true);
        if (clock.mono() - began > 200) slow++;
        done++;
        next(left - 1);
      });
    };
    next(400);
    await simulation.until(() => done === 400, 60_000);
    expect(done).toBe(400);
    // What was given up does not go on for its caller.
    await simulation.run(2000);
    expect([...nodes.values()].map((node) => node.stats().inFlight)).toEqual([0, 0, 0]);
  });
  return { slow, handled };
}

test("cut the tail of queries for few calls more, and never ask twice for a command", async () => {
  const plain = await measure(Plain);
  const hedged = await measure(Hedged);
  expect(plain).toEqual({ slow: 20, handled: 400 });
  expect(hedged.slow).toBeLessThanOrEqual(2);
  expect(hedged.handled).toBeLessThanOrEqual(440);
  expect(await measure(Once)).toEqual({ slow: 20, handled: 400 });
});
