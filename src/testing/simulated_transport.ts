import { CatgaError, type SystemFault, systemFault } from "../result.ts";
import type { ExchangeOptions, Frame, Peer, Receiver, Reply, Transport } from "../ports/transport.ts";
import type { Life } from "./life.ts";
import type { Seat } from "./simulated_copy.ts";
import { SimulatedExchange } from "./simulated_exchange.ts";
import type { Network } from "./simulated_network.ts";

/** One life of a node's way to the simulated network. */
export class SimulatedTransport implements Transport {
  readonly name = "simulated";
  readonly #network: Network;
  readonly #self: Peer;
  readonly #life: Life;
  readonly #open: Set<SimulatedExchange> = new Set();
  readonly #seats: Set<Seat> = new Set();
  #closed = false;

  constructor(network: Network, self: Peer, life: Life) {
    this.#network = network;
    this.#self = self;
    this.#life = life;
  }

  serve(self: Peer, receiver: Receiver): Promise<AsyncDisposable> {
    if (!this.#life.alive) return never();
    if (this.#closed) return Promise.reject(this.#closedError(`Cannot serve "${self.id}"`));
    let seat: Seat;
    try {
      seat = this.#network.sit(self, this.#life, receiver);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
    this.#seats.add(seat);
    return Promise.resolve({
      [Symbol.asyncDispose]: (): Promise<void> => {
        this.#seats.delete(seat);
        this.#network.leave(seat);
        return Promise.resolve();
      },
    });
  }

  exchange(to: Peer, frame: Frame, reply: Reply, options: ExchangeOptions = {}): Promise<void> {
    if (!this.#life.alive) return never();
    if (options.signal?.aborted) return Promise.reject(new CatgaError(givenUp(to)));
    if (this.#closed) return Promise.reject(this.#closedError(`Cannot send to "${to.id}"`));
    return new Promise((resolve, reject) => {
      const { signal } = options;
      const abort = (): void => exchange.giveUp(givenUp(to));
      const since = this.#network.world.time;
      const exchange = new SimulatedExchange(this.#life, to, since, reply, (fault) => {
        this.#open.delete(exchange);
        this.#network.open.delete(exchange);
        signal?.removeEventListener("abort", abort);
        if (fault === undefined) resolve();
        else reject(new CatgaError(fault));
      });
      this.#open.add(exchange);
      this.#network.open.add(exchange);
      signal?.addEventListener("abort", abort, { once: true });
      exchange.send(this.#network, frame);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    if (!this.#life.alive) return never();
    for (const seat of this.#seats) this.#network.leave(seat);
    this.#seats.clear();
    const fault = systemFault("TRANSPORT", `"${this.#self.id}" closed its transport before the answer came`);
    for (const exchange of [...this.#open]) exchange.giveUp(fault);
    return Promise.resolve();
  }

  #closedError(what: string): CatgaError {
    return new CatgaError(
      systemFault("UNAVAILABLE", `${what}: the transport of "${this.#self.id}" is closed`),
    );
  }
}

function givenUp(to: Peer): SystemFault {
  return systemFault("CANCELLED", `The exchange with "${to.id}" was given up`);
}

/** What is asked of a dead node is never answered. */
function never(): Promise<never> {
  return new Promise(() => {});
}
