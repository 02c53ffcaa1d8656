import type { Frame } from "./transport.ts";

/** Turns plain data into a frame and back. Both throw when they cannot. */
export interface Codec {
  /** What it is called in messages. */
  readonly name: string;
  /** Writes a value. */
  encode(value: unknown): Frame;
  /** Must refuse what is nested deeper than 64 levels or carries a `__proto__` key. */
  decode(frame: Frame): unknown;
}
