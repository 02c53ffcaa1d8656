/** Nodes that share a store, with handlers that answer when the test says so. */

import {
  type Behavior,
  command,
  type Context,
  createMediator,
  handle,
  type Mediator,
  type Runtime,
  type SendOptions,
  type,
} from "@catga/catga";
import { type IdempotencyOptions, idempotent } from "@catga/catga/durable";
import { memoryStore } from "@catga/catga/memory";
import type { Store } from "@catga/catga/ports";
import { toySigner } from "../../src/testing/toy_signer.ts";
import { type FakeRuntime, fakeRuntime, type Outcome, settle, watch } from "../behaviors/fake_runtime.ts";

export const TTL = 3000;
export const DAY = 86_400_000;

export interface Order {
  readonly order: string;
  readonly amount?: number | undefined;
}

const spec = {
  input: type<Order>(),
  output: type<unknown>(),
  errors: { DECLINED: type<{ readonly left: number }>() },
};

/** Known again by the whole body. */
export const Pay = command("pay", { ...spec, idempotency: {} });
/** Known again by a part of it. */
export const Ship = command("ship", {
  ...spec,
  idempotency: { key: ({ order }) => order, retention: 60_000 },
});
/** Not known again. */
export const Ring = command("ring", spec);

/** Its schema puts another body in the place of the one that was sent. */
export const Book = command("book", {
  ...spec,
  input: {
    "~standard": {
      version: 1 as const,
      vendor: "test",
      validate: (value: unknown) => {
        const { order, at } = value as { readonly order: string; readonly at: string };
        return typeof at === "string"
          ? { value: { order: `${order}!`, at: new Date(at) } }
          : { issues: [{ message: "no date" }] };
      },
      types: undefined as unknown as {
        readonly input: Order & { readonly at: string };
        readonly output: Order & { readonly at: Date };
      },
    },
  },
  idempotency: { key: ({ order, at }) => `${order} ${at.slice(0, 4)}` },
  idempotent: true,
});

export type Sent = typeof Pay | typeof Ship | typeof Ring | typeof Book;

/** A call that reached its handler. */
export interface Started {
  readonly node: string;
  readonly body: Order;
  readonly context: Context;
  /** Whether nobody wanted it any longer when it began. */
  readonly late: boolean;
  answer(value: unknown): void;
  throw(error: unknown): void;
}

export interface Node {
  readonly name: string;
  readonly app: Mediator;
  send<C extends Sent>(contract: C, body: Parameters<C>[0], options?: SendOptions): Outcome;
}

export interface Nodes {
  readonly time: FakeRuntime;
  readonly store: Store;
  /** All calls that reached a handler, on any node. */
  readonly started: Started[];
  node(name?: string, options?: NodeOptions): Node;
}

export interface NodeOptions extends Partial<IdempotencyOptions> {
  /** Stands in the way to the store. */
  readonly change?: (store: Store) => Partial<Store>;
  /** Without the layer itself. */
  readonly bare?: boolean;
  /** Layers further out and further in. */
  readonly outer?: readonly Behavior[];
  readonly inner?: readonly Behavior[];
  readonly runtime?: Partial<Runtime>;
}

export function nodes(): Nodes {
  let last = 1;
  const time = fakeRuntime(() => last = (Math.imul(last, 0x9e3779b1) + 0x7f4a7c15) >>> 0);
  const store = memoryStore({ clock: time.clock });
  const started: Started[] = [];
  const node: Nodes["node"] = (
    name = "a",
    { change, bare, outer = [], inner = [], runtime, ...options } = {},
  ) => {
    const handler = (body: Order, context: Context): Promise<never> =>
      new Promise((answer, fail) => {
        started.push({
          node: name,
          body,
          context,
          late: context.signal.aborted,
          answer: answer as (value: unknown) => void,
          throw: fail,
        });
      });
    const app = createMediator({
      handlers: [Pay, Ship, Ring, Book].map((contract) => handle(contract as typeof Pay, handler)),
      behaviors: [
        ...outer,
        ...(bare === true ? [] : [
          idempotent({ store: { ...methods(store), ...change?.(store) }, ttl: TTL, ...options }),
        ]),
        ...inner,
      ],
      runtime: { ...time, crypto: toySigner(), background: (work) => void work.catch(() => {}), ...runtime },
    });
    return {
      name,
      app,
      send: (contract, body, options) => watch(app.send((contract as typeof Pay)(body as Order), options)),
    };
  };
  return { time, store, started, node };
}

export function methods(store: Store): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
  };
}

export { settle };
