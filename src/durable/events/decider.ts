import type { Failure, Fault } from "../../result.ts";
import type { SourcedEvent } from "./event_types.ts";

/** What a decision may know beside the command and the state. */
export interface DecisionFacts {
  /** What the command is executed on. */
  readonly entity: string;
  /** The version of its stream; 0 where nothing has happened yet. */
  readonly version: number;
  /** The time, in ms since 1970. */
  readonly now: number;
}

/**
 * How something behaves: what a command lets happen in a state, and what a state becomes when something has happened.
 * Both are pure: they change nothing, wait for nothing, and answer the same for the same; `decide` may be asked again
 * when somebody else was faster.
 */
export interface Decider<State, Command, Event extends SourcedEvent, F extends Fault = never> {
  /** The state of what nothing has happened to. */
  readonly initial: State;
  /** What happens because of a command: events, none at all, or a failure made with `fail`. */
  decide(command: Command, state: State, facts: DecisionFacts): readonly Event[] | Event | Failure<F>;
  /** The state after an event. Must not fail, since the event has happened; and must not change the state before. */
  evolve(state: State, event: Event): State;
}

/** The faults among what a decision comes to. */
export type FaultIn<Decision> = Decision extends Failure<infer F> ? F : never;

/**
 * Defines how something behaves.
 *
 * @example
 * ```ts
 * import { fail } from "@catga/catga";
 * import { decider, type SourcedEvent } from "@catga/catga/durable";
 *
 * const door = decider({
 *   initial: { open: false },
 *   decide: (command: "open" | "close", state) =>
 *     (command === "open") === state.open ? fail("ALREADY") : { type: "door.moved", data: { open: !state.open } },
 *   evolve: (_, { data }: SourcedEvent<"door.moved", { open: boolean }>) => ({ open: data.open }),
 * });
 * console.log(door.decide("close", door.initial, { entity: "1", version: 0, now: 0 }));
 * ```
 */
export function decider<
  State,
  Command,
  Event extends SourcedEvent,
  const Decision extends readonly NoInfer<Event>[] | NoInfer<Event> | Failure,
>(behavior: {
  readonly initial: State;
  decide(command: Command, state: State, facts: DecisionFacts): Decision;
  evolve(state: State, event: Event): State;
}): Decider<State, Command, Event, FaultIn<Decision>> {
  return behavior as Decider<State, Command, Event, FaultIn<Decision>>;
}
