/** What a server says by WebSocket. */
export interface WebSocketEvents {
  /** A part of what it sends; several may make up one message. */
  data(bytes: Uint8Array): void;
  ping(bytes: Uint8Array): void;
  close(): void;
}

/** The longest answer to the upgrade, and the longest control frame, in bytes. */
const ANSWER = 16_384;
const CONTROL = 125;

/** A frame of a client, as RFC 6455 has it, masked by 32 random bits. */
export function maskedFrame(code: number, payload: Uint8Array, mask: number): Uint8Array {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const start = 6 + extra;
  const frame = new Uint8Array(start + length);
  const view = new DataView(frame.buffer);
  frame[0] = 0x80 | code;
  frame[1] = 0x80 | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) view.setUint16(2, length);
  else if (extra === 8) view.setBigUint64(2, BigInt(length));
  view.setUint32(2 + extra, mask);
  const bytes = [mask >>> 24, (mask >>> 16) & 255, (mask >>> 8) & 255, mask & 255];
  for (let at = 0; at < length; at++) frame[start + at] = payload[at]! ^ bytes[at & 3]!;
  return frame;
}

/** Reads the answer to an upgrade and what follows it, from pieces of any size. Throws for what is no WebSocket. */
export class WebSocketReader {
  readonly #events: WebSocketEvents;
  #rest: Uint8Array = new Uint8Array();
  #upgraded = false;
  /** Bytes of the frame being read that are still to come, and of which kind it is. */
  #left = 0;
  #code = 0;

  constructor(events: WebSocketEvents) {
    this.#events = events;
  }

  /** Takes a piece; answers whether the server has agreed. */
  take(piece: Uint8Array): boolean {
    let bytes = piece;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + piece.length);
      bytes.set(this.#rest);
      bytes.set(piece, this.#rest.length);
    }
    let at = this.#upgraded ? 0 : this.#answer(bytes);
    if (!this.#upgraded) {
      this.#rest = bytes;
      return false;
    }
    while (at < bytes.length) {
      if (this.#left === 0) {
        const next = this.#header(bytes, at);
        if (next === undefined) break;
        at = next;
      }
      const end = Math.min(at + this.#left, bytes.length);
      // What controls comes whole.
      if (this.#code >= 8 && end - at < this.#left) break;
      this.#left -= end - at;
      this.#give(bytes.subarray(at, end));
      at = end;
    }
    this.#rest = bytes.subarray(at);
    return true;
  }

  #answer(bytes: Uint8Array): number {
    for (let at = 3; at < bytes.length; at++) {
      if (bytes[at] !== 10 || bytes[at - 1] !== 13 || bytes[at - 2] !== 10 || bytes[at - 3] !== 13) continue;
      const line = new TextDecoder().decode(bytes.subarray(0, at)).split("\r\n")[0]!;
      if (!line.startsWith("HTTP/1.1 101")) {
        throw new Error(`It answers ${JSON.stringify(line.slice(0, 80))}`);
      }
      this.#upgraded = true;
      return at + 1;
    }
    if (bytes.length > ANSWER) throw new Error("It answers as no WebSocket does");
    return 0;
  }

  /** Reads where a frame begins; answers where its payload does, `undefined` if not all of it is there. */
  #header(bytes: Uint8Array, at: number): number | undefined {
    if (bytes.length - at < 2) return undefined;
    const code = bytes[at]! & 15;
    const short = bytes[at + 1]!;
    if ((bytes[at]! & 0x70) !== 0 || short > 127 || (code >= 8 && short > CONTROL)) {
      throw new Error("It sends what is no frame of a WebSocket");
    }
    const start = at + 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
    if (bytes.length < start) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    this.#left = short === 126
      ? view.getUint16(at + 2)
      : short === 127
      ? Number(view.getBigUint64(at + 2))
      : short;
    this.#code = code;
    return start;
  }

  #give(bytes: Uint8Array): void {
    if (this.#code === 8) this.#events.close();
    else if (this.#code === 9) this.#events.ping(bytes);
    else if (this.#code < 3 && bytes.length > 0) this.#events.data(bytes);
  }
}
