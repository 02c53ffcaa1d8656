import type { Contract } from "../../src/message/contract.ts";
import type { FaultOf } from "../../src/message/message.ts";
import { pathOf } from "./path.ts";

/** The methods a route can have. `GET` and `DELETE` carry no body, the others carry JSON. */
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "QUERY";

/** A method and a path, whose `:names` stand for fields of the message's body. */
export type Pattern = `${Method} /${string}`;

/** What came with a request, for a route that builds the body itself. */
export interface RequestParts {
  /** What stood in the path for each `:name`. */
  readonly params: Readonly<Record<string, string>>;
  /** The query string; a name that came several times has a list. */
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  /** The JSON body; `undefined` if there was none. */
  readonly json: unknown;
  /** A header by its name. */
  header(name: string): string | undefined;
}

/** What {@linkcode route} takes beside pattern and contract. */
export interface RouteOptions<C extends Contract = Contract> {
  /** The status of a success. @default 200, 202 for events, 204 where there is no value */
  readonly status?: number;
  /** The status for each of the contract's own failures. @default 409 */
  readonly statuses?: { readonly [Code in CodeOf<C>]?: number };
  /**
   * Builds the body of the message, in place of the default: the JSON body, or the query string for `GET` and
   * `DELETE`, with the path's parameters over it. The typed client goes on sending what the default expects.
   */
  readonly body?: (parts: RequestParts) => Parameters<C>[0] | Promise<Parameters<C>[0]>;
  /** The longest the call may take, in ms. @default the server's own limit; none for streams */
  readonly timeout?: number;
}

/** A contract with its place in HTTP. Plain data, shared by the server and the clients. */
export interface Route<C extends Contract = Contract> {
  /** The method. */
  readonly method: Method;
  /** The path, with `:name` for each parameter. */
  readonly path: string;
  /** The names of the path's parameters. */
  readonly params: readonly string[];
  /** What a request is turned into a message of. */
  readonly contract: C;
  /** See {@linkcode RouteOptions.status}. */
  readonly status: number | undefined;
  /** See {@linkcode RouteOptions.statuses}. */
  readonly statuses: Readonly<Record<string, number>>;
  /** See {@linkcode RouteOptions.body}. */
  readonly body: ((parts: RequestParts) => unknown) | undefined;
  /** See {@linkcode RouteOptions.timeout}. */
  readonly timeout: number | undefined;
}

/** The codes of a contract's failures. */
export type CodeOf<C extends Contract> = FaultOf<ReturnType<C>> extends infer F
  ? F extends { readonly code: infer Code extends string } ? Code : never
  : never;

/** The names of a pattern's parameters. */
export type ParamsOf<P extends string> = P extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamsOf<`/${Rest}`>
  : P extends `${string}:${infer Name}` ? Name
  : never;

/** The options of a route; `body` must be there where the default could not build the contract's input. */
export type OptionsFor<P extends string, C extends Contract> = Fits<P, Parameters<C>[0]> extends true
  ? [options?: RouteOptions<C>]
  : [options: RouteOptions<C> & { readonly body: NonNullable<RouteOptions<C>["body"]> }];

/** Whether path and query string, which are text, can carry what of the input they have to. */
export type Fits<P extends string, In> = 0 extends 1 & In ? true
  : [ParamsOf<P>] extends [keyof NonNullable<In>]
    ? P extends `${"GET" | "DELETE"} ${string}` ? IsText<NonNullable<In>>
    : [ParamsOf<P>] extends [never] ? true
    : IsText<Pick<NonNullable<In>, ParamsOf<P> & keyof NonNullable<In>>>
  : [NonNullable<In>, ParamsOf<P>] extends [never, never] ? true
  : false;

/** Whether all fields are text. */
export type IsText<T> = [T] extends [{ readonly [K in keyof T]?: string | undefined }] ? true : false;

/**
 * Gives a contract its place in HTTP.
 *
 * The body of `POST`, `PUT`, `PATCH` and `QUERY` is JSON, with the path's parameters over it; of `GET` and `DELETE`
 * it is the query string with the path's parameters over it. Path and query string are text, so what they carry must
 * be strings in the contract's input (a schema may turn them into something else); `options.body` builds any other.
 *
 * @example
 * ```ts
 * import { command, query, type } from "@catga/catga";
 * import { route } from "@catga/catga/client";
 *
 * const CreateOrder = command("orders.create", {
 *   input: type<{ sku: string; quantity: number }>(),
 *   output: type<{ id: string }>(),
 *   errors: { OUT_OF_STOCK: type<{ left: number }>() },
 * });
 * const GetOrder = query("orders.get", { input: type<{ id: string }>(), output: type<{ sku: string }>() });
 *
 * export const api = [
 *   route("POST /orders", CreateOrder, { status: 201, statuses: { OUT_OF_STOCK: 422 } }),
 *   route("GET /orders/:id", GetOrder),
 * ];
 * ```
 */
export function route<const P extends Pattern, C extends Contract>(
  pattern: P,
  contract: C,
  ...[options = {}]: OptionsFor<P, C>
): Route<C> {
  const { method, path, params } = pathOf(pattern);
  const { status, statuses = {}, body, timeout } = options as RouteOptions;
  for (const value of Object.values(statuses)) {
    if (value !== undefined) checkStatus(pattern, value, 400, 599);
  }
  if (status !== undefined) checkStatus(pattern, status, 200, 299);
  if (timeout !== undefined && !(timeout > 0)) {
    throw new RangeError(`Cannot route "${pattern}": timeout is ${timeout}, but must be above 0 ms`);
  }
  return { method, path, params, contract, status, statuses, body, timeout } as Route<C>;
}

function checkStatus(pattern: string, status: number, from: number, to: number): void {
  if (Number.isInteger(status) && status >= from && status <= to) return;
  throw new RangeError(`Cannot route "${pattern}": status is ${status}, but must be from ${from} to ${to}`);
}
