import { unwrap } from "@catga/catga";
import type { Node } from "@catga/catga/cluster";
import { GetPrice, ReadPrice, SetPrice } from "../contracts.ts";
import { NAMES } from "../fleet.ts";
import { comesTrue } from "../sleep.ts";
import type { Tour } from "../tour.ts";

const sku = "tea";

/** Answers of a query are kept where they were asked for, until a command ends them on every node. */
export async function cache(tour: Tour, node: Node): Promise<void> {
  const readEverywhere = async () =>
    (await node.broadcast(ReadPrice({ sku }))).map(({ result }) => unwrap(result));

  await tour.step("A query's answer is kept, and a command ends it on every node", async (step) => {
    unwrap(await node.send(SetPrice({ sku, price: 7 })));
    const read = async () => unwrap(await node.send(GetPrice({ sku })));
    // Word of the command may come after its answer, and ends what was asked before it.
    const kept = async () => (await read()).asked === (await read()).asked;
    step.promise("a second read asks nobody", await comesTrue(kept, 1000));
    const nodes = await readEverywhere();
    const again = await readEverywhere();
    const same = again.every((each, at) => each.asked === nodes[at]!.asked);
    step.promise("five nodes keep an answer of their own", again.length === NAMES.length && same);
    const { hits, misses } = node.inspect().cache;
    step.say(`the guide's cache answered ${hits} of its ${hits + misses} reads`);

    unwrap(await node.send(SetPrice({ sku, price: 8 })));
    const fresh = async () => (await readEverywhere()).every(({ price }) => price === 8);
    step.promise("a command later every node reads the new price", await comesTrue(fresh, 1000));
    step.promise("and so does the guide", await comesTrue(async () => (await read()).price === 8, 1000));
    step.say(`${node.inspect().cache.invalidated} kept answers of the guide were ended by commands`);
  });
}
