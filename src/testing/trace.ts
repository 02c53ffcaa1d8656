/**
 * What a trace tells of: a timer of a node, something planned for none; a frame that arrived, was lost, a reply, the
 * end of an exchange, that nobody was there, that the other side broke off, that the caller gave up; a node that
 * crashed, started, stood still and went on; a clock that was set; a change of the network; a log entry; a note of the
 * scenario.
 */
export type TraceKind =
  | "timer"
  | "plan"
  | "frame"
  | "lose"
  | "reply"
  | "end"
  | "refuse"
  | "reset"
  | "abort"
  | "crash"
  | "start"
  | "pause"
  | "resume"
  | "clock"
  | "network"
  | "log"
  | "note";

/** One thing that happened in a simulation. */
export interface TraceEntry {
  /** Virtual time in ms since the simulation began. */
  readonly time: number;
  /** What kind of thing it is. */
  readonly kind: TraceKind;
  /** The node where it happened; empty for the simulation itself. */
  readonly node: string;
  /** The node it came from, where there is one. */
  readonly from: string;
  /** A count of characters or bytes, an incarnation; 0 where there is nothing to count. */
  readonly size: number;
  /** What else there is to say. */
  readonly text: string;
}

/** What happened in a simulation: the last entries, and a hash of all of them. */
export interface Trace {
  /** How many entries there were. */
  readonly count: number;
  /** 16 hexadecimal digits over all entries; two runs with the same hash went the same way. */
  readonly hash: string;
  /** The last entries, oldest first; no more than the simulation keeps. */
  entries(): readonly TraceEntry[];
  /** The last entries as lines of text, oldest first. */
  lines(limit?: number): readonly string[];
}

/** Writes a trace. */
export class TraceRecorder implements Trace {
  count: number = 0;
  readonly #kept: TraceEntry[] = [];
  readonly #limit: number;
  #low = 0x811c9dc5;
  #high = 0x9e3779b9;

  /** @param limit how many entries to keep */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get hash(): string {
    return [this.#high, this.#low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
  }

  add(time: number, kind: TraceKind, node: string, from = "", size = 0, text = ""): void {
    const micros = Math.round(time * 1000);
    this.#mix(micros | 0);
    this.#mix(Math.floor(micros / 2 ** 32) ^ size);
    this.#mixText(kind);
    this.#mixText(node);
    this.#mixText(from);
    this.#mixText(text);
    if (this.#limit > 0) this.#kept[this.count % this.#limit] = { time, kind, node, from, size, text };
    this.count++;
  }

  entries(): readonly TraceEntry[] {
    if (this.count <= this.#limit || this.#limit === 0) return [...this.#kept];
    const oldest = this.count % this.#limit;
    return [...this.#kept.slice(oldest), ...this.#kept.slice(0, oldest)];
  }

  lines(limit: number = this.#limit): readonly string[] {
    return limit === 0 ? [] : this.entries().slice(-limit).map(lineOf);
  }

  #mix(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x85ebca6b);
    this.#low ^= this.#low >>> 13;
    this.#high = Math.imul(this.#high ^ value ^ (this.#low >>> 16), 0xc2b2ae35);
    this.#high ^= this.#high >>> 16;
  }

  #mixText(text: string): void {
    let sum = text.length;
    for (let at = 0; at < text.length; at++) sum = Math.imul(sum, 31) + text.charCodeAt(at) | 0;
    this.#mix(sum);
  }
}

function lineOf({ time, kind, node, from, size, text }: TraceEntry): string {
  const where = from === "" ? node : `${from} -> ${node}`;
  const parts = [kind.padEnd(7), where, size === 0 ? "" : `(${size})`, text].filter((part) => part !== "");
  return `${time.toFixed(3).padStart(10)} ms  ${parts.join(" ")}`;
}
