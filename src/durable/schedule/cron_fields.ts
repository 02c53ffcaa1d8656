/** When something happens, by the fields of a cron expression. */
export interface CronFields {
  /** In order, as are the others. */
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: ReadonlySet<number>;
  /** From 1. */
  readonly months: ReadonlySet<number>;
  /** From 0, which is Sunday. */
  readonly weekdays: ReadonlySet<number>;
  /** Whether it is enough that the day of the month or the day of the week fits: neither begins with `*`. */
  readonly eitherDay: boolean;
  /** Whether it goes by the hours that pass, and not by those that a clock on the wall shows: they begin with `*`. */
  readonly everyHour: boolean;
}

interface Field {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  /** Names of its values, from `least` on. */
  readonly names?: readonly string[];
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: readonly [Field, Field, Field, Field, Field] = [
  { name: "minute", least: 0, most: 59 },
  { name: "hour", least: 0, most: 23 },
  { name: "day of the month", least: 1, most: 31 },
  { name: "month", least: 1, most: 12, names: MONTHS },
  { name: "day of the week", least: 0, most: 7, names: WEEKDAYS },
];
/** How many days a month has, at most. */
const LENGTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/** The longest expression. */
const LONGEST = 256;

/**
 * Reads a cron expression of five fields, as POSIX and Vixie's cron have them. Throws a `RangeError` that says which
 * field is wrong and why, also for days that never come.
 */
export function cronFields(expression: string): CronFields {
  const texts = expression.length > LONGEST ? [] : expression.trim().split(/[ \t]+/);
  if (texts.length !== 5) {
    refuse(expression, "it needs five fields: minute, hour, day of the month, month and day of the week");
  }
  const [minutes, hours, days, months, weekdays] = FIELDS.map((field, at) =>
    valuesOf(expression, field, texts[at]!)
  ) as [number[], number[], number[], number[], number[]];
  const anyDay = texts[2]!.startsWith("*"), anyWeekday = texts[4]!.startsWith("*");
  if (anyWeekday && !months.some((month) => days.some((day) => day <= LENGTHS[month - 1]!))) {
    refuse(expression, "such a day never comes");
  }
  return {
    minutes,
    hours,
    days: new Set(days),
    months: new Set(months),
    weekdays: new Set(weekdays.map((day) => day % 7)),
    eitherDay: !anyDay && !anyWeekday,
    everyHour: texts[1]!.startsWith("*"),
  };
}

function valuesOf(expression: string, field: Field, text: string): number[] {
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const [, range, step] = /^([^/]+)(?:\/(\d{1,2}))?$/.exec(part) ?? [];
    if (range === undefined) return unfit(expression, field, part);
    const ends = range === "*"
      ? [field.least, field.most]
      : range.split("-").map((end) => valueOf(field, end));
    const [first = NaN, last = first] = ends;
    const by = step === undefined ? 1 : Number(step);
    const isRange = range === "*" || ends.length === 2;
    const fits = ends.length <= 2 && field.least <= first && first <= last && last <= field.most &&
      (step === undefined || (isRange && by >= 1 && by <= field.most));
    if (!fits) return unfit(expression, field, part);
    for (let value = first; value <= last; value += by) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}

function valueOf({ names = [], least }: Field, text: string): number {
  if (/^\d{1,2}$/.test(text)) return Number(text);
  const at = names.indexOf(text.toLowerCase());
  return at < 0 ? NaN : least + at;
}

function unfit(expression: string, { name, least, most, names = [] }: Field, part: string): never {
  const named = names.length === 0 ? "" : ` or ${names[0]} to ${names.at(-1)}`;
  refuse(
    expression,
    `"${part}" is no ${name}: it must be *, a value or a range like 1-5 of ${least} to ${most}${named}, and only a ` +
      "range or * may be followed by / and a step",
  );
}

function refuse(expression: string, why: string): never {
  throw new RangeError(
    `Cannot read the cron expression ${JSON.stringify(expression.slice(0, LONGEST))}: ${why}`,
  );
}
