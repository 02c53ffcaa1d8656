import { CatgaError, systemFault } from "../../src/result.ts";
import type { ExchangeOptions, Frame, Peer, Receiver, Reply, Transport } from "../../src/ports/transport.ts";
import type { Link } from "./link.ts";
import { Calls } from "./transport_calls.ts";
import { failure } from "./transport_exchange.ts";
import { Outbox } from "./transport_outbox.ts";
import { Served } from "./transport_served.ts";
import { checkSelf, nodeSubject, probeSubject } from "./transport_subjects.ts";

/** How often callers ask whether they are still answered, and receivers look whether somebody waits, in ms. */
const LOOK = 2000;
/** How long a node that has an endpoint already may take to say so, in ms. */
const PROBE = 1000;

/** One node's way to others over NATS. What is said in one turn to one node is one message. */
export class NatsTransport implements Transport {
  readonly name = "nats";
  readonly #link: Link;
  readonly #outbox: Outbox;
  readonly #calls: Calls;
  readonly #limit: number;
  readonly #stopListening: () => void;
  #served: Served | undefined;
  #beginning = false;
  #closed = false;
  #looking: (() => void) | undefined;

  /** @param limit the size of the largest frame, in bytes */
  constructor(link: Link, limit: number) {
    this.#link = link;
    this.#limit = limit;
    this.#outbox = new Outbox(link);
    this.#calls = new Calls(link, this.#outbox, limit);
    const stops = [
      link.onAway(() => {
        this.#calls.fail("the connection was lost, so the frame may have been received", false);
        this.#served?.breakOff();
      }),
      link.onForbidden((subject) => this.#calls.forbid(subject)),
    ];
    this.#stopListening = () => stops.forEach((stop) => stop());
  }

  async serve(self: Peer, receiver: Receiver): Promise<AsyncDisposable> {
    const what = `Cannot serve node "${self.id}" on NATS`;
    if (this.#closed) throw new CatgaError(systemFault("UNAVAILABLE", `${what}: its transport is closed`));
    checkSelf(self);
    if (this.#beginning || this.#served !== undefined) {
      throw new CatgaError(systemFault("CONFLICT", `${what} twice: stop serving it first`));
    }
    this.#beginning = true;
    try {
      const other = await this.#probe(self);
      if (other !== undefined) {
        const message = `${what}: the endpoint ${JSON.stringify(self.endpoint)} is taken by node "${other}"`;
        throw new CatgaError(systemFault("CONFLICT", message));
      }
      const served = new Served(this.#link, this.#outbox, self, receiver, this.#limit);
      await served.start();
      if (this.#closed) {
        await served.stop();
        throw new CatgaError(systemFault("UNAVAILABLE", `${what}: its transport was closed`));
      }
      this.#served = served;
      this.#look();
      return { [Symbol.asyncDispose]: () => this.#stop(served) };
    } finally {
      this.#beginning = false;
    }
  }

  exchange(to: Peer, frame: Frame, reply: Reply, options?: ExchangeOptions): Promise<void> {
    if (options?.signal?.aborted) return Promise.reject(failure("CANCELLED", to, "its signal aborted"));
    if (this.#closed) return Promise.reject(failure("UNAVAILABLE", to, "this node's transport is closed"));
    this.#look();
    return this.#calls.begin(to, frame, reply, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#stopListening();
    this.#looking?.();
    this.#calls.fail("the node closed its transport before the answer came", true);
    this.#outbox.flush();
    this.#calls.close();
    if (this.#served !== undefined) await this.#stop(this.#served);
  }

  async #stop(served: Served): Promise<void> {
    await served.stop();
    if (this.#served === served) this.#served = undefined;
  }

  /** Who has the endpoint, if anybody has. */
  async #probe(self: Peer): Promise<string | undefined> {
    const subject = probeSubject(nodeSubject(this.#link.name, self.endpoint)!);
    try {
      return (await this.#link.ask(subject, "", { timeout: PROBE })).string().slice(0, 128);
    } catch (thrown) {
      if (this.#link.up && CatgaError.is(thrown)) return undefined;
      throw thrown;
    }
  }

  #look(): void {
    if (this.#looking !== undefined || this.#closed) return;
    const cancel = this.#link.runtime.clock.timer(LOOK, () => {
      this.#looking = undefined;
      this.#calls.look();
      this.#served?.look();
      if (this.#calls.size > 0 || this.#served !== undefined) this.#look();
    });
    this.#looking = cancel;
  }
}
