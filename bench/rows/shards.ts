/** A command to the owner of a shard, and to the node that consistent hashing picks, in one process. */
import { command, createMediator, handle, type } from "@catga/catga";
import { consistentHash, joinCluster, type Node } from "@catga/catga/cluster";
import { memory } from "@catga/catga/memory";
import { type Candidate, type Candidates, succeedsWithB } from "../harness/candidate.ts";

interface Body {
  readonly key: string;
  readonly a: number;
}
const key = (body: Body): string => body.key;
const input = type<Body>();
const output = type<{ readonly b: number; readonly node: string }>();
const Sharded = command("sharded", { input, output, shard: { key, count: 64 } });
const Hashed = command("hashed", { input, output, key, route: consistentHash() });

async function sending(contract: typeof Sharded | typeof Hashed, at: "here" | "there"): Promise<Candidate> {
  const backend = memory();
  const join = (node: string): Promise<Node> => {
    const answer = ({ a }: Body) => ({ b: a, node });
    const mediator = createMediator({ handlers: [handle(Sharded, answer), handle(Hashed, answer)] });
    return joinCluster(mediator, { node, endpoint: `memory:${node}`, backend, timing: "fast" });
  };
  const here = await join("here");
  await join("there");
  const keys: string[] = [];
  const owned = (): boolean => {
    const shards = here.inspect().shards.filter(({ owner }) => owner !== undefined);
    return shards.length === 64 && new Set(shards.map(({ owner }) => owner)).size === 2;
  };
  while (contract === Sharded && !owned()) await new Promise((resolve) => setTimeout(resolve, 10));
  for (let n = 0; keys.length < 256; n++) {
    const result = await here.send(contract({ key: `cart-${n}`, a: 0 }));
    if (!result.ok) throw new Error(result.error.message);
    if (result.value.node === at) keys.push(`cart-${n}`);
  }
  let count = 0;
  return {
    run: () => here.send(contract({ key: keys[count++ & 255]!, a: count })),
    check: succeedsWithB,
  };
}

export const candidates: Candidates = {
  "shard, here": () => sending(Sharded, "here"),
  "consistentHash, here": () => sending(Hashed, "here"),
  "shard, there": () => sending(Sharded, "there"),
  "consistentHash, there": () => sending(Hashed, "there"),
};
