import type { Frame } from "../../src/ports/transport.ts";
import { sameText } from "./signature.ts";

/** What answers say of themselves in this header: their signature, where they are in one piece. */
export const AUTH = "catga-auth";

/** Characters of a signature, and of what stands before a sealed frame. */
const MAC = 43;
export const SEAL_SIZE: number = MAC + 1;

/** What stands first in a sealed frame, and in what ends a sealed stream. */
const [NEXT, LAST] = ["+", "."];

const ascii = new TextEncoder();

/**
 * Signs what answers one request. Every signature covers the request's own, and with it everything that the request
 * says, so it fits no other request, whoever asks whatever again.
 */
export interface Seal {
  /** Of an answer in one piece: a frame, or nothing but a status. */
  whole(status: number, frame: Frame | undefined): string | Promise<string>;
  /** Of the frame at this place of a stream, or of the end of a stream of so many frames. */
  part(at: number, frame: Frame | undefined): string | Promise<string>;
}

/** Puts signatures before the frames of a stream. */
export class Sealer {
  readonly #seal: Seal;
  #count = 0;

  constructor(seal: Seal) {
    this.#seal = seal;
  }

  /** The next frame, sealed. */
  next(frame: Frame): Frame | Promise<Frame> {
    const mac = this.#seal.part(this.#count++, frame);
    return typeof mac === "string" ? joined(NEXT, mac, frame) : mac.then((mac) => joined(NEXT, mac, frame));
  }

  /** What says that this was all, of the same kind as a frame. */
  last(like: Frame): Frame | Promise<Frame> {
    const mac = this.#seal.part(this.#count, undefined);
    const empty = typeof like === "string" ? "" : new Uint8Array();
    return typeof mac === "string" ? joined(LAST, mac, empty) : mac.then((mac) => joined(LAST, mac, empty));
  }
}

/** Takes the signatures off the frames of a stream, and checks them. */
export class Unsealer {
  /** Whether the end has come. */
  ended: boolean = false;
  readonly #seal: Seal;
  #count = 0;

  constructor(seal: Seal) {
    this.#seal = seal;
  }

  /** The frame; `undefined` for the end, `"forged"` for what was not sealed for this place of this answer. */
  async take(sealed: Frame): Promise<{ readonly frame: Frame } | "forged" | undefined> {
    const head = typeof sealed === "string"
      ? sealed.slice(0, SEAL_SIZE)
      : textOf(sealed.subarray(0, SEAL_SIZE));
    const kind = head[0];
    const last = kind === LAST;
    if (head.length < SEAL_SIZE || (!last && kind !== NEXT)) return "forged";
    if (last && sealed.length > SEAL_SIZE) return "forged";
    const frame = typeof sealed === "string" ? sealed.slice(SEAL_SIZE) : sealed.subarray(SEAL_SIZE);
    const mac = this.#seal.part(this.#count++, last ? undefined : frame);
    if (!sameText(typeof mac === "string" ? mac : await mac, head.slice(1))) return "forged";
    this.ended = last;
    return last ? undefined : { frame };
  }
}

/** Whether an answer in one piece is signed. */
export async function isSealed(
  seal: Seal,
  mac: string | null,
  status: number,
  frame: Frame | undefined,
): Promise<boolean> {
  return mac !== null && sameText(await seal.whole(status, frame), mac);
}

function joined(kind: string | undefined, mac: string, frame: Frame): Frame {
  const head = `${kind}${mac}`;
  if (typeof frame === "string") return head + frame;
  const bytes = new Uint8Array(SEAL_SIZE + frame.length);
  ascii.encodeInto(head, bytes);
  bytes.set(frame, SEAL_SIZE);
  return bytes;
}

function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
