import {
  leastConnections,
  leastLoad,
  type Node,
  powerOfTwo,
  random,
  roundRobin,
  toNode,
} from "@catga/catga/cluster";
import { systemRuntime } from "@catga/catga/ports";
import { Charge, Who } from "../contracts.ts";
import { NAMES } from "../fleet.ts";
import { comesTrue } from "../sleep.ts";
import { ask, countOf, type Tour } from "../tour.ts";

/** Ways to give less to whoever can take less. */
export async function balancers(tour: Tour, node: Node): Promise<void> {
  const runtime = systemRuntime();
  const slow = Who({ slow: { "node-2": 80, "node-1": 2, "node-3": 2, "node-4": 2, "node-5": 2 } });

  await tour.step("Random: by lot, by weight", async (step) => {
    const answers = await ask(node, 300, Who({}), { route: random(runtime) });
    step.table(answers);
    step.promise("everybody got some", NAMES.every((name) => countOf(answers, name) >= 20));
  });

  await tour.step("Least connections: node-2 is slow, 10 calls at once", async (step) => {
    const turns = await ask(node, 100, slow, { route: roundRobin(), concurrency: 10 });
    const answers = await ask(node, 100, slow, { route: leastConnections(), concurrency: 10 });
    step.table(answers);
    const [before, after] = [countOf(turns, "node-2"), countOf(answers, "node-2")];
    step.promise(`node-2 got ${after} calls; in turn it got ${before}`, after <= before / 2);
  });

  await tour.step("Power of two choices: node-2 is slow", async (step) => {
    const answers = await ask(node, 100, slow, { route: powerOfTwo(runtime), concurrency: 10 });
    step.table(answers);
    const [slowest, fair] = [countOf(answers, "node-2"), 100 / 6];
    step.promise("node-2 got less than its share", slowest < fair);
  });

  await tour.step("Least load: somebody else keeps node-2 busy", async (step) => {
    const busy = new AbortController();
    const others = node.sendAll(Array.from({ length: 60 }, () => Charge({ ms: 1500 })), {
      route: toNode("node-2"),
      signal: busy.signal,
    });
    const loadOf = () => node.members().find(({ id }) => id === "node-2")?.load ?? 0;
    step.promise("its heartbeats say so", await comesTrue(() => loadOf() >= 50));
    const answers = await ask(node, 100, Who({}), {
      route: leastLoad(runtime, { cpu: 0, memory: 0, lag: 0 }),
    });
    busy.abort();
    await others;
    step.table(answers);
    step.promise("node-2 got hardly anything", countOf(answers, "node-2") <= 10);
  });
}
