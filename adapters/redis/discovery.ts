import type { Discovery, OpenDiscovery } from "../../src/ports/discovery.ts";
import type { Runtime } from "../../src/ports/runtime.ts";
import { CommandBudget, type PollingProfile, pollings } from "./budget.ts";
import type { Commander } from "./commander.ts";
import { DiscoveryLook } from "./discovery_look.ts";
import { discoveryKeys } from "./discovery_scripts.ts";

/** What {@linkcode redisDiscovery} takes. */
export interface RedisDiscoveryOptions {
  /** What the list is called in Redis: nodes of one name see each other. @default "catga" */
  readonly name?: string | undefined;
  /**
   * Where this node is reached, to be listed as long as it is open; may be known only later. Without it the node sees
   * the others, and they do not see it.
   */
  readonly endpoint?: string | (() => string | undefined) | undefined;
  /**
   * Many instances stand behind the endpoint, and each of them keeps it listed. Otherwise who is listed last has the
   * endpoint, and one that had it before is listed no longer.
   * @default false
   */
  readonly shared?: boolean | undefined;
  /** Endpoints that are there always, and need not be listed. */
  readonly services?: readonly string[] | undefined;
  /** How often it looks, and how long a node is listed that is no longer heard of. @default "default" */
  readonly polling?: PollingProfile | undefined;
  /** What it shares with whatever else looks for something. @default one of its own */
  readonly budget?: CommandBudget | undefined;
}

/** Nodes that find each other in Redis. */
export interface RedisDiscovery extends Discovery {
  /**
   * For a node that is frozen between requests, where no timer runs: has it listed again if that is due, in the
   * background of the runtime. To be called with each request; costs nothing when it is not due.
   */
  renew(): void;
}

/**
 * Finds nodes by a list in Redis, on which each node is as long as it is heard of, by the server's clock. Being heard of
 * and hearing of the others is one command: by default each 15 s, so a node that was killed is seen to be gone after
 * 60 s at most; with `polling: "fast"` each second and after 4 s. Who is alive is for the membership to judge.
 */
export function redisDiscovery(commander: Commander, options: RedisDiscoveryOptions = {}): RedisDiscovery {
  const { name = "catga", endpoint, shared = false, services = [], polling = "default", budget } = options;
  if (!(name.length >= 1 && name.length <= 128 && name.isWellFormed())) {
    throw new RangeError("Cannot make a discovery: its name must be well-formed text of 1 to 128 characters");
  }
  const keys = discoveryKeys(name);
  const open = new Set<DiscoveryLook>();
  return {
    name: "redis",
    open: (runtime: Runtime): OpenDiscovery => {
      const look = new DiscoveryLook(commander, runtime, {
        keys,
        endpoint: () => typeof endpoint === "function" ? endpoint() : endpoint,
        id: shared ? "shared" : [1, 2, 3].map(() => runtime.random.u32().toString(36)).join("-"),
        services: [...services],
        polling: pollings[polling],
        budget: budget ?? new CommandBudget(runtime.clock, pollings[polling].perMinute),
        ended: () => void open.delete(look),
      });
      open.add(look);
      look.begin();
      return look;
    },
    renew: () => {
      for (const look of open) look.renew();
    },
  };
}
