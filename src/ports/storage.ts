import type { EventStore } from "./event_store.ts";
import type { Queue } from "./queue.ts";
import type { Store } from "./store.ts";

/** What survives: nothing, the end of a process, or the loss of power. */
export type Durability = "none" | "process" | "power";

/** What keeps things. Each part may be missing. */
export interface Storage {
  /** What survives of what it is given to keep. */
  readonly durability: Durability;
  /** Small values under names, which the nodes of a cluster keep together. */
  readonly store?: Store;
  /** What is told until it was heard. */
  readonly queue?: Queue;
  /** What has happened. */
  readonly events?: EventStore;
}
