/** A shop whose checkout is a saga over three services, and a ledger of all that they did. */

import {
  command,
  type Dispatcher,
  event,
  fail,
  type Failure,
  failure,
  type Fault,
  type Message,
  ok,
  type Result,
  systemFault,
  type,
} from "@catga/catga";
import { saga, type SagaDefinition } from "@catga/catga/durable";
import type { Runtime } from "@catga/catga/ports";
import type { SeededRandom, Simulation } from "@catga/catga/testing";

interface Order {
  readonly order: string;
}
/** How an order goes: all is well, a service refuses, or the carrier never comes. */
export type Course = "well" | "no stock" | "no money" | "no label" | "no carrier" | "refused";
export interface Purchase extends Order {
  readonly course: Course;
}

const own = { REFUSED: type<{ readonly by: string }>() };
export const Checkout = command("shop.checkout", {
  input: type<Purchase>(),
  output: type<{ readonly label: string; readonly parcel: number }>(),
  errors: own,
});
const taking = { input: type<Purchase>(), output: type<{ readonly receipt: string }>(), errors: own };
const givingBack = { input: type<{ readonly receipt: string }>(), output: type<void>() };
export const Reserve = command("stock.reserve", taking);
export const Release = command("stock.release", givingBack);
export const Charge = command("payment.charge", taking);
export const Refund = command("payment.refund", givingBack);
export const Print = command("shipping.print", taking);
export const Discard = command("shipping.discard", { input: type<Order>(), output: type<void>() });
export const Confirm = command("shop.confirm", taking);
export const PickedUp = event("shipping.picked-up", {
  data: type<{ readonly order: string; readonly parcel: number }>(),
});

export const checkout: SagaDefinition = saga(Checkout, async (purchase, saga) => {
  const { order } = purchase;
  const undoReserve = { undo: ({ receipt }: { readonly receipt: string }) => Release({ receipt }) };
  await saga.step("reserve", Reserve(purchase), undoReserve);
  const picked = saga.waitFor("picked", PickedUp, { match: { order }, timeout: 60_000 });
  const { print } = await saga.all({
    pay: (branch) =>
      branch.step("charge", Charge(purchase), { undo: ({ receipt }) => Refund({ receipt }), timeout: 1000 }),
    print: async (branch) => {
      await branch.sleep("dry", 20 + Math.floor(branch.random() * 20));
      return await branch.step("print", Print(purchase), { undo: Discard({ order }), timeout: 1000 });
    },
  });
  const parcel = await picked;
  if (parcel === undefined) return fail("REFUSED", { by: "carrier" });
  await saga.step("confirm", Confirm(purchase));
  return { label: print.receipt, parcel: parcel.parcel };
}, { events: [PickedUp] });

/** How calls fare. Rates go from 0 to 1. */
export interface CallConditions {
  readonly refused: number;
  readonly lost: number;
  readonly unanswered: number;
  readonly slow: number;
}

interface Done {
  readonly order: string;
  readonly what: string;
  readonly key: string;
  readonly at: number;
}

/** What each undo undoes. */
const UNDOES: Readonly<Record<string, string>> = {
  [Release.type]: Reserve.type,
  [Refund.type]: Charge.type,
  [Discard.type]: Print.type,
};
const REFUSERS: Readonly<Partial<Record<Course, string>>> = {
  "no stock": Reserve.type,
  "no money": Charge.type,
  "no label": Print.type,
  refused: Confirm.type,
};

