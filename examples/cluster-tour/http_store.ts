/**
 * A store that lives in one process and that others reach over HTTP: enough for a tour, as whoever keeps it must not
 * die. A cluster that is to last takes one that does not (NATS, Redis).
 */
import { command, createMediator, fail, handle, query, stream, type, unwrap } from "@catga/catga";
import { CatgaError, type Failure, type Fault, type Result } from "@catga/catga";
import { type SystemCode, type SystemFault, systemFault } from "@catga/catga";
import { createClient, route } from "@catga/catga/client";
import { routes } from "@catga/catga/hono";
import type { Hono } from "hono";
import type { Change, Entry, ListOptions, PutOptions, Runtime, Store } from "@catga/catga/ports";

type Unsigned<T> = Omit<T, "signal">;
/** What the store itself fails with. */
interface Refusal {
  readonly code: SystemCode;
  readonly message: string;
  readonly data: unknown;
}
const errors = { REFUSED: type<Refusal>() };

const Get = query("store.get", {
  input: type<{ readonly key: string }>(),
  output: type<Entry | null>(),
  errors,
});
const Put = command("store.put", {
  input: type<{ readonly key: string; readonly value: string; readonly options: Unsigned<PutOptions> }>(),
  output: type<number>(),
  errors,
});
const Delete = command("store.delete", {
  input: type<{ readonly key: string; readonly expected?: number | undefined }>(),
  output: type<void>(),
  errors,
});
const List = query("store.list", {
  input: type<{ readonly prefix: string; readonly options: Unsigned<ListOptions> }>(),
  output: type<readonly Entry[]>(),
  errors,
});
const Watch = stream("store.watch", {
  input: type<{ readonly prefix: string }>(),
  output: type<Change>(),
});
const table = [
  route("POST /store/get", Get),
  route("POST /store/put", Put),
  route("POST /store/delete", Delete),
  route("POST /store/list", List),
  route("POST /store/watch", Watch),
];

/** Answers what stores of {@linkcode httpStore} ask. */
export function serveStore(store: Store, runtime: Runtime): Hono {
  const mediator = createMediator({
    runtime,
    handlers: [
      handle(Get, ({ key }, { signal }) => told(store.get(key, { signal }).then((entry) => entry ?? null))),
      handle(
        Put,
        ({ key, value, options }, { signal }) => told(store.put(key, value, { ...options, signal })),
      ),
      handle(Delete, ({ key, expected }, { signal }) => told(store.delete(key, { expected, signal }))),
      handle(List, ({ prefix, options }, { signal }) => told(store.list(prefix, { ...options, signal }))),
      handle(Watch, ({ prefix }, { signal }) => store.watch(prefix, { signal })),
    ],
  });
  return routes(mediator, table, { runtime });
}

/** The store that {@linkcode serveStore} serves at an address. */
export function httpStore(baseUrl: string, runtime: Runtime): Store {
  const client = createClient(table, { baseUrl, runtime, timeout: 5000 });
  return {
    // It goes with the process that keeps it.
    durability: "none",
    get: async (key, options) => given(await client.send(Get({ key }), options)) ?? undefined,
    put: async (key, value, { signal, ...options } = {}) =>
      given(await client.send(Put({ key, value, options }), { signal })),
    delete: async (key, { signal, expected } = {}) =>
      given(await client.send(Delete({ key, expected }), { signal })),
    list: async (prefix, { signal, ...options } = {}) =>
      given(await client.send(List({ prefix, options }), { signal })),
    watch: async function* (prefix, { signal } = {}) {
      try {
        yield* client.stream(Watch({ prefix }), { signal, timeout: Infinity });
      } catch (thrown) {
        if (!signal?.aborted) throw thrown;
      }
    },
  };
}

/** What a store answers, with its own failures as the contract's. */
async function told<T>(asked: Promise<T>): Promise<T | Failure<Fault<"REFUSED", Refusal>>> {
  try {
    return await asked;
  } catch (thrown) {
    if (!CatgaError.is(thrown)) throw thrown;
    const { code, message, data } = thrown;
    return fail("REFUSED", { code: code as SystemCode, message, data });
  }
}

function given<T>(result: Result<T, SystemFault | Fault<"REFUSED", Refusal>>): T {
  if (result.ok || result.error.code !== "REFUSED") return unwrap(result);
  const { code, message, data } = result.error.data;
  throw new CatgaError(systemFault(code, message, data));
}
