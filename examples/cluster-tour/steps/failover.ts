import { unwrap } from "@catga/catga";
import { type Node, roundRobin, toNode } from "@catga/catga/cluster";
import { AddToCart, Charge, SHARDS, Who } from "../contracts.ts";
import { type Fleet, NAMES } from "../fleet.ts";
import { comesTrue, sleep } from "../sleep.ts";
import type { Tour } from "../tour.ts";
import { onlyLeaderOnDuty } from "./leader.ts";
import { ownedCarts } from "./shards.ts";

/** The node that leads is killed while calls are under way. */
export async function failover(tour: Tour, node: Node, fleet: Fleet): Promise<void> {
  await tour.step("A failover: the leader is killed with calls under way", async (step) => {
    const leader = node.leader!;
    const before = ownedCarts(node);
    const { failovers } = node.stats();
    const slow = Object.fromEntries(NAMES.map((name) => [name, 20]));
    const reading = node.sendAll(Array.from({ length: 400 }, () => Who({ slow })), {
      route: roundRobin(),
      concurrency: 20,
    });
    const charging = node.sendAll([1, 2, 3].map(() => Charge({ ms: 2000 })), { route: toNode(leader.id) });
    await sleep(100);
    const start = performance.now();
    await fleet.kill(leader.id);
    step.say(
      `${leader.id} led in term ${leader.term} and owned ${countOwned(before, leader.id)} shards of carts`,
    );

    const reads = await reading;
    const failed = reads.filter(({ ok }) => !ok).length;
    step.say(`of ${reads.length} queries ${node.stats().failovers - failovers} were sent again elsewhere`);
    step.promise(`${failed} queries failed`, failed === 0);
    step.explained(node.explain(Who({})));
    const codes = (await charging).map((result) => result.ok ? "ok" : result.error.code);
    step.promise(
      `commands that may not run twice were answered ${[...new Set(codes)].join(", ")}: they may have run`,
      codes.every((code) => code === "TRANSPORT"),
    );

    const gone = () => !node.members().some(({ id }) => id === leader.id);
    step.promise("it is out of the view", await comesTrue(gone));
    step.say(`that was ${Math.round(performance.now() - start)} ms after it was killed`);
    const led = () =>
      node.leader !== undefined && node.leader.id !== leader.id && node.leader.term! > leader.term!;
    step.promise("somebody else leads in a later term", await comesTrue(led));
    step.say(`${node.leader?.id} leads in term ${node.leader?.term}`);
    step.promise("the leader's task runs there", await comesTrue(() => onlyLeaderOnDuty(node)));
    const taken = () => ownedCarts(node).length === SHARDS && countOwned(ownedCarts(node), leader.id) === 0;
    step.promise("its shards have other owners", await comesTrue(taken));
    step.table(ownedCarts(node).map(({ owner }) => owner!));
    unwrap(await node.send(AddToCart({ cart: "cart-1" })));

    fleet.start(leader.id);
    const back = () =>
      node.members().filter(({ status, kind }) => status === "ready" && kind === "process").length === 5;
    step.promise("started again it is a member as before", await comesTrue(back, 10_000));
  });
}

function countOwned(shards: readonly { readonly owner: string | undefined }[], name: string): number {
  return shards.filter(({ owner }) => owner === name).length;
}
