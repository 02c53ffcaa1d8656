import { parseJson } from "../internal/safe_json.ts";
import type { Codec } from "../ports/codec.ts";
import type { Frame } from "../ports/transport.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** JSON text: the fastest codec where a transport takes text, and one that people can read. */
export const json: Codec = {
  name: "json",
  encode: (value: unknown): Frame => JSON.stringify(value),
  decode: (frame: Frame): unknown => parseJson(typeof frame === "string" ? frame : utf8.decode(frame)),
};
