/** A line of a report: what was measured, and what was promised of it. */
export interface Row {
  readonly what: string;
  readonly found: string;
  readonly promise: string | undefined;
}

/** What came of a scenario. */
export class Report {
  readonly name: string;
  readonly rows: Row[] = [];
  /** Promises that were broken. */
  readonly broken: string[] = [];
  /** Times that were longer than promised; a busy machine can do that as well. */
  readonly late: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Something worth knowing. */
  tell(what: string, found: string | number): void {
    this.rows.push({ what, found: String(found), promise: undefined });
  }

  /** Something that must not be there, and what there was of it. */
  none(what: string, found: readonly string[]): void {
    this.rows.push({ what, found: String(found.length), promise: "none" });
    if (found.length > 0) this.broken.push(`${what}: ${[...new Set(found)].slice(0, 8).join("; ")}`);
  }

  /** Something that was promised, and whether it was so. */
  promise(what: string, found: string | number, promise: string, kept: boolean): void {
    this.rows.push({ what, found: String(found), promise });
    if (!kept) this.broken.push(`${what}: ${found}, but promised was ${promise}`);
  }

  /** How long something took each time, in ms. */
  times(what: string, ms: readonly number[], limit?: number): void {
    const most = Math.max(...ms);
    const found = ms.length === 1 ? inWords(most) : `${inWords(median(ms))}, at most ${inWords(most)}`;
    this.rows.push({ what, found, promise: limit === undefined ? undefined : `${inWords(limit)} at most` });
    if (limit !== undefined && most > limit) {
      this.late.push(`${what}: ${inWords(most)}, but promised was ${inWords(limit)}`);
    }
  }
}

/** The middle one of some numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function inWords(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
