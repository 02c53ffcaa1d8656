/** What the nodes of the tour can be asked: little more than who they are. */
import { command, type OwnedShard, query, type } from "@catga/catga";
import { leaderOnly } from "@catga/catga/cluster";

/** Answered by the name of the node; the one that is named in `slow` takes that many ms, the others none. */
export const Who = query("tour.who", {
  input: type<{ readonly key?: string; readonly slow?: Readonly<Record<string, number>> }>(),
  output: type<string>(),
  key: ({ key }) => key ?? "",
});

/** The nodes that a node would send to. */
export const Sees = query("tour.sees", { input: type<void>(), output: type<readonly string[]>() });

/** What must not run twice. */
export const Charge = command("tour.charge", {
  input: type<{ readonly ms: number }>(),
  output: type<string>(),
});

/** Asks on from inside a node: itself first, and the owner of each key. */
export const AskAround = query("tour.ask-around", {
  input: type<{ readonly keys: readonly string[] }>(),
  output: type<{ readonly nearest: string; readonly owners: readonly string[] }>(),
});

/** The term in which a node runs the leader's task; `undefined` where it does not run. */
export const Duty = query("tour.duty", {
  input: type<void>(),
  output: type<{ readonly term: number | undefined }>(),
});

/** Lets the leader step down. */
export const StepDown = command("tour.step-down", {
  input: type<void>(),
  output: type<void>(),
  route: leaderOnly(),
});

export const SHARDS = 40;

/** Puts something into a cart, on the one node that owns it. */
export const AddToCart = command("tour.carts.add", {
  input: type<{ readonly cart: string }>(),
  output: type<{ readonly node: string; readonly shard: OwnedShard }>(),
  shard: { key: ({ cart }) => cart, count: SHARDS, group: "carts" },
});

const shard = { key: ({ sku }: { readonly sku: string }) => sku, count: SHARDS, group: "prices" };

/** A price, and how often its owner was asked for it. */
export const GetPrice = query("tour.prices.get", {
  input: type<{ readonly sku: string }>(),
  output: type<{ readonly price: number; readonly asked: number }>(),
  shard,
  cache: { ttl: 60_000 },
});

export const SetPrice = command("tour.prices.set", {
  input: type<{ readonly sku: string; readonly price: number }>(),
  output: type<void>(),
  shard,
  invalidates: [GetPrice],
});

/** Asks for a price from inside a node, which keeps the answer. */
export const ReadPrice = query("tour.read-price", {
  input: type<{ readonly sku: string }>(),
  output: type<{ readonly price: number; readonly asked: number }>(),
});
