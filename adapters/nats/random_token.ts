import type { Random } from "../../src/ports/runtime.ts";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** 132 random bits as a token that nobody guesses. */
export function randomToken(random: Random): string {
  let token = "";
  for (let at = 0; at < 22; at++) token += LETTERS[random.u32() >>> 26];
  return token;
}
