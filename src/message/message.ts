import type { Fault } from "../result.ts";

/** What a message asks for: one answer, one answer without an effect, a fact told, a fact kept, many answers. */
export type Kind = "command" | "query" | "event" | "reliable" | "stream";

/** Plain data with the name of its contract. Made by calling a contract. */
export interface Message<
  K extends Kind = Kind,
  Name extends string = string,
  Body = unknown,
  Out = unknown,
  Err = unknown,
> {
  /** What it asks for. */
  readonly kind: K;
  /** The name of its contract. */
  readonly type: Name;
  /** What it carries. */
  readonly body: Body;
  /** Types only; never there at run time. */
  readonly "~types"?: { readonly output: Out; readonly error: Err };
}

/** A message that one handler answers once. */
// deno-lint-ignore no-explicit-any
export type Answerable = Message<"command" | "query", string, any, any, any>;

/** A message that any number of handlers hear. */
// deno-lint-ignore no-explicit-any
export type Publishable = Message<"event" | "reliable", string, any, any, any>;

/** A message that one handler answers many times. */
// deno-lint-ignore no-explicit-any
export type Streamable = Message<"stream", string, any, any, any>;

/** What a message is answered with. */
export type OutputOf<M> = M extends { readonly "~types"?: { readonly output: infer O } } ? O : never;

/** What a message can fail with. */
export type FaultOf<M> = M extends { readonly "~types"?: { readonly error: infer E } } ? Extract<E, Fault>
  : never;
