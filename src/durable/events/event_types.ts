import type { Schema, StandardProps } from "../../schema.ts";

/** What happened, as data under a stable name. */
export interface SourcedEvent<Name extends string = string, Data = unknown> {
  /** The name of what happened: stable, whatever the code is called. */
  readonly type: Name;
  /** What happened: plain data that survives JSON. */
  readonly data: Data;
}

/** Turns the data of one version of an event into that of the next. */
export type Upcast = (data: unknown) => unknown;

/** A type of event whose data have changed, or that had another name. Made by {@linkcode versioned}. */
export interface VersionedType<In = unknown, Out = In> {
  /** Checks the data as they are now. */
  readonly schema: Schema<In, Out>;
  /** From version 1 to 2, from 2 to 3, and so on; the version of now is one more than there are. */
  readonly upcasts: readonly Upcast[];
  /** Names under which it was appended before. */
  readonly formerly: readonly string[];
}

/**
 * The types of events of one kind of stream, by name, each with the schema of its data. A schema checks; what it
 * changes on the way, such as defaults, it changes each time that an event is read.
 */
export type EventTypes = { readonly [type: string]: Schema | VersionedType };

/** The data that a type of event has. */
export type DataOf<T> = T extends { readonly "~standard": StandardProps<infer _, infer Out> } ? Out
  : T extends { readonly schema: Schema<infer _, infer Out> } ? Out
  : never;

/** The events of some types. */
export type EventOf<T extends EventTypes> = {
  [N in keyof T & string]: SourcedEvent<N, DataOf<T[N]>>;
}[keyof T & string];

/** What {@linkcode versioned} takes. */
export interface VersionedOptions {
  /** From version 1 to 2, from 2 to 3, and so on. Never take one away: its events are still there. */
  readonly upcasts?: readonly Upcast[] | undefined;
  /** Names under which it was appended before. */
  readonly formerly?: readonly string[] | undefined;
}

/** Where an event stands, and where it came from. */
export interface EventFacts {
  /** Its id, unique in its stream. */
  readonly id: string;
  /** The name of its stream: its kind, `/` and its entity. */
  readonly stream: string;
  /** What it happened to: the id that the command was executed on. */
  readonly entity: string;
  /** Its place in its stream, from 1. */
  readonly version: number;
  /** Its place among all events. */
  readonly position: number;
  /** When it was appended, in ms since 1970 by the store's clock. */
  readonly at: number;
  /** The id of the message that caused it. */
  readonly cause: string | undefined;
  /** The id of the message that everything began with. */
  readonly correlation: string | undefined;
  /** What {@linkcode ExecuteOptions.meta} said of it. */
  readonly meta: Readonly<Record<string, string>>;
}

/** An event as it was read: what happened, and where it stands. */
export type Recorded<E extends SourcedEvent = SourcedEvent> = E & EventFacts;

/**
 * A type of event whose data have changed since the first were appended, or that had another name. Events stay as they
 * were appended; each is brought to the version of now when it is read.
 *
 * @param schema checks the data as they are now
 *
 * @example
 * ```ts
 * import { type } from "@catga/catga";
 * import { versioned } from "@catga/catga/durable";
 *
 * const cartEvents = {
 *   "cart.item_added": versioned(type<{ sku: string; quantity: number }>(), {
 *     upcasts: [(data) => ({ ...(data as { sku: string }), quantity: 1 })],
 *     formerly: ["CartItemAdded"],
 *   }),
 * };
 * console.log(Object.keys(cartEvents));
 * ```
 */
export function versioned<In, Out>(
  schema: Schema<In, Out>,
  options: VersionedOptions,
): VersionedType<In, Out> {
  return { schema, upcasts: options.upcasts ?? [], formerly: options.formerly ?? [] };
}
