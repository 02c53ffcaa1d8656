import { CatgaError, systemFault } from "../result.ts";
import type { Contract } from "../message/contract.ts";
import type { Behavior } from "./behavior.ts";
import type { Context, HandlerFor } from "./types.ts";

/** What {@linkcode handle} and {@linkcode on} take beside the handler. */
export interface HandleOptions {
  /** Behaviors of this handler alone, inside those of the mediator. */
  readonly behaviors?: readonly Behavior[];
  /** Names the handler in logs; its function's name if left out. */
  readonly name?: string;
}

/** A contract with the function that serves it. */
export interface Registration {
  /** What is served. */
  readonly contract: Contract;
  /** The function that serves it. */
  // deno-lint-ignore no-explicit-any
  readonly handler: (body: any, context: Context) => unknown;
  /** Layers around this handler alone. */
  readonly behaviors: readonly Behavior[];
  /** What the handler is called in logs. */
  readonly name: string;
}

/** Registrations, nested as deep as is handy. A module is an array, injection is a closure. */
export type Module = Registration | readonly Module[];

/**
 * Says which function answers a command, query or stream. What it throws becomes `INTERNAL`, unless it throws a
 * `CatgaError`.
 *
 * @example
 * ```ts
 * import { createMediator, handle, query, type } from "@catga/catga";
 * const Double = query("double", { input: type<number>(), output: type<number>() });
 * const app = createMediator({ handlers: [handle(Double, (n) => n * 2)] });
 * console.log(await app.send(Double(21)));
 * ```
 */
export function handle<C extends Contract<"command" | "query" | "stream">>(
  contract: C,
  handler: HandlerFor<C>,
  options: HandleOptions = {},
): Registration {
  return register(contract, handler, options);
}

/** Says which function hears an event. An event may have any number of them; one fails by throwing. */
export function on<C extends Contract<"event" | "reliable">>(
  contract: C,
  handler: HandlerFor<C>,
  options: HandleOptions = {},
): Registration {
  return register(contract, handler, options);
}

/** Handlers for a record of contracts: one for each command, query and stream, at will for events. */
export type HandlersFor<R extends Record<string, Contract>> =
  & { readonly [N in keyof R as R[N] extends Contract<"event" | "reliable"> ? never : N]: HandlerFor<R[N]> }
  & { readonly [N in keyof R as R[N] extends Contract<"event" | "reliable"> ? N : never]?: HandlerFor<R[N]> };

/**
 * Serves a whole record of contracts. A missing handler does not compile, and is found by name at start where
 * types were not looked at.
 *
 * @example
 * ```ts
 * import { implement, query, type } from "@catga/catga";
 * const contracts = { Double: query("double", { input: type<number>(), output: type<number>() }) };
 * const math = implement(contracts, { Double: (n) => n * 2 });
 * ```
 */
export function implement<R extends Record<string, Contract>>(
  contracts: R,
  handlers: HandlersFor<R>,
): Module {
  const given = new Map(Object.entries(handlers as Record<string, Registration["handler"] | undefined>));
  const module: Registration[] = [];
  for (const [name, contract] of Object.entries(contracts)) {
    const handler = given.get(name);
    if (handler !== undefined) module.push(register(contract, handler, { name }));
    else if (contract.kind !== "event" && contract.kind !== "reliable") {
      const message = `Cannot implement "${contract.type}": the record has no handler named ${name}`;
      throw new CatgaError(systemFault("NO_HANDLER", message));
    }
  }
  return module;
}

/** All registrations of a module, in order. */
export function flatten(module: Module): Registration[] {
  if (!Array.isArray(module)) return [module as Registration];
  return (module as readonly Module[]).flatMap(flatten);
}

function register(contract: Contract, handler: unknown, options: HandleOptions): Registration {
  if (typeof handler !== "function") {
    throw new TypeError(
      `Cannot handle "${contract.type}": the handler is ${typeof handler}, but must be a function`,
    );
  }
  const name = options.name ?? (handler.name || contract.type);
  return { contract, handler: handler as Registration["handler"], behaviors: options.behaviors ?? [], name };
}
