import type { EventStore, Runtime, Store } from "@catga/catga/ports";
import { memoryEventStore, memoryStore } from "@catga/catga/memory";
import { createSimulation, type Simulation } from "@catga/catga/testing";
import { eventSourced } from "@catga/catga/durable";
import type { LogEntry } from "@catga/catga/ports";
import { drain } from "../../simulation/drain.ts";
import { lasting } from "../lasting.ts";
import { cart, cartEvents } from "./cart.ts";

/** Nodes in virtual time that share what is kept. */
export interface World {
  readonly simulation: Simulation;
  readonly events: EventStore;
  readonly store: Store;
  readonly logged: (LogEntry & { readonly node: string })[];
  node(name: string): Runtime;
  /** Lets time pass until a promise settles. */
  settled<T>(work: Promise<T>, ms?: number): Promise<T>;
}

export function world(seed = 1): World {
  const logged: World["logged"] = [];
  const simulation = createSimulation({
    seed,
    ...(drain === undefined ? {} : { drain }),
    log: (node, entry) => void logged.push({ ...entry, node }),
  });
  const { clock } = simulation.runtime("stores");
  return {
    simulation,
    events: memoryEventStore({ clock }),
    store: lasting(memoryStore({ clock })),
    logged,
    node: (name) => simulation.runtime(name),
    settled: async (work, ms = 600_000) => {
      let over = false;
      const end = (): void => void (over = true);
      work.then(end, end);
      await simulation.run(0);
      if (!over && !await simulation.until(() => over, ms)) throw new Error(`nothing after ${ms} ms`);
      return work;
    },
  };
}

/** A port as a node has it: once that has crashed, nothing is done or answered any more. */
export function mortal<T extends object>(at: World, node: string, port: T): T {
  const runtime = at.node(node);
  const dead = (): boolean => !at.simulation.alive(node) || at.node(node) !== runtime;
  const never = new Promise<never>(() => {});
  return new Proxy(port, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function" || name === "watch") return member;
      return (...args: unknown[]) => {
        if (dead()) return never;
        const answer = Reflect.apply(member, target, args) as Promise<unknown>;
        return answer.then((value) => dead() ? never : value);
      };
    },
  });
}

/** Carts of a node. */
// deno-lint-ignore explicit-module-boundary-types
export function cartsOf(store: EventStore, runtime: Runtime, snapshots?: { store: Store; every: number }) {
  return eventSourced("cart", { decider: cart, events: cartEvents, store, runtime, snapshots });
}

export const from = { cart: cartEvents };
