import { CatgaError, systemFault } from "../../src/result.ts";
import type { Backend, BackendHost, BackendParts } from "../../src/ports/backend.ts";
import type { Store } from "../../src/ports/store.ts";
import { MemoryHub } from "./hub.ts";
import { memoryStore } from "./store.ts";
import { MemoryTransport } from "./transport.ts";

/**
 * A hub in this process. Give one and the same to all nodes that are to see each other; an endpoint is any name.
 * They also share a store, whose clock is that of the node that was opened first. Nothing outlives the process.
 *
 * @example
 * ```ts
 * import { createMediator } from "@catga/catga";
 * import { joinCluster } from "@catga/catga/cluster";
 * import { memory } from "@catga/catga/memory";
 *
 * const backend = memory();
 * await using a = await joinCluster(createMediator({ handlers: [] }), { node: "a", endpoint: "memory:a", backend });
 * await using b = await joinCluster(createMediator({ handlers: [] }), { node: "b", endpoint: "memory:b", backend });
 * console.log(b.members().map((member) => member.id));
 * ```
 */
export function memory(): Backend {
  const hub = new MemoryHub();
  let store: Store | undefined;
  return {
    name: "memory",
    durability: "none",
    open: (host) => {
      const parts = openOn(hub, host);
      store ??= memoryStore({ clock: host.runtime.clock });
      return { ...parts, store };
    },
  };
}

function openOn(hub: MemoryHub, { self }: BackendHost): BackendParts {
  const refused = hub.refusal(self);
  if (refused !== undefined) {
    throw new CatgaError(systemFault("CONFLICT", `Cannot open "${self.id}": ${refused}`));
  }
  return { transport: new MemoryTransport(hub, self), seeds: () => hub.others(self) };
}
