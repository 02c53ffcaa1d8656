import { type Result, unwrap } from "@catga/catga";
import type { ClusterEvent, Node, ShardState } from "@catga/catga/cluster";
import { AddToCart, SHARDS } from "../contracts.ts";
import { type Fleet, NAMES } from "../fleet.ts";
import { comesTrue, sleep } from "../sleep.ts";
import type { Tour } from "../tour.ts";

const CARTS: readonly string[] = Array.from({ length: 60 }, (_, n) => `cart-${n + 1}`);

/** The shards of the carts that have an owner, as a node knows them. */
export function ownedCarts(node: Node): ShardState[] {
  return node.inspect().shards.filter(({ group, owner }) => group === "carts" && owner !== undefined);
}

/** Shards have one owner each, and move when a node comes or goes. */
export async function shards(tour: Tour, node: Node, fleet: Fleet): Promise<void> {
  await tour.step(`Shards: ${SHARDS} of them, each owned by one node with a lease`, async (step) => {
    await node.send(AddToCart({ cart: CARTS[0]! }));
    const spread = () => new Set(ownedCarts(node).map(({ owner }) => owner)).size === NAMES.length;
    step.promise("all have owners", await comesTrue(() => ownedCarts(node).length === SHARDS && spread()));
    step.table(ownedCarts(node).map(({ owner }) => owner!));
    step.explained(node.explain(AddToCart({ cart: CARTS[0]! })));
    const added = (await node.sendAll(CARTS.map((cart) => AddToCart({ cart })))).map(unwrap);
    const known = new Map(ownedCarts(node).map((shard) => [shard.index, shard]));
    const kept = added.every(({ node, shard: { index, token } }) =>
      known.get(index)?.owner === node && known.get(index)?.token === token && token !== undefined
    );
    step.promise("each cart was handled by its owner, who knows its fencing token", kept);
  });

  await tour.step("Shards move: node-4 leaves and comes back, under load", async (step) => {
    const before = ownedCarts(node);
    const mine = before.filter(({ owner }) => owner === "node-4");
    const moved = new Moves(node);
    const load = new Load(node);

    await fleet.stop("node-4");
    const left = () =>
      ownedCarts(node).length === SHARDS && !ownedCarts(node).some(({ owner }) => owner === "node-4");
    step.promise("node-4 gave back all it had", await comesTrue(left));
    const after = ownedCarts(node);
    step.table(after.map(({ owner }) => owner!));
    step.say(`watch told of ${moved.count} moves, such as ${moved.first}`);
    const changed = after.filter(({ index, owner }) => before[index]!.owner !== owner);
    step.promise(`only its ${mine.length} shards have moved`, changed.length === mine.length);
    const grown = changed.every(({ index, token }) => token! > before[index]!.token!);
    step.promise("their fencing tokens have grown: what the old owner still writes can be refused", grown);

    fleet.start("node-4");
    const restored = () =>
      ownedCarts(node).length === SHARDS &&
      ownedCarts(node).every(({ index, owner }) => before[index]!.owner === owner);
    step.promise("back again it got the same ones", await comesTrue(restored, 10_000));
    const results = await load.end();
    await moved.end();
    const failed = results.flatMap((result) => result.ok ? [] : [result.error.message]);
    for (const message of new Set(failed)) step.say(message);
    step.promise(
      `of ${results.length} calls meanwhile ${failed.length} failed`,
      failed.length === 0 && results.length > 0,
    );
  });
}

/** Calls one after the other, as long as it is not ended. */
class Load {
  readonly #results: Result<unknown>[] = [];
  readonly #running: Promise<void>;
  #ended = false;

  constructor(node: Node) {
    this.#running = this.#run(node);
  }

  async end(): Promise<readonly Result<unknown>[]> {
    this.#ended = true;
    await this.#running;
    return this.#results;
  }

  async #run(node: Node): Promise<void> {
    for (let n = 0; !this.#ended; n++) {
      this.#results.push(await node.send(AddToCart({ cart: CARTS[n % CARTS.length]! })));
      await sleep(2);
    }
  }
}

/** What a watch tells of shards that move. */
class Moves {
  readonly #stop: AbortController = new AbortController();
  readonly #done: Promise<void>;
  count = 0;
  first = "none";

  constructor(node: Node) {
    this.#done = this.#watch(node);
  }

  end(): Promise<void> {
    this.#stop.abort();
    return this.#done;
  }

  async #watch(node: Node): Promise<void> {
    for await (const { events } of node.watch({ signal: this.#stop.signal })) {
      for (const event of events) this.#take(event);
    }
  }

  #take(event: ClusterEvent): void {
    if (event.type !== "shardMoved" || event.group !== "carts") return;
    if (this.count++ === 0) this.first = `shard ${event.index} from ${event.from} to ${event.to}`;
  }
}
