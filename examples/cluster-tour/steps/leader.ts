import { unwrap } from "@catga/catga";
import type { Node } from "@catga/catga/cluster";
import { Duty, StepDown } from "../contracts.ts";
import { comesTrue } from "../sleep.ts";
import type { Tour } from "../tour.ts";

/** Whether the leader's task runs on the leader, in its term, and nowhere else. */
export async function onlyLeaderOnDuty(node: Node): Promise<boolean> {
  const { leader } = node;
  const duties = await node.broadcast(Duty());
  return leader !== undefined &&
    duties.every(({ node, result }) =>
      result.ok && result.value.term === (node === leader.id ? leader.term : undefined)
    );
}

/** One leader at a time, by lease, with a task that runs where it leads. */
export async function leader(tour: Tour, node: Node): Promise<void> {
  await tour.step("The leader steps down, and another takes over", async (step) => {
    const first = node.leader!;
    step.say(`${first.id} leads in term ${first.term}, ${first.soft ? "by the view alone" : "by a lease"}`);
    step.promise(
      "the leader's task runs there and nowhere else",
      await comesTrue(() => onlyLeaderOnDuty(node)),
    );
    unwrap(await node.send(StepDown()));
    const changed = () => node.leader !== undefined && node.leader.id !== first.id;
    step.promise("somebody else leads", await comesTrue(changed));
    const second = node.leader!;
    step.say(`${second.id} leads in term ${second.term}`);
    step.promise("the term has grown", second.term! > first.term!);
    step.promise("the task has moved along", await comesTrue(() => onlyLeaderOnDuty(node)));
  });
}
