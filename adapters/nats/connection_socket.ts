import type { Clock } from "../../src/ports/runtime.ts";

/** Makes WebSockets, as the platform's own class does, and that of the package `ws`. */
export type WebSocketMaker = new (url: string) => {
  send(data: Uint8Array): void;
  close(): void;
};

/** The part of a WebSocket that is used here. */
interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly readyState: number;
  onopen: ((event: unknown) => void) | null;
  onmessage: ((event: unknown) => void) | null;
  onerror: ((event: unknown) => void) | null;
  onclose: ((event: unknown) => void) | null;
  send(data: Uint8Array | ArrayBuffer): void;
  close(): void;
  terminate?(): void;
}

const OPEN = 1;
/** How often, 100 ms apart, a connection that is being closed looks whether all was sent. */
const LOOKS = 10;
/** How long the other side may take to say that it closes too, in ms. */
const GOODBYE = 2000;

/**
 * A WebSocket that can always be closed. One whose other side has gone silent never says that it is closed, and
 * `@nats-io/nats-core` would wait for that, and for what it has not sent, instead of connecting anew.
 */
export class ClosingSocket implements Omit<Socket, "readyState" | "terminate"> {
  readonly #real: Socket;
  readonly #clock: Clock;
  #looks = 0;
  #onerror: ((event: unknown) => void) | null = null;
  #missed: { readonly event: unknown } | undefined;
  #closed = false;
  onopen: ((event: unknown) => void) | null = null;
  onmessage: ((event: unknown) => void) | null = null;
  onclose: ((event: unknown) => void) | null = null;

  constructor(socket: object, clock: Clock) {
    const real = socket as Socket;
    this.#real = real;
    this.#clock = clock;
    real.binaryType = "arraybuffer";
    real.onopen = (event) => this.onopen?.(event);
    real.onmessage = (event) => this.onmessage?.(event);
    real.onerror = (event) => this.#fail(event);
    real.onclose = (event) => this.#end(event);
  }

  get binaryType(): string {
    return this.#real.binaryType;
  }

  set binaryType(type: string) {
    this.#real.binaryType = type;
  }

  get onerror(): ((event: unknown) => void) | null {
    return this.#onerror;
  }

  /** Node may fail before anybody has begun to listen. */
  set onerror(listener: ((event: unknown) => void) | null) {
    this.#onerror = listener;
    const missed = this.#missed;
    if (listener === null || missed === undefined) return;
    this.#missed = undefined;
    listener(missed.event);
  }

  /** Looked at while it is being closed, and only then. */
  get bufferedAmount(): number {
    return ++this.#looks > LOOKS ? 0 : this.#real.bufferedAmount;
  }

  send(data: Uint8Array | ArrayBuffer): void {
    if (this.#closed || this.#real.readyState !== OPEN) return;
    this.#real.send(data);
  }

  close(): void {
    if (this.#closed) return;
    const real = this.#real;
    const stop = this.#clock.timer(GOODBYE, () => real.terminate?.());
    real.onclose = stop;
    real.onerror = stop;
    real.onmessage = null;
    try {
      real.close();
    } catch {
      stop();
    }
    this.#end({ wasClean: true, code: 1000, reason: "" });
  }

  #fail(event: unknown): void {
    if (this.#onerror === null) this.#missed = { event };
    else this.#onerror(event);
  }

  #end(event: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    queueMicrotask(() => this.onclose?.(event));
  }
}
