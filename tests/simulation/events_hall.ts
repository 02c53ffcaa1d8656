/** Halls whose seats are taken and given back, for the scenario of event sourcing. */

import { type Checked, fail, type Fault, type Schema, type } from "@catga/catga";
import { type Decider, decider, type EventOf } from "@catga/catga/durable";

export const SEATS = 8;

export interface Hall {
  /** The release of the program that made this state: another one never uses it. */
  readonly release: number;
  /** Who has which seat. */
  readonly seats: Readonly<Record<string, number>>;
  readonly cleaned: number;
}

export type HallCommand =
  | { readonly type: "take"; readonly order: number; readonly count: number }
  | { readonly type: "give"; readonly order: number }
  | { readonly type: "clean" }
  | { readonly type: "look" };

interface Seat {
  readonly seat: number;
  readonly order: number;
  /** How many seats are free afterwards: says on which state it was decided. */
  readonly left: number;
}

const seat: Schema<Seat> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value): Checked<Seat> =>
      typeof (value as Seat)?.left === "number"
        ? { value: value as Seat }
        : { issues: [{ message: "is no seat" }] },
  },
};
const all = { "seat.taken": seat, "seat.given": seat, "hall.cleaned": type<{ times: number }>() };
const { "hall.cleaned": _, ...first } = all;

export type HallEvents = typeof all;
export type HallEvent = EventOf<HallEvents>;
export type Refusal = Fault<"FULL", { left: number }> | Fault<"ALREADY", undefined>;

/** What a release of the program can read: the first one has not heard of cleaning. */
export function hallEvents(release: number): HallEvents {
  return release === 1 ? first as HallEvents : all;
}

/** How a hall behaves in a release. */
export function hallOf(release: number): Decider<Hall, HallCommand, HallEvent, Refusal> {
  return decider({
    initial: { release, seats: {}, cleaned: 0 },
    decide: (command: HallCommand, { seats, cleaned }: Hall) => {
      const left = SEATS - Object.keys(seats).length;
      switch (command.type) {
        case "look":
          return [];
        case "clean":
          return { type: "hall.cleaned" as const, data: { times: cleaned + 1 } };
        case "give":
          return seatsOf(seats, command.order).map((seat, at) => ({
            type: "seat.given" as const,
            data: { seat, order: command.order, left: left + at + 1 },
          }));
        case "take": {
          const { order, count } = command;
          if (seatsOf(seats, order).length > 0) return fail("ALREADY");
          if (count > left) return fail("FULL", { left });
          const free = Array.from({ length: SEATS }, (_, at) => at).filter((at) => seats[at] === undefined);
          return free.slice(0, count).map((seat, at) => ({
            type: "seat.taken" as const,
            data: { seat, order, left: left - at - 1 },
          }));
        }
      }
    },
    evolve: (hall: Hall, { type, data }: HallEvent): Hall => {
      const { release, seats, cleaned } = hall;
      if (type === "hall.cleaned") return { release, seats, cleaned: cleaned + 1 };
      if (type === "seat.taken") return { release, seats: { ...seats, [data.seat]: data.order }, cleaned };
      const { [data.seat]: _, ...others } = seats;
      return { release, seats: others, cleaned };
    },
  });
}

/** What is wrong about an event that happens to a hall; `undefined` if nothing is. */
export function wrongAbout({ seats, cleaned }: Hall, event: HallEvent): string | undefined {
  if (event.type === "hall.cleaned") {
    return event.data.times === cleaned + 1 ? undefined : `cleaning ${event.data.times} after ${cleaned}`;
  }
  const { seat, order, left } = event.data;
  const free = SEATS - Object.keys(seats).length + (event.type === "seat.taken" ? -1 : 1);
  if (event.type === "seat.taken" && seats[seat] !== undefined) return `seat ${seat} is taken twice`;
  if (event.type === "seat.given" && seats[seat] !== order) return `seat ${seat} is given by somebody else`;
  return left === free ? undefined : `${left} seats were thought to be free, and ${free} are`;
}

/** A row of the read model: the seats that somebody has just now. */
export interface HallRow {
  readonly held: readonly number[];
  readonly changes: number;
}

export const NO_ROW: HallRow = { held: [], changes: 0 };

/** The rows that an event is about: its hall's, and that of some orders. */
export function rowsOf({ entity, type, data }: HallEvent & { readonly entity: string }): readonly string[] {
  return type === "hall.cleaned" ? [entity] : [entity, `orders ${data.order % 5}`];
}

/** A row after an event; it goes when nobody has a seat. */
export function rowAfter({ held, changes }: HallRow, { type, data }: HallEvent): HallRow | undefined {
  if (type === "hall.cleaned") return { held, changes: changes + 1 };
  const others = held.filter((seat) => seat !== data.seat);
  const now = type === "seat.taken" ? [...others, data.seat] : others;
  return now.length === 0 ? undefined : { held: now, changes: changes + 1 };
}

function seatsOf(seats: Hall["seats"], order: number): number[] {
  return Object.keys(seats).filter((seat) => seats[seat] === order).map(Number);
}
