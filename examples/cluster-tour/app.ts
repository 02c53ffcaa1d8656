import { createMediator, handle, type Mediator, unwrap } from "@catga/catga";
import { consistentHash, localFirst, type Node } from "@catga/catga/cluster";
import type { Runtime } from "@catga/catga/ports";
import {
  AddToCart,
  AskAround,
  Charge,
  Duty,
  GetPrice,
  ReadPrice,
  Sees,
  SetPrice,
  StepDown,
  Who,
} from "./contracts.ts";
import { sleep } from "./sleep.ts";

/** What serves the contracts, and what to do once it has joined. */
export interface App {
  readonly mediator: Mediator;
  /** Runs the leader's task whenever this node leads. */
  joined(node: Node): void;
}

/** The handlers of one node. */
export function createApp(name: string, runtime: Runtime): App {
  const prices = new Map<string, number>();
  const asked = new Map<string, number>();
  const keyed = consistentHash();
  let node: Node | undefined;
  let term: number | undefined;
  const mediator = createMediator({
    runtime,
    handlers: [
      handle(Who, async ({ slow }) => {
        const ms = slow?.[name];
        if (ms !== undefined) await sleep(ms);
        return name;
      }),
      handle(Sees, () => node?.explain(Who({})).candidates ?? []),
      handle(Charge, ({ ms }) => sleep(ms).then(() => name)),
      handle(AskAround, async ({ keys }, context) => ({
        nearest: unwrap(await context.send(Who({}), { route: localFirst() })),
        owners: (await context.sendAll(keys.map((key) => Who({ key })), { route: keyed })).map(unwrap),
      })),
      handle(Duty, () => ({ term })),
      handle(StepDown, () => node?.resign()),
      handle(AddToCart, (_, { shard }) => {
        const { group, index, token } = shard!;
        return { node: name, shard: { group, index, token } };
      }),
      handle(GetPrice, ({ sku }) => {
        asked.set(sku, (asked.get(sku) ?? 0) + 1);
        return { price: prices.get(sku) ?? 0, asked: asked.get(sku)! };
      }),
      handle(SetPrice, ({ sku, price }) => void prices.set(sku, price)),
      handle(ReadPrice, (body, context) => context.send(GetPrice(body))),
    ],
  });
  return {
    mediator,
    joined: (joined) => {
      node = joined;
      joined.singleton("duty", async (signal, given) => {
        term = given;
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        term = undefined;
      });
    },
  };
}
