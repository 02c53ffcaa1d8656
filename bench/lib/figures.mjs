// From raw samples to the ratios of one comparison.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The raw data of a row on a runtime, or undefined. */
export function load(out, row, runtime) {
  try {
    return JSON.parse(readFileSync(join(out, `${row}.${runtime}.json`), "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * One comparison on one runtime: `{ first, second, met }`, or undefined where nothing was measured. `first` is what
 * is judged: the ratio of the best samples where noise can only add (times), of the medians otherwise.
 */
export function compared(row, comparison, data, runtime) {
  const { ours, other, level, latency, of } = comparison;
  const figure = { local: "ns", heap: "bytes", startup: of }[row.kind] ??
    `${latency ? "p50" : "perSecond"}@${level}`;
  const rate = row.kind === "remote" && !latency;
  const at = (pick, name) => figureOf(row, data, name, figure, pick, rate);
  const judgedByBest = row.kind === "local" || figure === "ms";
  const picks = judgedByBest ? [best, median] : [median];
  if (comparison.wantAbsolute !== undefined) {
    const first = at(median, ours);
    return first && { first, text: first.toFixed(0), met: first <= comparison.wantAbsolute };
  }
  const pairs = picks.map((pick) => [at(pick, ours), at(pick, other)]);
  if (pairs.some((pair) => pair.includes(undefined))) return undefined;
  if (comparison.wantMore !== undefined) {
    const first = pairs[0][0] - pairs[0][1];
    return { first, text: `${first >= 0 ? "+" : ""}${first.toFixed(1)}`, met: first <= comparison.wantMore };
  }
  const [first, second] = pairs.map(([a, b]) => a / b);
  const want = wantOf(comparison, runtime);
  const met = want === undefined ? undefined : rate ? first >= want : first <= want;
  return { first, met, text: second === undefined ? short(first) : `${short(first)} (${short(second)})` };
}

/** What was wanted of a comparison on a runtime, if anything. */
export function wantOf({ want }, runtime) {
  return typeof want === "object" ? want[runtime] : want;
}

/** The peer that comes closest to what is ours: `{ text, met }`, or undefined where none was measured. */
export function closest(row, comparisons, data, runtime) {
  const rate = row.kind === "remote";
  const results = comparisons
    .flatMap((comparison) => {
      const result = compared(row, comparison, data, runtime);
      return result === undefined ? [] : [{ ...result, other: comparison.other.replace(/ \(\d+\)$/, "") }];
    })
    .sort((a, b) => (rate ? a.first - b.first : b.first - a.first));
  const [first] = results;
  return (
    first && { text: `${short(first.first)} ${first.other}`, met: rate ? first.first > 1 : first.first < 1 }
  );
}

/** A candidate's figure; of a group the better one. */
export function figureOf(row, data, name, figure, pick, rate = false) {
  const members = row.groups?.[name] ?? [name];
  const values = members
    .map((each) => data?.figures?.[each]?.[figure])
    .filter((each) => each !== undefined)
    .map(pick);
  if (values.length === 0) return undefined;
  return rate ? Math.max(...values) : Math.min(...values);
}

export function best(values) {
  return Math.min(...values);
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Two or three digits, no exponent. */
export function short(value) {
  if (value === undefined || Number.isNaN(value)) return "";
  if (value >= 100) return Math.round(value).toLocaleString("en");
  if (value >= 10) return value.toFixed(1);
  return value >= 0.1 ? value.toFixed(2) : value.toPrecision(2);
}