/** The three services, which know a call again by its key, and all that they ever did. */
export class Services {
  conditions: CallConditions = { refused: 0, lost: 0, unanswered: 0, slow: 0 };
  readonly effects: Done[] = [];
  /** How often a call came that had been answered before. */
  repeated = 0;
  readonly #simulation: Simulation;
  readonly #random: SeededRandom;
  readonly #answers: Map<string, Result<unknown, Fault>> = new Map();

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#random = simulation.random.fork("services");
  }

  /** A node's way to them. */
  dispatcher(runtime: Runtime): Dispatcher {
    const send = (
      message: Message,
      { headers = {}, timeout = 1000 }: {
        readonly headers?: Readonly<Record<string, string>>;
        readonly timeout?: number;
      } = {},
    ) => this.#call(runtime, message, headers["idempotency-key"]!, timeout);
    return { send } as unknown as Dispatcher;
  }

  /** What is wrong with what was done for an order that ended so; nothing if nothing is. */
  judge(order: string, status: string): string[] {
    const effects = this.effects.filter((effect) => effect.order === order);
    const actions = effects.filter(({ what }) => !(what in UNDOES));
    const undos = effects.filter(({ what }) => what in UNDOES);
    const wrong: string[] = [];
    for (const { key } of effects) {
      if (effects.filter((effect) => effect.key === key).length > 1) wrong.push(`${key} was done twice`);
    }
    if (status === "completed") {
      if (actions.length !== 4) wrong.push(`it is completed with ${actions.length} of 4 actions`);
      if (undos.length > 0) wrong.push("it is completed and something was undone");
    }
    if (status === "compensated") {
      const open = actions.filter(({ what }) => what !== Confirm.type)
        .filter(({ what }) => !undos.some((undo) => UNDOES[undo.what] === what));
      if (open.length > 0) wrong.push(`${open.map(({ key }) => key)} were never undone`);
      if (actions.some(({ what }) => what === Confirm.type)) wrong.push("it was confirmed and then undone");
      const orphans = undos.filter(({ what }) =>
        what !== Discard.type && !actions.some((action) => action.what === UNDOES[what])
      );
      if (orphans.length > 0) wrong.push(`${orphans.map(({ key }) => key)} undid nothing`);
      const last = undos.at(-1);
      const first = undos[0];
      if (actions.some(({ what }) => what === Reserve.type) && last?.what !== Release.type) {
        wrong.push("what was done first was not undone last");
      }
      const late = actions.find(({ at }) => first !== undefined && at > first.at);
      if (late !== undefined) wrong.push(`${late.key} happened after ${first!.key}`);
    }
    return wrong;
  }

  #call(runtime: Runtime, message: Message, key: string, timeout: number): Promise<Result<unknown, Fault>> {
    const random = this.#random;
    const { refused, lost, unanswered, slow } = this.conditions;
    const way = random.between(0.2, 3), back = random.between(0.2, 3);
    const slowWay = random.between(500, 3000);
    const isRefused = random.chance(refused), isLost = random.chance(lost);
    const isUnanswered = random.chance(unanswered), isSlow = random.chance(slow);
    return new Promise((resolve) => {
      const stop = runtime.clock.timer(
        timeout,
        () => resolve(failure(systemFault("TIMEOUT", "nobody answered"))),
      );
      const answer = (result: Result<unknown, Fault>): void => {
        stop();
        resolve(result);
      };
      if (isRefused) {
        runtime.clock.timer(way, () => answer(failure(systemFault("UNAVAILABLE", "nobody is there"))));
      } else if (!isLost) {
        // A node that serves begins nothing whose caller has given up.
        this.#simulation.after(Math.min(isSlow ? slowWay : way, timeout), () => {
          const result = this.#handle(message, key);
          if (!isUnanswered) runtime.clock.timer(back, () => answer(result));
        });
      }
    });
  }

  #handle(message: Message, key: string): Result<unknown, Fault> {
    const known = this.#answers.get(key);
    if (known !== undefined) {
      this.repeated++;
      return known;
    }
    const result = this.#do(message, key);
    this.#answers.set(key, result);
    return result;
  }

  #do({ type, body }: Message, key: string): Result<unknown, Fault> | Failure<Fault> {
    const { order, course, receipt } = body as Partial<Purchase & { readonly receipt: string }>;
    if (course !== undefined && REFUSERS[course] === type) return fail("REFUSED", { by: type });
    const done = { order: order ?? receipt!.split(" ")[1]!, what: type, key, at: this.effects.length };
    this.effects.push(done);
    this.#simulation.note(`${type} for ${done.order}`);
    return ok(course === undefined ? undefined : { receipt: `${type} ${order}` });
  }
}
