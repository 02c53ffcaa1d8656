/**
 * Typed commands, queries, streams and events that run unchanged in one process and in a cluster.
 *
 * This entry is the core: contracts, handlers and the mediator that brings them together. It does no I/O, starts
 * no timer and depends on nothing.
 *
 * @example
 * ```ts
 * import { command, createMediator, handle, type } from "@catga/catga";
 *
 * const Greet = command("greet", { input: type<{ name: string }>(), output: type<string>() });
 * const app = createMediator({ handlers: [handle(Greet, ({ name }) => `Hello ${name}`)] });
 * const result = await app.send(Greet({ name: "Ada" }));
 * if (result.ok) console.log(result.value);
 * ```
 *
 * @module
 */
export * from "./src/result.ts";
export type { Checked, Issue, Schema, StandardProps } from "./src/schema.ts";
export { type } from "./src/schema.ts";
export type {
  Answerable,
  FaultOf,
  Kind,
  Message,
  OutputOf,
  Publishable,
  Streamable,
} from "./src/message/message.ts";
export type { RouteCall, Router, RouteTarget } from "./src/message/route.ts";
export type {
  CachePolicy,
  DeliveryPolicy,
  IdempotencyPolicy,
  Policy,
  ShardPolicy,
} from "./src/message/policy.ts";
export type {
  Args,
  Contract,
  ErrorMap,
  EventSpec,
  FaultsOf,
  None,
  ParsedOf,
  RequestSpec,
} from "./src/message/contract.ts";
export { command, event, query, reliableEvent, stream } from "./src/message/contract.ts";
export type { Behavior } from "./src/mediator/behavior.ts";
export type { HandleOptions, HandlersFor, Module, Registration } from "./src/mediator/handle.ts";
export { handle, implement, on } from "./src/mediator/handle.ts";
export type { HandlerFailure } from "./src/mediator/fan_out.ts";
export type { BodyIssue } from "./src/mediator/validate.ts";
export type { Mediator, MediatorOptions } from "./src/mediator/mediator.ts";
export { createMediator } from "./src/mediator/mediator.ts";
export type {
  Awaitable,
  BatchOptions,
  Context,
  DeliveryFacts,
  Dispatcher,
  HandlerFor,
  OwnedShard,
  Results,
  SendOptions,
  Step,
} from "./src/mediator/types.ts";
export type {
  Clock,
  FetchInit,
  FetchReply,
  LogEntry,
  LogLevel,
  Random,
  Runtime,
  Signer,
} from "./src/ports/runtime.ts";
