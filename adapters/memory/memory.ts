import { CatgaError, systemFault } from "../../src/result.ts";
import type { Backend, BackendHost, BackendParts } from "../../src/ports/backend.ts";
import type { Storage } from "../../src/ports/storage.ts";
import { MemoryHub } from "./hub.ts";
import { memoryStorage } from "./storage.ts";
import { MemoryTransport } from "./transport.ts";

/**
 * A hub in this process. Give one and the same to all nodes that are to see each other; an endpoint is any name.
 * They also share a storage, whose clock is that of the node that was opened first. Nothing outlives the process.
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
  let storage: Storage | undefined;
  return {
    name: "memory",
    open: (host) => {
      const parts = openOn(hub, host);
      storage ??= memoryStorage(host.runtime.clock);
      return { ...parts, ...storage };
    },
  };
}

function openOn(hub: MemoryHub, { self }: BackendHost): BackendParts {
  const refused = hub.refusal(self);
  if (refused !== undefined) {
    throw new CatgaError(systemFault("CONFLICT", `Cannot open "${self.id}": ${refused}`));
  }
  return { durability: "none", transport: new MemoryTransport(hub, self), seeds: () => hub.others(self) };
}
