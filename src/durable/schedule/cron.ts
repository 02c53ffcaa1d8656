import { type CronFields, cronFields } from "./cron_fields.ts";
import { nextChange, type ZoneOffset, zoneOffset } from "./zone_offset.ts";

/** What {@linkcode cron} takes. */
export interface CronOptions {
  /** Whose clocks it goes by: an IANA zone, such as `Europe/Berlin`. @default "UTC" */
  readonly zone?: string | undefined;
}

/** Times that come again and again. */
export interface Cron {
  /** How it was written. */
  readonly expression: string;
  /** Whose clocks it goes by. */
  readonly zone: string;
  /** The first time after another one, both in ms since 1970. */
  next(after: number): number;
}

const MINUTE = 60_000;
const DAY = 86_400_000;
/** The longest way to a day that comes: the 29th of February on a Sunday, over a century without a leap year. */
const FARTHEST = 50 * 366;

/**
 * The times of a cron expression with five fields: minute, hour, day of the month, month, day of the week. A field is
 * `*`, a value, a range like `1-5`, any of them as a list with commas; `*` and ranges may have a step, like `0-59/15`.
 * Months and weekdays have names (`jan`, `sun`), and Sunday is 0 and 7. Where neither kind of day begins with `*`, it is
 * enough that one of them fits.
 *
 * Where clocks are set, what happens at certain hours happens once: a time that the clocks leave out when they are set,
 * a time that they show twice the first time. What begins its hours with `*` goes by the hours that really pass.
 *
 * Throws a `RangeError` for what is no such expression, days that never come and zones that are not known.
 *
 * @example
 * ```ts
 * import { cron } from "@catga/catga/durable";
 * const mornings = cron("30 7 * * mon-fri", { zone: "Europe/Berlin" });
 * console.log(new Date(mornings.next(Date.UTC(2026, 2, 27, 12))).toISOString());
 * ```
 */
export function cron(expression: string, { zone = "UTC" }: CronOptions = {}): Cron {
  const fields = cronFields(expression);
  const offset = zoneOffset(zone);
  return { expression, zone, next: (after) => next(fields, offset, after) };
}

function next(fields: CronFields, offset: ZoneOffset, after: number): number {
  const first = Math.floor(after) + 1;
  // The clocks are set at just this time, and leave something out.
  const before = first + offset(first - 1);
  if (
    !fields.everyHour && before < first + offset(first) && nextShown(fields, before) < first + offset(first)
  ) {
    return first;
  }
  for (let from = first;;) {
    const ahead = offset(from);
    const shown = nextShown(fields, from + ahead);
    const at = shown - ahead;
    const change = nextChange(offset, from, at);
    if (change === undefined) {
      if (fields.everyHour || !isShownAgain(offset, at)) return at;
      from = at + 1;
    } else if (!fields.everyHour && shown < change + offset(change)) {
      // The clocks leave it out.
      return change;
    } else from = change;
  }
}

/** Whether the clocks have shown this time before. */
function isShownAgain(offset: ZoneOffset, at: number): boolean {
  const now = offset(at);
  for (let from = at - DAY;;) {
    const change = nextChange(offset, from, at);
    if (change === undefined) return false;
    if (at < change + offset(change - 1) - now) return true;
    from = change;
  }
}

/** The first time that fits and that clocks show at a time or later; both as if the clocks showed UTC, in ms. */
function nextShown(fields: CronFields, from: number): number {
  const first = Math.ceil(from / MINUTE);
  const today = Math.floor(first * MINUTE / DAY);
  for (let day = today; day < today + FARTHEST; day++) {
    if (!fits(fields, new Date(day * DAY))) continue;
    const midnight = day * DAY / MINUTE;
    for (const hour of fields.hours) {
      if (midnight + hour * 60 + 59 < first) continue;
      const minute = fields.minutes.find((minute) => midnight + hour * 60 + minute >= first);
      if (minute !== undefined) return (midnight + hour * 60 + minute) * MINUTE;
    }
  }
  throw new RangeError(`Cannot find a time that fits in ${FARTHEST} days from ${from}`);
}

function fits({ days, months, weekdays, eitherDay }: CronFields, date: Date): boolean {
  if (!months.has(date.getUTCMonth() + 1)) return false;
  const day = days.has(date.getUTCDate()), weekday = weekdays.has(date.getUTCDay());
  return eitherDay ? day || weekday : day && weekday;
}
