import { CatgaError, type SystemFault, systemFault } from "../../src/result.ts";
import type { ExchangeOptions, Frame, Peer, Receiver, Reply, Transport } from "../../src/ports/transport.ts";
import { Exchange } from "./exchange.ts";
import type { MemoryHub, Seat } from "./hub.ts";

/** How many exchanges of one node may be open. */
const EXCHANGES = 65_536;

/** One node's way to the hub. */
export class MemoryTransport implements Transport {
  readonly name = "memory";
  readonly #hub: MemoryHub;
  readonly #self: Peer;
  readonly #open: Set<Exchange> = new Set();
  readonly #seats: Set<Seat> = new Set();
  #closed = false;

  constructor(hub: MemoryHub, self: Peer) {
    this.#hub = hub;
    this.#self = self;
  }

  serve(self: Peer, receiver: Receiver): Promise<AsyncDisposable> {
    if (this.#closed) return Promise.reject(this.#closedError(`Cannot serve "${self.id}"`));
    let seat: Seat;
    try {
      seat = this.#hub.sit(self, receiver);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
    this.#seats.add(seat);
    return Promise.resolve({
      [Symbol.asyncDispose]: (): Promise<void> => {
        this.#seats.delete(seat);
        this.#hub.leave(seat);
        return Promise.resolve();
      },
    });
  }

  exchange(to: Peer, frame: Frame, reply: Reply, options: ExchangeOptions = {}): Promise<void> {
    const what = `Cannot send to "${to.id}"`;
    if (options.signal?.aborted) return Promise.reject(new CatgaError(cancelled(to)));
    if (this.#closed) return Promise.reject(this.#closedError(what));
    if (this.#open.size >= EXCHANGES) {
      const message = `${what}: "${this.#self.id}" has ${EXCHANGES} open exchanges, as many as it may`;
      return Promise.reject(new CatgaError(systemFault("UNAVAILABLE", message)));
    }
    return new Promise((resolve, reject) => {
      const { signal } = options;
      const abort = (): void => exchange.fail(cancelled(to));
      const exchange = new Exchange(to, frame, reply, (fault) => {
        this.#open.delete(exchange);
        signal?.removeEventListener("abort", abort);
        if (fault === undefined) resolve();
        else reject(new CatgaError(fault));
      });
      this.#open.add(exchange);
      signal?.addEventListener("abort", abort, { once: true });
      queueMicrotask(() => exchange.deliver(this.#hub.at(to.endpoint)));
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const seat of this.#seats) this.#hub.leave(seat);
    this.#seats.clear();
    const message = `"${this.#self.id}" closed its transport before the answer came`;
    for (const exchange of [...this.#open]) exchange.fail(systemFault("TRANSPORT", message));
    return Promise.resolve();
  }

  #closedError(what: string): CatgaError {
    return new CatgaError(
      systemFault("UNAVAILABLE", `${what}: the transport of "${this.#self.id}" is closed`),
    );
  }
}

function cancelled(to: Peer): SystemFault {
  return systemFault("CANCELLED", `The exchange with "${to.id}" was given up`);
}
