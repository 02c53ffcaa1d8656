/** `SEED=7 bun test tests/simulation/events.test.ts` runs one seed again. */

import { describe, expect, test } from "bun:test";
import process from "node:process";
import type { CatgaError } from "@catga/catga";
import type { NewEvent } from "@catga/catga/ports";
import { drain } from "./drain.ts";
import { type EventsMutant, type EventsOutcome, runEvents } from "./events_scenario.ts";

const chosen = process.env["SEED"];
const count = Number(process.env["EVENTS_SEEDS"] ?? ("Bun" in globalThis ? 40 : 10));
const first = chosen === undefined ? 1 : Number(chosen);
const seeds = Array.from({ length: chosen === undefined ? count : 1 }, (_, index) => first + index);

describe("event sourcing", () => {
  test(
    `loses, doubles and passes over nothing, and decides on what is so, seeds ${seeds[0]} to ${seeds.at(-1)}`,
    async () => {
      const all: EventsOutcome["outcomes"][] = [];
      for (const seed of seeds) all.push((await runEvents({ seed, drain })).outcomes);
      if (chosen !== undefined) return;
      // All of it must have happened, or the seeds prove nothing.
      const sum = (name: string): number => all.reduce((sum, outcomes) => sum + (outcomes[name] ?? 0), 0);
      expect(all.filter(({ events = 0 }) => events > 10).length).toBeGreaterThan(0.8 * all.length);
      expect(sum("events")).toBeGreaterThan(30 * count);
      for (const name of ["repeated", "looked", "effects", "reached", "rebuilt", "FULL", "UNAVAILABLE"]) {
        expect([name, sum(name) > count / 4]).toEqual([name, true]);
      }
      for (const name of ["TRANSPORT", "CANCELLED", "CONFLICT", "SERIALIZATION"]) {
        expect([name, sum(name) > 0]).toEqual([name, true]);
      }
    },
    120_000,
  );

  test("goes the same way with the same seed", async () => {
    const [a, b] = [await runEvents({ seed: 5, drain }), await runEvents({ seed: 5, drain })];
    expect(a).toEqual(b);
  });
});

let renamed = 0;

describe("the simulation notices", () => {
  const mutants: Readonly<Record<string, readonly [mutant: EventsMutant, found: RegExp]>> = {
    "an append that expects nothing": [
      { events: (events) => ({ append: (stream, given) => events.append(stream, given) }) },
      /taken twice|thought to be free|by somebody else|cleaning/,
    ],
    "an append that is tried again under other ids": [
      {
        events: (events) => ({
          append: (stream, given, options) => {
            const other = (event: NewEvent): NewEvent => ({ ...event, id: `${event.id} ${renamed++}` });
            return events.append(stream, given, options)
              .catch((error: CatgaError) => {
                if (error.code !== "TRANSPORT") throw error;
                return events.append(stream, given.map(other), { ...options, expected: "any" });
              });
          },
        }),
      },
      /taken twice|by somebody else|more than once|thought to be free/,
    ],
    "an append whose lost answer is taken for a refusal": [
      {
        events: (events) => ({
          append: (stream, given, options) =>
            events.append(stream, given, options).catch((error: CatgaError) => {
              throw error.code === "TRANSPORT"
                ? Object.assign(error, { code: "CONFLICT", retryable: false })
                : error;
            }),
        }),
      },
      /and happened/,
    ],
    "an append whose lost answer is taken for a yes": [
      {
        events: (events) => ({
          append: (stream, given, options) =>
            events.append(stream, given, options).catch((error: CatgaError) => {
              if (error.code !== "TRANSPORT") throw error;
              const version = Number(options?.expected) + given.length;
              return { version, position: version };
            }),
        }),
      },
      /is at position/,
    ],
    "an append of a part of the events": [
      {
        events: (events) => ({
          append: async (stream, given, options) => {
            const { version, position } = await events.append(stream, given.slice(0, 1), options);
            return { version: version + given.length - 1, position: position + given.length - 1 };
          },
        }),
      },
      /at \d+, and /,
    ],
    "reading from a copy that lags behind": [
      {
        events: (events) => ({
          read: async (stream, options) => {
            const page = await events.read(stream, options);
            return page.slice(0, Math.max(page.length - 1, options?.backward === true ? 1 : 0));
          },
        }),
      },
      /has version|was decided at|was told to|refused/,
    ],
    "a message that is not known again": [{ forgetful: true }, /more than once|had happened/],
    "a message that is not looked for": [
      { events: () => ({ find: () => Promise.resolve(undefined) }) },
      /had happened|failed with SERIALIZATION|could not be read/,
    ],
    "an event that is passed over": [
      {
        source: (events) => ({
          readAll: async (options) => {
            const page = await events.readAll(options);
            return page.filter(({ position }) => position % 7 !== 0 || page.length === 1);
          },
        }),
      },
      /began before|is ahead|instead of/,
    ],
    "rows that are not kept": [
      {
        store: (store) => ({
          put: (key, value, options) =>
            key.startsWith("projections/rows/of/") && (options?.expected ?? 0) === "absent"
              ? Promise.resolve(1)
              : store.put(key, value, options),
        }),
      },
      /ahead of row|the rows are/,
    ],
    "a projection that writes over how far another has come": [
      {
        store: (store) => ({
          put: (key, value, { expected, ...options } = {}) =>
            store.put(key, value, key.endsWith("/at") ? options : { expected, ...options }),
        }),
      },
      /is of generation|is missing|is ahead/,
    ],
    "a projection that writes over the rows of another": [
      {
        store: (store) => ({
          put: (key, value, { expected, ...options } = {}) =>
            store.put(
              key,
              value,
              key.startsWith("projections/rows/of/") ? options : { expected, ...options },
            ),
        }),
      },
      /ahead of row|row ".*" is|the rows are/,
    ],
    "a state of another release": [
      {
        store: (store) => ({
          get: async (key, options) => {
            const entry = await store.get(key, options);
            if (entry === undefined || !key.startsWith("snapshots/")) return entry;
            const { v, ...kept } = JSON.parse(entry.value);
            return { ...entry, value: JSON.stringify({ v: 3 - v, ...kept }) };
          },
        }),
      },
      /"release":/,
    ],
  };
  for (const [name, [mutant, found]] of Object.entries(mutants)) {
    test(name, async () => {
      let failure = "";
      for (let seed = 1; seed <= 300 && !found.test(failure); seed++) {
        failure = await runEvents({ seed, drain, mutant })
          .then(() => "", (error: Error) => error.message.split("\n")[0]!);
      }
      expect(failure).toMatch(found);
    }, 120_000);
  }
});
