/** What the nodes of the scenario say to each other, and which of them serves what. */

import {
  command,
  type Contract,
  event,
  type Fault,
  query,
  stream,
  type SystemFault,
  type,
} from "@catga/catga";

/** What a call carries; its answer must fit it. */
export interface Body {
  /** Names the call. */
  readonly id: string;
  readonly n: number;
  /** How long the handler takes, in ms; 0 answers at once. */
  readonly takes: number;
  /** What the handler does in the end. */
  readonly end: "answer" | "fail" | "throw" | "ask";
}

export interface Answer {
  readonly id: string;
  readonly n: number;
  readonly by: string;
}

export type CallName = "Charge" | "Reserve" | "Store" | "Find";
type CallKind = "command" | "query";
type CallFault = Fault<"REFUSED", { id: string }> | SystemFault;
type CallContract = Contract<CallKind, string, Body, Body, Answer, CallFault>;

const spec = {
  input: type<Body>(),
  output: type<Answer>(),
  errors: { REFUSED: type<{ id: string }>() },
};

export const calls: Readonly<Record<CallName, CallContract>> = {
  /** Must never be started twice. */
  Charge: command("bank.charge", spec),
  /** The same, with a limit of its own. */
  Reserve: command("stock.reserve", { ...spec, timeout: 1500 }),
  Store: command("files.store", { ...spec, idempotent: true }),
  Find: query("files.find", spec),
};

/** Values counted from 0, each with the id of the call. */
export const Count: Contract<
  "stream",
  string,
  { id: string; count: number; takes: number },
  { id: string; count: number; takes: number },
  { id: string; at: number },
  Fault
> = stream("values.count", {
  input: type<{ id: string; count: number; takes: number }>(),
  output: type<{ id: string; at: number }>(),
});
/** The nodes that serve it. */
export const counting: readonly Name[] = ["b", "c", "d"];

export const Happened: Contract<"event", string, { id: string }, { id: string }, void, SystemFault> = event(
  "it.happened",
  { data: type<{ id: string }>() },
);

export type Name = "a" | "b" | "c" | "d" | "e";
export const names: readonly Name[] = ["a", "b", "c", "d", "e"];

/** Not every node serves everything. */
export const served: Readonly<Record<Name, readonly CallName[]>> = {
  a: ["Charge", "Store", "Find"],
  b: ["Charge", "Reserve", "Find"],
  c: ["Reserve", "Store", "Find"],
  d: ["Charge", "Reserve", "Store"],
  e: ["Charge", "Store", "Find"],
};

/** What the answer to a call must be. */
export function answerTo(name: CallName, n: number): number {
  return n * 8 + Object.keys(calls).indexOf(name);
}
