import { CatgaError, systemFault } from "../result.ts";
import type { Mediator } from "../mediator/mediator.ts";
import { Engine } from "../mediator/mediator.ts";
import type { Delivery } from "../ports/queue.ts";
import type { Store } from "../ports/store.ts";
import { Round } from "./consumer_round.ts";
import { pushedHandlers } from "./consumer_pushed_handlers.ts";
import { PushedInHands } from "./consumer_pushed_item.ts";
import { deadLetters } from "./dead_letters.ts";
import { Grip } from "./grip.ts";
import type { Hearing } from "./heard_event.ts";
import { Quarantine } from "./quarantine.ts";
import { refuseUnkept } from "./refuse_unkept.ts";

/** An item of a queue that was brought here, such as that of a `pushReceiver`. */
export interface PushedDelivery extends Pick<Delivery, "id" | "key" | "payload" | "attempt" | "pushed"> {
  /** The topic it was pushed to: the name of its event. */
  readonly topic: string;
  /** The group that it is for: `service/handler`. */
  readonly group: string;
  /** How long whoever brings it waits for an answer, in ms. @default 30000 */
  readonly within?: number | undefined;
}

/** What {@linkcode handlePushed} takes. */
export interface HandlePushedOptions {
  /** Where it is kept what failed, what QoS 2 has done with, and dead letters: that of the nodes. */
  readonly store: Store;
  /** What all that do the same work are called together, as `service` of a node. */
  readonly service: string;
  /** How many events are handled at a time; more are `OVERLOADED`. @default 32 */
  readonly concurrency?: number | undefined;
  /** How long handling an event once may take, in ms, where its contract does not say. @default 30000 */
  readonly timeout?: number | undefined;
  /** Takes a store of which nothing survives. @default false */
  readonly unsafe?: boolean | undefined;
}

/** How long an answer is waited for where nobody says, in ms, and after how long one is asked again who was busy. */
const WITHIN = 30_000;
const BUSY = 1000;

/**
 * Handles reliable events that are brought here, where nobody can wait for them (an edge function), by the handlers of a
 * mediator. All is as on a node: a handler is tried as its contract says and the event is put back after each round that
 * failed, then it is a dead letter; with QoS 2 what was done is known again. Handlers of events for every node
 * (`to: "nodes"`) are left out. What handlers publish reliably goes through a node or the outbox of a record.
 *
 * What it answers resolves when the event is done with or a dead letter. It rejects with a `CatgaError`: `UNAVAILABLE`
 * when it is to be brought again, after `data.retryAfter` ms; `OVERLOADED` when too many are handled; `NO_HANDLER` for
 * what nobody handles here.
 *
 * Throws `CONFLICT` for a store of which nothing survives, unless `unsafe`, and for two handlers of one name.
 *
 * @example
 * ```ts
 * import { createMediator, on, reliableEvent, type } from "@catga/catga";
 * import { handlePushed } from "@catga/catga/durable";
 * import { memoryStore } from "@catga/catga/memory";
 * import { systemRuntime } from "@catga/catga/ports";
 * import { pushReceiver } from "@catga/catga/redis";
 *
 * const OrderPaid = reliableEvent("orders.paid", { data: type<{ order: string }>() });
 * const runtime = systemRuntime();
 * const app = createMediator({
 *   handlers: [on(OrderPaid, ({ order }) => console.log(`mail about ${order}`), { name: "mail" })],
 *   runtime,
 * });
 * const store = memoryStore({ clock: runtime.clock }); // in its place that of redis({ url, token })
 * const take = handlePushed(app, { store, service: "shop", unsafe: true });
 * const fetch = pushReceiver({ runtime, secrets: ["32-random-characters-or-more-…"], take });
 * console.log((await fetch(new Request("https://shop.example/push"))).status); // 405: only a relay's POST is taken
 * ```
 */
export function handlePushed(
  mediator: Mediator,
  options: HandlePushedOptions,
): (item: PushedDelivery) => Promise<void> {
  const { store, service, concurrency = 32, timeout = 30_000, unsafe } = options;
  if (!(mediator instanceof Engine)) {
    throw new TypeError("Cannot handle events: the mediator was not made by createMediator of this package");
  }
  for (const [name, value] of Object.entries({ concurrency, timeout })) {
    if (!(value >= 1)) {
      throw new RangeError(`Cannot handle events: ${name} is ${value}, but must be 1 or more`);
    }
  }
  refuseUnkept("handle events", "what failed", { store, unsafe });
  const { runtime } = mediator;
  const letters = deadLetters(store, { runtime });
  const quarantine = new Quarantine(runtime.clock);
  const handlers = pushedHandlers(mediator, { store, service, timeout });
  const working = new Set<string>();

  async function handle(hearing: Hearing, item: PushedDelivery): Promise<number | undefined> {
    const { topic, group, key, payload, pushed, within = WITHIN } = item;
    const delivery = new PushedInHands(item);
    const grip = new Grip(delivery, within, runtime, runtime.clock.mono());
    const round = new Round(
      {
        ...hearing,
        store,
        runtime,
        quarantine,
        topic,
        group,
        lease: within,
        bury: ({ id }, fault, tries) =>
          letters.put({ topic, group, id, key, payload, pushed, ...tries, fault }),
        isFull: () => working.size >= concurrency,
        begunAlone: () => {},
        warn: (event, what, thrown) => {
          const message = `"${group}" does not get on with "${topic}": ${what}`;
          runtime.log({ level: "warn", event, message, fields: { topic, group, cause: thrown } });
        },
      },
      delivery,
      grip,
    );
    try {
      return await round.run() === "putBack" ? delivery.delay ?? 0 : undefined;
    } finally {
      round.leave();
      grip.close();
    }
  }

  return async (item) => {
    const { topic, group, id } = item;
    const handler = handlers.get(JSON.stringify([topic, group]));
    if (handler === undefined) throw refused("NO_HANDLER", item, "nobody handles it here");
    const name = JSON.stringify([topic, group, id]);
    if (working.has(name)) throw refused("UNAVAILABLE", item, "it is being handled", BUSY);
    if (working.size >= concurrency) {
      throw refused("OVERLOADED", item, `${concurrency} are handled, as many as may be`, BUSY);
    }
    working.add(name);
    let delay: number | undefined;
    try {
      delay = await handle(handler(item.within ?? WITHIN), item);
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw refused("UNAVAILABLE", item, `it is not known to be done: ${why}`);
    } finally {
      working.delete(name);
    }
    if (delay !== undefined) throw refused("UNAVAILABLE", item, "it is put back", delay);
  };
}

function refused(
  code: "NO_HANDLER" | "UNAVAILABLE" | "OVERLOADED",
  { id, topic, group }: PushedDelivery,
  why: string,
  retryAfter?: number,
): CatgaError {
  const data = retryAfter === undefined ? undefined : { retryAfter };
  return new CatgaError(
    systemFault(code, `Cannot handle "${id}" of "${topic}" for "${group}": ${why}`, data),
  );
}
