/** A node that stood still begins nothing whose caller no longer waits. */

import { expect, test } from "bun:test";
import { command, createMediator, handle, type Result, type } from "@catga/catga";
import { joinCluster, type Node, toNode } from "@catga/catga/cluster";
import { simulate } from "@catga/catga/testing";
import { drain } from "./drain.ts";

const Pay = command("pay", { input: type<number>(), output: type<string>() });

test("a call that was waiting while its node stood still is not begun once its time is over", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    await simulate({ seed, ...(drain === undefined ? {} : { drain }) }, async (simulation) => {
      const network = simulation.network({ latency: [1, 5] });
      const nodes = new Map<string, Node>();
      const begun: number[] = [];
      for (const name of ["a", "b", "c"]) {
        const runtime = simulation.runtime(name);
        const pay = handle(Pay, (n) => {
          begun.push(n);
          return name;
        });
        const options = { node: name, endpoint: `sim:${name}`, backend: network.backend };
        void joinCluster(createMediator({ runtime, handlers: [pay] }), { ...options, timing: "fast" }).then(
          (node) => nodes.set(name, node),
        );
      }
      await simulation.until(() => [...nodes.values()].every((node) => node.members().length === 3), 5000);
      await simulation.run(500);
      simulation.pause("b");
      const results: Result<string>[] = [];
      const send = (n: number, timeout: number, route = toNode("b")): void => {
        void nodes.get("a")!.send(Pay(n), { timeout, route }).then((result) => results.push(result));
      };
      send(1, 300);
      send(2, 60_000);
      await simulation.run(700);
      expect(results.map((result) => result.ok || result.error.code)).toEqual(["TIMEOUT"]);
      simulation.resume("b");
      await simulation.run(2000);
      // Whoever still waits is served, or told that it was not begun.
      expect(begun.includes(1)).toBe(false);
      expect(results.length).toBe(2);
    });
  }
});
