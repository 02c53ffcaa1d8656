/** One way of doing what a row measures. */
export interface Candidate {
  /** Does it once. Measured awaited if it answers a promise. */
  readonly run: () => unknown;
  /** How many operations one run is. @default 1 */
  readonly per?: number;
  /** Whether an answer of `run` is right. A wrong one is no result. */
  readonly check: (answer: unknown) => boolean;
}

/** The candidates of a row, by name; each loads what it needs, since each gets a process of its own. */
export type Candidates = Readonly<Record<string, () => Candidate | Promise<Candidate>>>;

/** Whether an answer carries the `b` that {@linkcode Candidate.run} was to bring back. */
export function carriesB(answer: unknown): boolean {
  return typeof (answer as { b?: unknown } | undefined)?.b === "number";
}

/** The same within a `Result`. */
export function succeedsWithB(answer: unknown): boolean {
  const result = answer as { ok?: unknown; value?: unknown } | undefined;
  return result?.ok === true && carriesB(result.value);
}
