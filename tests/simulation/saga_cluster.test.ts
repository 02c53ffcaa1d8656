/** Sagas on the nodes of a cluster, whose commands are known again by the cluster itself; one node crashes at any time. */

import { expect, test } from "bun:test";
import { command, type Context, createMediator, fail, handle, type } from "@catga/catga";
import { joinCluster, type Node } from "@catga/catga/cluster";
import { createSagas, saga, type Sagas } from "@catga/catga/durable";
import { simulate, simulatedStore } from "@catga/catga/testing";
import { drain } from "./drain.ts";

const spec = {
  input: type<string>(),
  output: type<string>(),
  errors: { BROKE: type<undefined>() },
  idempotency: {},
};
const Take = command("take", spec);
const Give = command("give", spec);
const Back = command("back", spec);
const Move = command("move", { ...spec, idempotency: undefined, idempotent: true });

const move = saga(Move, async (which, saga) => {
  await saga.step("take", Take(which), { undo: () => Back(which), timeout: 1000 });
  await saga.sleep("while", 30);
  return await saga.step("give", Give(which), { timeout: 1000 });
});

/** Moves something from one account to another, while a node crashes; what happened. */
function moved(which: string, crash: number, seed: number): Promise<string[]> {
  return simulate({ seed, ...(drain && { drain }) }, async (simulation) => {
    const network = simulation.network();
    const server = simulatedStore(simulation);
    // A database of their own, where each effect stands together with the key that it happened under.
    const done = new Set<string>();
    const note = ({ contract, headers }: Context): string => {
      done.add(`${contract.type} under ${headers["idempotency-key"]}`);
      return contract.type;
    };
    const nodes = new Map<string, { readonly node: Node; readonly sagas: Sagas }>();
    const start = (name: string): void => {
      const runtime = simulation.runtime(name);
      const store = server.open(runtime);
      const sagas = createSagas({ definitions: [move], store, runtime, owner: name, ttl: 1000 });
      const handlers = [
        handle(Take, (_which, context) => note(context)),
        handle(Back, (_which, context) => note(context)),
        handle(Give, (which, context) => which === "broke" ? fail("BROKE") : note(context)),
        sagas.handlers,
      ];
      const open: typeof network.backend.open = (host) => ({ ...network.backend.open(host), store });
      void joinCluster(createMediator({ runtime, handlers }), {
        node: name,
        endpoint: `sim:${name}`,
        backend: { ...network.backend, open },
        timing: "fast",
      }).then((node) => {
        sagas.start(node);
        nodes.set(name, { node, sagas });
      });
    };
    for (const name of ["a", "b", "c"]) start(name);
    await simulation.run(2000);
    simulation.after(crash, () => simulation.crash("a"));
    const ask = (at: string): void => {
      void nodes.get(at)!.node.send(Move(which), { headers: { "idempotency-key": "m" }, timeout: 20_000 });
    };
    ask("a");
    simulation.after(2000, () => ask("b"));
    await simulation.run(20_000);
    let status = "";
    void nodes.get("b")!.sagas.show("move/m").then((state) => status = state?.status ?? "");
    await simulation.run(100);
    expect(status).toBe(which === "broke" ? "compensated" : "completed");
    return [...done];
  });
}

test.each(
  [
    ["well", ["take under move/m/take", "give under move/m/give"]],
    ["broke", ["take under move/m/take", "back under move/m/take~undo"]],
  ] as const,
)("%s: what is taken is given or comes back, whenever a node crashes", async (which, wanted) => {
  for (let crash = 0; crash < 100; crash += 4) {
    expect({ crash, done: await moved(which, crash, 1 + crash) }).toEqual({ crash, done: [...wanted] });
  }
}, 60_000);
