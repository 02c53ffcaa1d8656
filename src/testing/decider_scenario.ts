import { type Failure, type Fault, isResult } from "../result.ts";
import type { Decider, DecisionFacts } from "../durable/events/decider.ts";
import type { SourcedEvent } from "../durable/events/event_types.ts";
import { same } from "./store_trial.ts";

/** What has happened, and to what. */
export interface GivenEvents<State, Command, Event extends SourcedEvent, F extends Fault> {
  /** The state that the events make. */
  readonly state: State;
  /** Decides a command. What `facts` leaves out is: entity `"1"`, as many versions as events, the time 0. */
  when(command: Command, facts?: Partial<DecisionFacts>): Decided<State, Event, F>;
}

/** What was decided, to be compared. */
export interface Decided<State, Event extends SourcedEvent, F extends Fault> {
  /**
   * Throws an `Error` that shows both unless these events were decided, in this order, or this failure, by code and
   * data. Not to be awaited.
   */
  then(expected: readonly Event[] | Failure<F>): void;
  /** Throws an `Error` that shows both unless this is the state after what was decided. */
  thenState(expected: State): void;
}

/**
 * What a decider does, told as what has happened, what is wanted and what happens then; without a store.
 *
 * @example
 * ```ts
 * import { fail } from "@catga/catga";
 * import { decider, type SourcedEvent } from "@catga/catga/durable";
 * import { scenario } from "@catga/catga/testing";
 *
 * const door = decider({
 *   initial: { open: false },
 *   decide: (command: "open" | "close", state) =>
 *     (command === "open") === state.open ? fail("ALREADY") : { type: "door.moved", data: { open: !state.open } },
 *   evolve: (_, { data }: SourcedEvent<"door.moved", { open: boolean }>) => ({ open: data.open }),
 * });
 * const moved = { type: "door.moved", data: { open: true } } as const;
 * scenario(door).given([]).when("open").then([moved]);
 * scenario(door).given([moved]).when("open").then(fail("ALREADY"));
 * scenario(door).given([moved]).when("close").thenState({ open: false });
 * ```
 */
export function scenario<State, Command, Event extends SourcedEvent, F extends Fault>(
  decider: Decider<State, Command, Event, F>,
): { given(events: readonly Event[]): GivenEvents<State, Command, Event, F> } {
  return {
    given: (events) => {
      const state = events.reduce((state, event) => decider.evolve(state, event), decider.initial);
      return {
        state,
        when: (command, facts) => {
          const known = { entity: "1", version: events.length, now: 0, ...facts };
          return compared(decider, state, decider.decide(command, state, known));
        },
      };
    },
  };
}

function compared<State, Command, Event extends SourcedEvent, F extends Fault>(
  decider: Decider<State, Command, Event, F>,
  state: State,
  decided: readonly Event[] | Event | Failure<F>,
): Decided<State, Event, F> {
  const events = isResult(decided) ? [] : (Array.isArray(decided) ? decided : [decided]) as readonly Event[];
  return {
    then: (expected) => {
      if (typeof expected === "function") {
        throw new Error(
          "Expected events or a failure, found a function: what `when` answers is not to be awaited",
        );
      }
      same("What was decided", shown(isResult(decided) ? decided : events), shown(expected));
    },
    thenState: (expected) => {
      const after = events.reduce((state, event) => decider.evolve(state, event), state);
      same("The state after what was decided", after, expected);
    },
  };
}

function shown(outcome: readonly SourcedEvent[] | Failure): unknown {
  if (!isResult(outcome)) {
    return (outcome as readonly SourcedEvent[]).map(({ type, data }) => ({ type, data }));
  }
  const { code, data } = (outcome as Failure).error;
  return { failure: code, data };
}
