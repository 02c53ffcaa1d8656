/** The contracts and handlers that the tests of the HTTP side share. */

import {
  CatgaError,
  command,
  createMediator,
  event,
  fail,
  type Fault,
  handle,
  type LogEntry,
  type Mediator,
  on,
  query,
  reliableEvent,
  type Runtime,
  stream,
  type SystemCode,
  type,
} from "@catga/catga";
import { route } from "@catga/catga/hono";
import { systemRuntime } from "@catga/catga/ports";
import * as v from "valibot";

/** Must never leave the process. */
export const SECRET = "s3cr3t-canary";

function defineContracts() {
  const CreateOrder = command("orders.create", {
    input: v.object({
      sku: v.pipe(v.string(), v.nonEmpty("must not be empty")),
      quantity: v.pipe(v.number(), v.integer()),
      lines: v.optional(v.array(v.object({ "a/b~c": v.string() }))),
    }),
    output: v.object({ id: v.string() }),
    errors: { OUT_OF_STOCK: v.object({ left: v.number() }), LOCKED: type<undefined>() },
    summary: "Places an order",
  });
  const GetOrder = query("orders.get", {
    input: v.object({ id: v.string(), expand: v.optional(v.string()) }),
    output: v.object({ id: v.string(), expand: v.optional(v.string()) }),
  });
  const ListOrders = query("orders.list", {
    input: v.object({ limit: v.optional(v.pipe(v.string(), v.transform(Number), v.number())) }),
    output: type<{ limit: number | null }>(),
  });
  const RenameOrder = command("orders.rename", {
    input: type<{ id: string; name: string }>(),
    output: type<{ id: string; name: string }>(),
  });
  const DropOrder = command("orders.drop", { input: type<{ id: string }>(), output: type<void>() });
  const Ping = command("ping", { input: v.void(), output: type<string>() });
  const Search = query("search", { input: type<{ term: string }>(), output: type<string>() });
  const Count = stream("count", {
    input: v.object({ to: v.pipe(v.string(), v.transform(Number), v.number()) }),
    output: type<number>(),
  });
  const Trouble = command("trouble", {
    input: type<{ how: string; code?: string }>(),
    output: type<unknown>(),
    errors: { OWN: type<{ detail: string }>() },
  });
  const Seen = event("seen", { data: v.object({ id: v.string() }) });
  const Kept = reliableEvent("kept", { data: type<{ id: string }>() });
  return {
    CreateOrder,
    GetOrder,
    ListOrders,
    RenameOrder,
    DropOrder,
    Ping,
    Search,
    Count,
    Trouble,
    Seen,
    Kept,
  };
}

function defineTable(
  { CreateOrder, GetOrder, ListOrders, RenameOrder, DropOrder, Ping, Search, Count, Trouble, Seen, Kept }:
    ReturnType<typeof defineContracts>,
) {
  return [
    route("POST /orders", CreateOrder, { status: 201, statuses: { OUT_OF_STOCK: 422 } }),
    route("GET /orders", ListOrders),
    route("GET /orders/:id", GetOrder),
    route("PUT /orders/:id/name", RenameOrder),
    route("DELETE /orders/:id", DropOrder),
    route("POST /ping", Ping),
    route("POST /search", Search),
    route("GET /count", Count),
    route("POST /trouble", Trouble),
    route("POST /events/seen", Seen),
    route("POST /events/kept", Kept),
  ];
}

/** The compiler wants the types of what is exported written out, but not those of private fields. */
class Shop {
  private readonly defined = defineContracts();
  private readonly routed = defineTable(this.defined);
  get contracts(): Shop["defined"] {
    return this.defined;
  }
  get table(): Shop["routed"] {
    return this.routed;
  }
}

const { contracts: defined, table: routed } = new Shop();
export const contracts: Shop["defined"] = defined;
export const table: Shop["routed"] = routed;

/** What came to the handlers. */
export interface Notes {
  readonly headers: Record<string, string>[];
  readonly seen: string[];
  readonly logged: LogEntry[];
  counting: number;
  aborted: number;
}

export function shop(): { app: Mediator; notes: Notes; runtime: Runtime } {
  const {
    CreateOrder,
    GetOrder,
    ListOrders,
    RenameOrder,
    DropOrder,
    Ping,
    Search,
    Count,
    Trouble,
    Seen,
    Kept,
  } = contracts;
  const notes: Notes = { headers: [], seen: [], logged: [], counting: 0, aborted: 0 };
  const runtime = systemRuntime({ log: (entry) => void notes.logged.push(entry) });
  const app = createMediator({
    runtime,
    handlers: [
      handle(CreateOrder, ({ sku, quantity }, context) => {
        notes.headers.push({ ...context.headers });
        if (sku === "locked") return fail("LOCKED", undefined, "The order book is locked");
        return quantity > 3 ? fail("OUT_OF_STOCK", { left: 3 }) : { id: `${sku}-${quantity}` };
      }),
      handle(GetOrder, (body) => body),
      handle(ListOrders, ({ limit }) => ({ limit: limit ?? null })),
      handle(RenameOrder, (body) => body),
      handle(DropOrder, () => {}),
      handle(Ping, () => "pong"),
      handle(Search, ({ term }) => term),
      handle(Count, async function* ({ to }, context) {
        notes.counting++;
        context.signal.addEventListener("abort", () => notes.aborted++);
        try {
          for (let at = 1; at <= to; at++) {
            if (at === 1_000) throw new Error(SECRET);
            yield at;
            if (at === 3 && to === Infinity) await new Promise(() => {});
            await Promise.resolve();
          }
        } finally {
          notes.counting--;
        }
      }),
      handle(Trouble, trouble),
      on(Seen, ({ id }) => void notes.seen.push(id)),
      on(Kept, ({ id }) => {
        if (id === "bad") throw new Error(SECRET);
        notes.seen.push(id);
      }),
    ],
  });
  return { app, notes, runtime };
}

function trouble({ how, code }: { how: string; code?: string }): never | unknown {
  if (how === "error") throw new Error(`${SECRET} at ${import.meta.url}`);
  if (how === "string") throw SECRET;
  if (how === "undefined") throw undefined;
  if (how === "object") throw { stack: SECRET, message: SECRET, code: SECRET };
  if (how === "hang") return new Promise(() => {});
  if (how === "nothing") return undefined;
  if (how === "null") return null;
  if (how === "bigint") return { big: 1n };
  if (how === "function") return () => {};
  if (how === "own") return fail("OWN", { detail: "told" });
  if (how === "own-unwritable") return fail("OWN", { detail: 1n as unknown as string });
  const fault: Fault = { code: code as SystemCode, message: SECRET, data: { key: SECRET }, retryable: false };
  throw new CatgaError({ ...fault, cause: new Error(SECRET) });
}

/** A request with a JSON body. */
export function post(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  };
}
