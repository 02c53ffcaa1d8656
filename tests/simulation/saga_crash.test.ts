/** Sagas whose executor crashes before and after everything that it asks of the outside: all of it, not a sample. */

import { describe, expect, test } from "bun:test";
import { createSagas, type Sagas, type SagaState } from "@catga/catga/durable";
import type { Store } from "@catga/catga/ports";
import { CrashPoint, simulate, simulatedStore, type Simulation } from "@catga/catga/testing";
import { drain } from "./drain.ts";
import { Checkout, checkout, type Course, PickedUp, Services } from "./saga_shop.ts";

const ID = "shop.checkout/o1";

interface Outcome {
  readonly passed: number;
  readonly status: string;
  readonly wrong: readonly string[];
  readonly left: readonly string[];
}

interface Plan {
  readonly course: Course;
  readonly at: number;
  readonly when: "before" | "after";
}

/** One order that a node takes, which crashes; another is there, and the caller asks again. */
function runOrder({ course, at, when }: Plan): Promise<Outcome> {
  return simulate({ seed: 7, ...(drain === undefined ? {} : { drain }) }, async (simulation) => {
    const server = simulatedStore(simulation);
    const services = new Services(simulation);
    const point = new CrashPoint({ at, when, crash: () => simulation.crash("a") });
    const nodes = new Map<string, Sagas>();
    for (const name of ["a", "b"]) {
      const runtime = simulation.runtime(name);
      const wrap = <T extends object>(port: T): T => name === "a" ? point.wrap(port) : port;
      const store = butForLeases(server.open(runtime), wrap);
      const sagas = createSagas({ definitions: [checkout], store, runtime, owner: name, ttl: 1000 });
      sagas.start(wrap(services.dispatcher(runtime)));
      nodes.set(name, sagas);
      // The first node has its lease when the order comes.
      if (name === "a") await simulation.run(20);
    }
    const message = Checkout({ order: "o1", course });
    void nodes.get("a")!.begin(message, { key: "o1" });
    simulation.after(3000, () => void nodes.get("b")!.begin(message, { key: "o1" }));
    let state: SagaState | undefined;
    carry(simulation, nodes.get("b")!, course, () => state !== undefined);
    const ended = (): boolean => {
      void nodes.get("b")!.show(ID).then((found) => {
        if (found !== undefined && found.status !== "running" && found.status !== "compensating") {
          state = found;
        }
      });
      return state !== undefined;
    };
    for (let waited = 0; !ended() && waited < 300_000; waited += 1000) await simulation.run(1000);
    // Whatever was late has come by now.
    await simulation.run(10_000);
    const left = server.entries().map(({ key }) => key).filter((key) => !key.startsWith("sagas/by/"));
    const status = state?.status ?? "none";
    return { passed: point.passed, status, wrong: services.judge("o1", status), left };
  });
}

/** A store whose leases are renewed without being counted. */
function butForLeases(store: Store, wrap: <T extends object>(port: T) => T): Store {
  const counted = wrap(store);
  const to = (key: string): Store => key.startsWith("sagas/by/") ? store : counted;
  return {
    get: (key, options) => to(key).get(key, options),
    put: (key, value, options) => to(key).put(key, value, options),
    delete: (key, options) => to(key).delete(key, options),
    list: (prefix, options) => to(prefix).list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
  };
}

/** The carrier says again and again that the parcel was picked up. */
function carry(simulation: Simulation, sagas: Sagas, course: Course, isOver: () => boolean): void {
  if (course === "no carrier" || isOver()) return;
  void sagas.deliver(PickedUp({ order: "o1", parcel: 5 }), { id: "picked-1" });
  simulation.after(100, () => carry(simulation, sagas, course, isOver));
}

describe("a saga whose executor crashes at each of its awaits", () => {
  const ends: readonly (readonly [course: Course, status: string])[] = [
    ["well", "completed"],
    ["no stock", "compensated"],
    ["no money", "compensated"],
    ["no label", "compensated"],
    ["no carrier", "compensated"],
    ["refused", "compensated"],
  ];
  test.each(ends)("%s: ends %s, with each step done and undone once, in reverse", async (course, status) => {
    const { passed, ...calm } = await runOrder({ course, at: Infinity, when: "before" });
    expect(calm).toEqual({ status, wrong: [], left: [`sagas/of/${ID}`] });
    for (let at = 1; at <= passed; at++) {
      for (const when of ["before", "after"] as const) {
        const outcome = await runOrder({ course, at, when });
        expect({ at, when, ...outcome, passed: 0 }).toEqual({
          at,
          when,
          status,
          wrong: [],
          left: [`sagas/of/${ID}`],
          passed: 0,
        });
      }
    }
  }, 120_000);
});
