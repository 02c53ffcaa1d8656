/** Cron expressions: what they mean, in UTC and where clocks are set. */

import { describe, expect, test } from "bun:test";
import { cron } from "@catga/catga/durable";
import fc from "fast-check";
import { cronFields } from "../../src/durable/schedule/cron_fields.ts";
import { zoneOffset } from "../../src/durable/schedule/zone_offset.ts";

const MINUTE = 60_000;

function times(expression: string, zone: string, from: string, count: number): string[] {
  const { next } = cron(expression, { zone });
  const found: string[] = [];
  for (let at = Date.parse(from); found.length < count;) {
    at = next(at);
    found.push(new Date(at).toISOString().slice(0, 16));
  }
  return found;
}

describe("a cron expression", () => {
  test.each([
    ["* * * * *", "2026-01-01T00:00:30Z", ["2026-01-01T00:01", "2026-01-01T00:02"]],
    ["0 0 * * *", "2026-01-01T00:00:00Z", ["2026-01-02T00:00", "2026-01-03T00:00"]],
    ["0 0 * * *", "2025-12-31T23:59:59.999Z", ["2026-01-01T00:00"]],
    ["*/15 9-10 * * *", "2026-01-01T10:30:00Z", ["2026-01-01T10:45", "2026-01-02T09:00"]],
    ["5,35 */6 * * *", "2026-01-01T00:05:00Z", ["2026-01-01T00:35", "2026-01-01T06:05"]],
    ["0 0 31 * *", "2026-01-31T00:00:00Z", ["2026-03-31T00:00", "2026-05-31T00:00"]],
    ["0 0 29 2 *", "2026-01-01T00:00:00Z", ["2028-02-29T00:00", "2032-02-29T00:00"]],
    ["0 0 29 feb *", "2096-03-01T00:00:00Z", ["2104-02-29T00:00"]],
    ["0 12 * JAN Mon-Fri", "2026-01-30T12:00:00Z", ["2027-01-01T12:00", "2027-01-04T12:00"]],
    ["0 0 13 * 5", "2026-02-01T00:00:00Z", ["2026-02-06T00:00", "2026-02-13T00:00", "2026-02-20T00:00"]],
    ["0 0 */13 * 5", "2026-02-01T00:00:00Z", ["2026-02-27T00:00", "2026-03-27T00:00", "2026-05-01T00:00"]],
    ["0 0 * * 7", "2026-01-01T00:00:00Z", ["2026-01-04T00:00"]],
    ["0 0 * * 5-7", "2026-01-01T00:00:00Z", ["2026-01-02T00:00", "2026-01-03T00:00", "2026-01-04T00:00"]],
    ["0 0 29 2 */7", "2096-03-01T00:00:00Z", ["2128-02-29T00:00"]],
    [" 0\t0  1 1 * ", "2026-01-01T00:00:00Z", ["2027-01-01T00:00"]],
  ])("%s after %s", (expression, from, found) => {
    expect(times(expression, "UTC", from, found.length)).toEqual(found);
  });

  test.each([
    ["", "five fields"],
    ["* * * *", "five fields"],
    ["* * * * * *", "five fields"],
    ["@daily", "five fields"],
    ["60 * * * *", "no minute"],
    ["* 24 * * *", "no hour"],
    ["* * 0 * *", "no day of the month"],
    ["* * 32 * *", "no day of the month"],
    ["* * * 13 *", "no month"],
    ["* * * januar *", "no month"],
    ["* * * * 8", "no day of the week"],
    ["5-1 * * * *", "no minute"],
    ["* * * * fri-mon", "no day of the week"],
    ["*/0 * * * *", "no minute"],
    ["*/60 * * * *", "no minute"],
    ["5/10 * * * *", "no minute"],
    ["1-2-3 * * * *", "no minute"],
    ["1, * * * *", "no minute"],
    ["-1 * * * *", "no minute"],
    ["1.5 * * * *", "no minute"],
    ["1e1 * * * *", "no minute"],
    ["** * * * *", "no minute"],
    ["? * * * *", "no minute"],
    ["L * * * *", "no minute"],
    ["mon * * * *", "no minute"],
    ["0 0 30 2 *", "never comes"],
    ["0 0 31 4,6,9,11 *", "never comes"],
    [`${"1,".repeat(200)}1 * * * *`, "five fields"],
  ])("is refused by name: %s", (expression, why) => {
    expect(() => cron(expression)).toThrow(RangeError);
    expect(() => cron(expression)).toThrow(why);
  });

  test("is refused with a zone that is not known", () => {
    expect(() => cron("* * * * *", { zone: "Mars/Base" })).toThrow('Cannot use the zone "Mars/Base"');
  });
});

