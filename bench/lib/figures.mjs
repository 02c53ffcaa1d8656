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
 * One comparison on one runtime: `{ first, text, met }`, or undefined where nothing was measured. `first` is judged:
 * the ratio of the best samples of what is timed in one process (noise can only add), else of the medians.
 */
export function compared(row, comparison, data, runtime) {
  const { ours, other, wantAbsolute, wantMore } = comparison;
  const figure = figureName(row, comparison);
  const rate = isRate(row, comparison);
  const of = (name, pick) => figureOf(row, data, name, figure, pick, rate);
  const single = row.kind === "heap" || figure === "mb" || comparison.cpu;
  const extreme = rate ? (values) => Math.max(...values) : best;
  const picks = single
    ? [median]
    : ["remote", "figures"].includes(row.kind)
    ? [median, extreme]
    : [best, median];
  const pairs = picks.map((pick) => [of(ours, pick), of(other ?? ours, pick)]);
  if (pairs.some((pair) => pair.includes(undefined))) return undefined;
  const [[mine, theirs]] = pairs;
  if (wantAbsolute !== undefined) {
    const most = wantOf({ want: wantAbsolute }, runtime);
    return { first: mine, text: mine < 10 ? short(mine) : mine.toFixed(0), met: mine <= most };
  }
  if (wantMore !== undefined) {
    const first = mine - theirs;
    return { first, text: `${first >= 0 ? "+" : ""}${first.toFixed(1)}`, met: first <= wantMore };
  }
  const [first, second] = pairs.map(([a, b]) => a / b);
  const want = wantOf(comparison, runtime);
  const met = want === undefined ? undefined : rate ? first >= want : first <= want;
  return { first, met, text: second === undefined ? short(first) : `${short(first)} (${short(second)})` };
}

/** Whether more is better. */
export function isRate(row, { latency, p99, cpu, of }) {
  if (row.kind === "figures") return row.rates?.includes(of) ?? false;
  return row.kind === "remote" && !latency && !p99 && !cpu;
}

function figureName(row, { level, latency, p99, cpu, of }) {
  if (row.kind === "remote") return `${latency ? "p50" : p99 ? "p99" : cpu ? "cpu" : "perSecond"}@${level}`;
  return { local: "ns", heap: "bytes", startup: of, figures: of }[row.kind];
}

/** What was wanted of a comparison on a runtime, if anything. */
export function wantOf({ want }, runtime) {
  return typeof want === "object" ? want[runtime] : want;
}

/** The peer that comes closest to what is ours: `{ text, met }`, or undefined where none was measured. */
export function closest(row, comparisons, data, runtime) {
  const rate = isRate(row, comparisons[0]);
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
