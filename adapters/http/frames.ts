import type { Frame } from "../../src/ports/transport.ts";

/** The header that says how an answer's body holds frames. */
export const FRAMES = "catga-frames";
/** The body is one frame. */
export const WHOLE = "whole";
/**
 * One frame a line: a space and the text as it is, or the text as a JSON string when it holds a line break. A line
 * with a dot ends it, one with an exclamation mark says that the receiver failed.
 */
export const LINES = "lines";
/** Each frame after its length as four bytes, the first the highest; the two highest lengths end it or say it failed. */
export const SIZED = "sized";
/** The frame was refused: no receiver has seen it. */
export const REFUSED = "none";

export const TEXT_TYPE = "application/json";
export const BYTES_TYPE = "application/octet-stream";

const utf8 = new TextEncoder();
const END = 0xffffffff;
const FAILED = 0xfffffffe;

/** How frames of one exchange become the bytes of a body and again frames. */
export interface Framing {
  readonly name: string;
  readonly type: string;
  /** Throws for a frame of the other kind. */
  check(frame: Frame): void;
  /** Throws for a frame of the other kind. */
  frame(frame: Frame): Uint8Array;
  mark(failed: boolean): Uint8Array;
  /** Makes a function that takes the next bytes and answers the frames in them; see {@linkcode Parsed}. */
  parser(limit: number): (bytes: Uint8Array) => Parsed;
}

/** What bytes held: frames, and whether that was all. */
export interface Parsed {
  readonly frames: readonly Frame[];
  readonly end: "more" | "done" | "failed" | "malformed";
}

/** Frames that are text. */
export const lines: Framing = {
  name: LINES,
  type: TEXT_TYPE,
  check: (frame) => {
    if (typeof frame !== "string") throw mixed();
  },
  frame: (frame) => {
    if (typeof frame !== "string") throw mixed();
    return utf8.encode(frame.includes("\n") ? JSON.stringify(frame) + "\n" : ` ${frame}\n`);
  },
  mark: (failed) => utf8.encode(failed ? "!\n" : ".\n"),
  parser: (limit) => {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    let rest = "";
    return (bytes) => {
      const frames: string[] = [];
      try {
        const text = decoder.decode(bytes, { stream: true });
        let from = 0;
        for (let to = text.indexOf("\n"); to !== -1; to = text.indexOf("\n", from)) {
          const line = rest + text.slice(from, to);
          rest = "";
          from = to + 1;
          if (line.length > limit + 1) return { frames, end: "malformed" };
          if (line.startsWith(" ")) frames.push(line.slice(1));
          else if (line === ".") return { frames, end: "done" };
          else if (line === "!") return { frames, end: "failed" };
          else frames.push(stringIn(line));
        }
        rest += text.slice(from);
      } catch {
        return { frames, end: "malformed" };
      }
      return { frames, end: rest.length > limit + 1 ? "malformed" : "more" };
    };
  },
};

/** Frames that are bytes. */
export const sized: Framing = {
  name: SIZED,
  type: BYTES_TYPE,
  check: (frame) => {
    if (typeof frame === "string") throw mixed();
  },
  frame: (frame) => {
    if (typeof frame === "string") throw mixed();
    const bytes = new Uint8Array(4 + frame.length);
    new DataView(bytes.buffer).setUint32(0, frame.length);
    bytes.set(frame, 4);
    return bytes;
  },
  mark: (failed) => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, failed ? FAILED : END);
    return bytes;
  },
  parser: (limit) => {
    const head = new Uint8Array(4);
    let frame = head;
    let filled = 0;
    return (bytes) => {
      const frames: Uint8Array[] = [];
      for (let at = 0; at < bytes.length;) {
        const part = bytes.subarray(at, at + frame.length - filled);
        frame.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled < frame.length) break;
        filled = 0;
        if (frame !== head) {
          frames.push(frame);
          frame = head;
          continue;
        }
        const size = new DataView(head.buffer).getUint32(0);
        if (size === END || size === FAILED) return { frames, end: size === END ? "done" : "failed" };
        if (size > limit) return { frames, end: "malformed" };
        if (size === 0) frames.push(new Uint8Array());
        else frame = new Uint8Array(size);
      }
      return { frames, end: "more" };
    };
  },
};

function stringIn(line: string): string {
  const text: unknown = JSON.parse(line);
  if (typeof text !== "string") throw new SyntaxError("not a text");
  return text;
}

function mixed(): TypeError {
  return new TypeError("Cannot stream text and bytes in one answer");
}
