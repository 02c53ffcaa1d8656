import type { RouteCall, RouteTarget } from "@catga/catga";

/** The node that is sending. */
export function here<T extends RouteTarget>(_: RouteCall, nodes: readonly T[]): T | undefined {
  return nodes.find((node) => node.local) ?? nodes[0];
}
