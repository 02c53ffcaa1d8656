import { type Answer, ask } from "./ask.ts";
import { pause } from "./cluster.ts";

/** One call of a load, and what came of it. Times are in ms since 1970. */
export interface Sent {
  readonly began: number;
  readonly ended: number;
  /** The front that answered. */
  readonly url: string;
  /** The node that did the work. */
  readonly by: string | undefined;
  /** Why it failed. */
  readonly failed: string | undefined;
}

/** How a load is. */
export interface LoadOptions {
  /** Calls a second. */
  readonly rate: number;
  /** How long the work of a call takes at most, in ms. @default 20 */
  readonly takes?: number;
  /** How long a call may take, in ms. @default 2000 */
  readonly timeout?: number;
}

const TICK = 10;
const POLL = 50;

/**
 * Sends calls at a fixed rate, however long their answers take, by turns to fronts that say that they are ready. A
 * front that says it is not gets no new ones; a call whose connection was refused goes to the next. This is all that
 * it does for them, as load balancers do.
 */
export class OpenLoad {
  readonly calls: Sent[] = [];
  readonly #fronts: { readonly url: string; up: boolean; inFlight: number }[];
  readonly #options: Required<LoadOptions>;
  readonly #work: Promise<unknown>[];
  readonly #pending: Set<Promise<void>> = new Set();
  #turn = 0;
  #stopped = false;

  constructor(urls: readonly string[], { rate, takes = 20, timeout = 2000 }: LoadOptions) {
    this.#fronts = urls.map((url) => ({ url, up: true, inFlight: 0 }));
    this.#options = { rate, takes, timeout };
    this.#work = [this.#begin(), ...this.#fronts.map((front) => this.#poll(front))];
  }

  /** How many calls a front has not answered. */
  inFlight(url: string): number {
    return this.#fronts.find((front) => front.url === url)?.inFlight ?? 0;
  }

  /** Calls that began at a time or later, in ms since 1970, and failed. */
  failed(since = 0): readonly Sent[] {
    return this.calls.filter(({ began, failed }) => failed !== undefined && began >= since);
  }

  /** Calls that began at a time or later and that a node has done. */
  doneBy(name: string, since = 0): number {
    return this.calls.filter(({ began, by }) => by === name && began >= since).length;
  }

  /** Sends no more and waits for what is in flight. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#work);
    await Promise.all(this.#pending);
  }

  async #begin(): Promise<void> {
    const start = performance.now();
    let sent = 0;
    while (!this.#stopped) {
      const due = (performance.now() - start) * this.#options.rate / 1000;
      for (; sent < due; sent++) {
        const call = this.#call();
        this.#pending.add(call);
        void call.then(() => this.#pending.delete(call));
      }
      await pause(TICK);
    }
  }

  async #call(): Promise<void> {
    const { takes, timeout } = this.#options;
    const began = Date.now();
    const query = `takes=${Math.floor(Math.random() * takes)}&timeout=${timeout}`;
    for (;;) {
      const front = this.#next();
      if (front === undefined) {
        await pause(TICK);
        continue;
      }
      front.inFlight++;
      const answer = await ask("POST", `${front.url}/work?${query}`, undefined, 5 * timeout);
      front.inFlight--;
      if (answer.error === "ECONNREFUSED") {
        front.up = false;
        continue;
      }
      const { by } = Object(answer.body) as { readonly by?: string };
      const failed = answer.status === 200 ? undefined : reason(answer);
      this.calls.push({ began, ended: Date.now(), url: front.url, by, failed });
      return;
    }
  }

  #next(): { readonly url: string; up: boolean; inFlight: number } | undefined {
    const up = this.#fronts.filter((front) => front.up);
    return up[this.#turn++ % up.length];
  }

  async #poll(front: { readonly url: string; up: boolean }): Promise<void> {
    while (!this.#stopped || this.#pending.size > 0) {
      front.up = (await ask("GET", `${front.url}/health/ready`, undefined, 1000)).status === 200;
      await pause(POLL);
    }
  }
}

function reason({ error, status, body }: Answer): string {
  return error ?? (Object(body) as { readonly code?: string }).code ?? String(status);
}
