/** How many ms the clocks of a zone are ahead of UTC at an instant, in ms since 1970. */
export type ZoneOffset = (at: number) => number;

const FORMAT = /^(\d+)\/(\d+)\/(\d+), (\d+):(\d+):(\d+)$/;

/**
 * The clocks of an IANA zone such as `Europe/Berlin`, as this platform knows them. Throws a `RangeError` for a zone that
 * it does not know.
 */
export function zoneOffset(zone: string): ZoneOffset {
  if (zone === "UTC") return () => 0;
  const format = formatOf(zone);
  return (at) => {
    const second = Math.floor(at / 1000) * 1000;
    const [, month, day, year, hour, minute, shown] = FORMAT.exec(format.format(second))!.map(Number);
    return Date.UTC(year!, month! - 1, day!, hour!, minute!, shown!) - second;
  };
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const two = "2-digit";
  try {
    return new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: two,
      day: two,
      hour: two,
      minute: two,
      second: two,
    });
  } catch (cause) {
    throw new RangeError(`Cannot use the zone ${JSON.stringify(zone)}: this platform does not know it`, {
      cause,
    });
  }
}

/** The first instant after `from`, and not after `to`, at which the clocks of a zone are set; `undefined` if there is none. */
export function nextChange(offset: ZoneOffset, from: number, to: number): number | undefined {
  const before = offset(from);
  for (let low = from; low < to;) {
    let high = Math.min(low + STEP, to);
    if (offset(high) === before) {
      low = high;
      continue;
    }
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (offset(middle) === before) low = middle;
      else high = middle;
    }
    return high;
  }
  return undefined;
}

/** No zone sets its clocks twice in half a day. */
const STEP = 43_200_000;
