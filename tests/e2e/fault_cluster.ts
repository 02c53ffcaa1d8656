import { ask } from "./ask.ts";
import { mixed, type NodeProcess, until, withCluster } from "./cluster.ts";
import type { NodeState, Seen } from "./fault_node.ts";
import { Link } from "./proxy.ts";

/** How often the nodes speak, in ms; they wait five times as long for one that is silent. */
export const HEARTBEAT = 300;

/** A node saw something. */
export interface Sighting extends Seen {
  readonly by: string;
}

/** Three nodes, on each runtime one, that tell what they see. */
export async function withFaultNodes(use: (nodes: readonly NodeProcess[]) => Promise<void>): Promise<void> {
  const env = () => ({ HEARTBEAT: String(HEARTBEAT) });
  await withCluster(await mixed(), use, { file: "tests/e2e/fault_node.ts", env });
}

/** The same with a link of its own for each way from a node to another; `links` is asked by two places. */
export async function withLinkedNodes(
  use: (nodes: readonly NodeProcess[], link: (from: number, to: number) => Link) => Promise<void>,
): Promise<void> {
  const links = new Map<string, Link>();
  const env = async (from: number, endpoints: readonly string[]) => {
    const ways: Record<string, string> = {};
    for (const [to, endpoint] of endpoints.entries()) {
      if (to === from) continue;
      const link = await Link.to(Number(new URL(endpoint).port));
      links.set(`${from} ${to}`, link);
      ways[endpoint] = link.url;
    }
    return { HEARTBEAT: String(HEARTBEAT), VIA: JSON.stringify(ways) };
  };
  try {
    await withCluster(
      await mixed(),
      (nodes) => use(nodes, (from, to) => links.get(`${from} ${to}`)!),
      { file: "tests/e2e/fault_node.ts", env },
    );
  } finally {
    await Promise.all([...links.values()].map((link) => link[Symbol.asyncDispose]()));
  }
}

/** What a node knows; `undefined` when it does not answer. */
export async function stateOf(node: NodeProcess): Promise<NodeState | undefined> {
  const { status, body } = await ask("GET", `${node.url}/state`, undefined, 2000);
  return status === 200 ? body as NodeState : undefined;
}

/** Waits until what a node knows passes a test; answers it. */
export async function knows(
  node: NodeProcess,
  what: string,
  holds: (state: NodeState) => boolean,
): Promise<NodeState> {
  let state: NodeState | undefined;
  await until(`${node.name} ${what}`, async () => {
    state = await stateOf(node);
    return state !== undefined && holds(state);
  });
  return state!;
}

/** Waits until all nodes are in each other's view and say the same of it. */
export async function agreed(nodes: readonly NodeProcess[]): Promise<void> {
  await until("all views are one", async () => {
    const states = await Promise.all(nodes.map(stateOf));
    const digests = new Set(states.map((state) => state?.digest));
    return digests.size === 1 && states.every((state) =>
      state?.members.length === nodes.length &&
      state.members.every(({ status, suspected, reachable }) => status === "ready" && reachable && !suspected)
    );
  });
}

/** What nodes have seen since a time, in ms since 1970, the first first. */
export async function sightings(nodes: readonly NodeProcess[], since: number): Promise<readonly Sighting[]> {
  const states = await Promise.all(nodes.map((node) => knows(node, "answers", () => true)));
  return states.flatMap(({ id, seen }) => seen.map((each) => ({ ...each, by: id })))
    .filter(({ at }) => at >= since)
    .sort((a, b) => a.at - b.at);
}

/** Who first suspected whom: others see it only once they are told. */
export function accusations(all: readonly Sighting[]): readonly Sighting[] {
  const first = new Map<string, Sighting>();
  for (const sighting of all) {
    const about = `${sighting.id} ${sighting.incarnation}`;
    if (sighting.type === "suspected" && !first.has(about)) first.set(about, sighting);
  }
  return [...first.values()];
}

/** The ends that nodes noted of others than those who are expected to end. */
export function deaths(all: readonly Sighting[], expected: readonly string[]): readonly string[] {
  return all.filter(({ type, id }) => type === "faulted" && !expected.includes(id))
    .map(({ by, id }) => `${by} declared ${id} dead`);
}