describe("where clocks are set", () => {
  test.each([
    // Berlin goes from 2 to 3 o'clock on 2026-03-29, and from 3 to 2 on 2026-10-25.
    ["30 2 * * *", "Europe/Berlin", "2026-03-27T12:00Z", [
      "2026-03-28T01:30",
      "2026-03-29T01:00",
      "2026-03-30T00:30",
    ]],
    ["0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["2026-03-29T01:00", "2026-03-30T00:00"]],
    ["0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["2026-03-29T01:00", "2026-03-30T00:00"]],
    ["30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["2026-10-25T00:30", "2026-10-26T01:30"]],
    ["30 2 * * *", "Europe/Berlin", "2026-10-25T00:45Z", ["2026-10-26T01:30"]],
    ["30 * * * *", "Europe/Berlin", "2026-03-29T00:00Z", ["2026-03-29T00:30", "2026-03-29T01:30"]],
    ["30 * * * *", "Europe/Berlin", "2026-10-24T23:45Z", [
      "2026-10-25T00:30",
      "2026-10-25T01:30",
      "2026-10-25T02:30",
    ]],
    // New York, half past one comes twice; Lord Howe goes by half an hour; Apia left a whole day out.
    ["30 1 * * *", "America/New_York", "2026-11-01T00:00Z", ["2026-11-01T05:30", "2026-11-02T06:30"]],
    ["45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00Z", ["2026-04-04T14:45", "2026-04-05T15:15"]],
    ["0 12 30 * *", "Pacific/Apia", "2011-12-01T00:00Z", ["2011-12-30T10:00", "2012-01-29T22:00"]],
    ["0 0 * * *", "Asia/Kolkata", "2026-01-01T00:00Z", ["2026-01-01T18:30"]],
    // Midnight itself is left out in Cairo.
    ["0 0 * * *", "Africa/Cairo", "2026-04-23T12:00Z", ["2026-04-23T22:00", "2026-04-24T21:00"]],
  ])("%s in %s after %s", (expression, zone, from, found) => {
    expect(times(expression, zone, from, found.length)).toEqual(found);
  });

  test("a daily time comes once a day, every day of a year, in all kinds of zones", () => {
    for (
      const zone of [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Gaza",
      ]
    ) {
      const offset = zoneOffset(zone);
      for (const hour of [0, 1, 2, 3]) {
        const { next } = cron(`30 ${hour} * * *`, { zone });
        let at = Date.UTC(2020, 0, 1, 12);
        let day = Math.floor((at + offset(at)) / 86_400_000);
        for (let days = 0; days < 365; days++) {
          at = next(at);
          const shown = Math.floor((at + offset(at)) / 86_400_000);
          expect([zone, hour, shown]).toEqual([zone, hour, ++day]);
        }
      }
    }
  });
});

describe("any expression", () => {
  const field = (least: number, most: number): fc.Arbitrary<string> => {
    const value = fc.integer({ min: least, max: most });
    const range = fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
    const stepped = fc.tuple(
      fc.oneof(fc.constant("*"), range),
      fc.integer({ min: 1, max: Math.min(most, 30) }),
    )
      .map(([of, by]) => `${of}/${by}`);
    const part = fc.oneof(value.map(String), range, stepped);
    return fc.oneof(
      fc.constant("*"),
      fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(",")),
    );
  };
  const expressions = fc.tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7))
    .map((fields) => fields.join(" "));
  const instants = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2030, 0, 1) });

  test("has as its next time the first minute that fits, in UTC", () => {
    fc.assert(
      fc.property(expressions, instants, (expression, after) => {
        const fields = cronFields(expression);
        const found = cron(expression).next(after);
        expect([found > after, found % MINUTE, fitsAt(fields, found)]).toEqual([true, 0, true]);
        let at = Math.floor(after / MINUTE) * MINUTE + MINUTE;
        for (let looked = 0; looked < 5000 && at < found; looked++, at += MINUTE) {
          if (fitsAt(fields, at)) throw new Error(`${new Date(at).toISOString()} fits`);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("that goes by every hour meets each minute that a zone's clocks show and that fits", () => {
    const zones = fc.constantFrom(
      "Europe/Berlin",
      "America/New_York",
      "Australia/Lord_Howe",
      "Asia/Kathmandu",
    );
    const near = fc.tuple(
      fc.constantFrom("2026-03-08", "2026-03-29", "2026-04-04", "2026-10-03", "2026-10-25"),
      fc.nat(2000),
    )
      .map(([day, minutes]) => Date.parse(day) + minutes * MINUTE);
    fc.assert(
      fc.property(field(0, 59), zones, near, (minute, zone, after) => {
        const { next } = cron(`${minute} * * * *`, { zone });
        const fields = cronFields(`${minute} * * * *`);
        const offset = zoneOffset(zone);
        let expected = Math.floor(after / MINUTE) * MINUTE + MINUTE;
        while (!fitsAt(fields, expected + offset(expected))) expected += MINUTE;
        expect(next(after)).toBe(expected);
      }),
      { numRuns: 200 },
    );
  });

  test("comes when clocks are set also for who asks a moment before", () => {
    const { next } = cron("* 2 * 1-3 *", { zone: "Europe/Berlin" });
    const set = Date.UTC(2028, 2, 26, 1);
    expect([set - MINUTE, set - 1, set].map((after) => next(after))).toEqual([
      set,
      set,
      set + 23 * 60 * MINUTE,
    ]);
  });

  test("in any zone comes later than what it is asked after, and at a minute that fits or where clocks are set", () => {
    const zones = fc.constantFrom(
      "Europe/Berlin",
      "America/New_York",
      "Australia/Lord_Howe",
      "Africa/Casablanca",
    );
    fc.assert(
      fc.property(expressions, zones, instants, (expression, zone, after) => {
        const fields = cronFields(expression);
        const offset = zoneOffset(zone);
        const found = cron(expression, { zone }).next(after);
        expect(found).toBeGreaterThan(after);
        const isSet = offset(found) !== offset(found - 1);
        expect(isSet || fitsAt(fields, found + offset(found))).toBe(true);
        expect(cron(expression, { zone }).next(found - 1)).toBe(found);
      }),
      { numRuns: 500 },
    );
  });
});

/** By the letter of the rules, for a time as if the clocks showed UTC. */
function fitsAt(fields: ReturnType<typeof cronFields>, at: number): boolean {
  const date = new Date(at);
  const day = fields.days.has(date.getUTCDate());
  const weekday = fields.weekdays.has(date.getUTCDay());
  return fields.minutes.includes(date.getUTCMinutes()) && fields.hours.includes(date.getUTCHours()) &&
    fields.months.has(date.getUTCMonth() + 1) && (fields.eitherDay ? day || weekday : day && weekday);
}
