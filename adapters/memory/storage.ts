import type { Clock } from "../../src/ports/runtime.ts";
import type { Storage } from "../../src/ports/storage.ts";
import { systemRuntime } from "../../src/ports/system_runtime.ts";
import { memoryEventStore } from "./event_store.ts";
import { memoryQueue } from "./queue.ts";
import { memoryStore } from "./store.ts";

/** Keeps things in this process, for all who are given it. Nothing outlives the process. */
export function memoryStorage(clock: Clock = systemRuntime().clock): Required<Storage> {
  return {
    durability: "none",
    store: memoryStore({ clock }),
    queue: memoryQueue({ clock }),
    events: memoryEventStore({ clock }),
  };
}
