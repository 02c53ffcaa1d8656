import { toBase64 } from "../../src/internal/base64.ts";
import type { Random } from "../../src/ports/runtime.ts";
import { maskedFrame, WebSocketReader } from "./connection_frames.ts";

/** The part of Deno that is used here. */
export interface DenoHost {
  connect(options: { hostname: string; port: number }): Promise<DenoConnection>;
  startTls(connection: DenoConnection, options: { hostname: string }): Promise<DenoConnection>;
}

/** A connection of Deno. */
export interface DenoConnection {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
  setNoDelay?(on?: boolean): void;
}

type Listener = ((event: unknown) => void) | null;

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 3;
const READ_SIZE = 65_536;

/**
 * A WebSocket on Deno for a stream of bytes, such as that of NATS: where one message ends is not kept. Deno's own sends
 * what is over 1 kB in two parts and lets the second wait until the first is acknowledged, which takes 44 ms.
 */
export class DenoSocket {
  readonly #random: Random;
  readonly #reader: WebSocketReader;
  #connection: DenoConnection | undefined;
  #unsent: Uint8Array[] = [];
  #sending = false;
  binaryType = "arraybuffer";
  bufferedAmount = 0;
  readyState: number = CONNECTING;
  onopen: Listener = null;
  onmessage: Listener = null;
  onerror: Listener = null;
  onclose: Listener = null;

  constructor(host: DenoHost, random: Random, url: string) {
    this.#random = random;
    this.#reader = new WebSocketReader({
      data: (data) => this.onmessage?.({ data }),
      ping: (data) => this.#write(maskedFrame(10, data, random.u32())),
      close: () => this.#end(undefined),
    });
    this.#run(host, new URL(url)).then(() => this.#end(undefined), (thrown) => this.#end(thrown));
  }

  send(data: Uint8Array | ArrayBuffer): void {
    if (this.readyState !== OPEN) return;
    this.#write(maskedFrame(2, data instanceof Uint8Array ? data : new Uint8Array(data), this.#random.u32()));
  }

  close(): void {
    if (this.readyState === CLOSED) return;
    if (this.readyState === OPEN && !this.#sending) {
      this.#write(maskedFrame(8, new Uint8Array([3, 232]), this.#random.u32()));
    }
    this.#end(undefined);
  }

  async #run(host: DenoHost, url: URL): Promise<void> {
    const secure = url.protocol === "wss:";
    const hostname = url.hostname.replace(/^\[|\]$/g, "");
    const port = Number(url.port) || (secure ? 443 : 80);
    let connection = await host.connect({ hostname, port });
    connection.setNoDelay?.(true);
    if (secure) connection = await host.startTls(connection, { hostname });
    if (this.readyState === CLOSED) return connection.close();
    this.#connection = connection;
    const key = toBase64(new Uint8Array(Uint32Array.from({ length: 4 }, () => this.#random.u32()).buffer));
    const lines = [
      `GET ${url.pathname}${url.search} HTTP/1.1`,
      `Host: ${url.host}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      `Sec-WebSocket-Key: ${key}`,
      "Sec-WebSocket-Version: 13",
    ];
    this.#write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
    const buffer = new Uint8Array(READ_SIZE);
    for (;;) {
      const count = await connection.read(buffer);
      if (count === null || this.readyState === CLOSED) return;
      if (this.#reader.take(buffer.slice(0, count)) && this.readyState === CONNECTING) {
        this.readyState = OPEN;
        this.onopen?.({});
      }
    }
  }

  #write(bytes: Uint8Array): void {
    this.#unsent.push(bytes);
    this.bufferedAmount += bytes.length;
    if (!this.#sending) void this.#send();
  }

  async #send(): Promise<void> {
    const connection = this.#connection!;
    this.#sending = true;
    try {
      while (this.#unsent.length > 0) {
        const bytes = this.#unsent.length === 1 ? this.#unsent[0]! : joined(this.#unsent);
        this.#unsent = [];
        for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
        this.bufferedAmount -= bytes.length;
      }
    } catch (thrown) {
      this.#end(thrown);
    }
    this.#sending = false;
  }

  #end(thrown: unknown): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    try {
      this.#connection?.close();
    } catch {
      // It is closed.
    }
    const message = thrown instanceof Error ? thrown.message : "the connection was closed";
    if (thrown !== undefined) this.onerror?.({ message });
    this.onclose?.({ wasClean: thrown === undefined, code: 1000, reason: "" });
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
