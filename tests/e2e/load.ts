import { type Answer, ask } from "./ask.ts";
import { pause } from "./cluster.ts";

/** One request of a load and its answer. */
export interface Call {
  readonly url: string;
  /** What was said by {@linkcode Load.mark} last when the call began. */
  readonly began: string;
  answer: Answer | undefined;
}

/**
 * Keeps a number of requests in flight, each slot sending its next when it has an answer. It treats the nodes as a load
 * balancer does: it leaves one alone that refuses a connection or asks for connections to be closed, until that one
 * says that it is ready; a request that was refused goes to the next one.
 */
export class Load {
  readonly calls: Call[] = [];
  readonly #nodes: { readonly url: string; up: boolean }[];
  readonly #slots: Promise<void>[];
  readonly #polling: Promise<void>;
  #mark = "";
  #turn = 0;
  #stopped = false;

  constructor(urls: readonly string[], inFlight: number) {
    this.#nodes = urls.map((url) => ({ url, up: true }));
    this.#slots = Array.from({ length: inFlight }, (_, slot) => this.#work(slot));
    this.#polling = this.#poll();
  }

  /** Names what happened; calls that begin from now on carry it. */
  mark(name: string): void {
    this.#mark = name;
  }

  /** How many calls that began after the mark of this name was set have been answered well. */
  done(mark: string): number {
    return this.calls.filter(({ began, answer }) => began === mark && isGood(answer)).length;
  }

  /** Sends no more and waits for what is in flight. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#slots, this.#polling]);
  }

  /** Calls that did not get what they asked for. */
  failed(): Call[] {
    return this.calls.filter(({ answer }) => answer !== undefined && !isGood(answer));
  }

  async #work(slot: number): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const began = this.#mark;
      const reads = (slot + i) % 4 === 0;
      let answer: Answer | undefined;
      while (answer === undefined && !(this.#stopped && this.#nodes.every(({ up }) => !up))) {
        const node = this.#next();
        if (node === undefined) {
          await pause(10);
          continue;
        }
        const call: Call = { url: node.url, began, answer: undefined };
        const got = reads
          ? await ask("GET", `${node.url}/orders`)
          : await ask("POST", `${node.url}/orders`, { productId: "product-123", quantity: 1 });
        if (got.closing || got.error === "ECONNREFUSED") node.up = false;
        if (got.error === "ECONNREFUSED") continue;
        this.calls.push(call);
        answer = call.answer = got;
      }
    }
  }

  #next(): { readonly url: string; up: boolean } | undefined {
    const up = this.#nodes.filter((node) => node.up);
    return up[this.#turn++ % up.length];
  }

  async #poll(): Promise<void> {
    while (!this.#stopped) {
      for (const node of this.#nodes) {
        if (!node.up) node.up = (await ask("GET", `${node.url}/health/ready`)).status === 200;
      }
      await pause(50);
    }
  }
}

function isGood(answer: Answer | undefined): boolean {
  return answer !== undefined && (answer.status === 200 || answer.status === 201);
}
