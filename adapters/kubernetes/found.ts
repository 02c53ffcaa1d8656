import type { LogEntry } from "../../src/ports/runtime.ts";

const MOST = 1024;

/** What a discovery has found last, and whether it is well. Logs what changes, and nothing twice. */
export class Found {
  /** Settles at the first list or the first failure. */
  readonly ready: Promise<void>;
  /** The endpoints of the last list. */
  endpoints: readonly string[] = [];
  /** How many looks have failed. */
  failures: number = 0;
  readonly #name: string;
  readonly #log: (entry: LogEntry) => void;
  #settle: () => void = () => {};
  #failing = false;
  #cut = false;

  /** @param name what the discovery is called in messages */
  constructor(name: string, log: (entry: LogEntry) => void) {
    this.#name = name;
    this.#log = log;
    this.ready = new Promise((resolve) => this.#settle = resolve);
  }

  /** Takes a list that may hold an endpoint twice; no more than 1,024 are kept, the first ones. */
  set(listed: Iterable<string>): void {
    const endpoints = new Set<string>();
    let cut = false;
    for (const endpoint of listed) {
      if (endpoints.size >= MOST && !endpoints.has(endpoint)) {
        cut = true;
        break;
      }
      endpoints.add(endpoint);
    }
    if (cut && !this.#cut) {
      this.#say("warn", "discovery.cut", `found more than ${MOST} endpoints; the first ${MOST} are used`);
    }
    this.#cut = cut;
    const next = [...endpoints];
    const { endpoints: last } = this;
    if (next.length !== last.length || next.some((endpoint, at) => endpoint !== last[at])) {
      this.endpoints = next;
    }
    this.well();
  }

  /** Notes that looking works. */
  well(): void {
    if (this.#failing) {
      this.#failing = false;
      this.#say("info", "discovery.recovered", `looks again and knows ${this.endpoints.length} endpoints`);
    }
    this.#settle();
  }

  /** Notes that a look failed. @param reason for the log: must hold no secret */
  failed(reason: string): void {
    this.failures++;
    if (!this.#failing) {
      this.#failing = true;
      const { length } = this.endpoints;
      this.#say("warn", "discovery.failed", `keeps the ${length} endpoints it knows: ${reason}`);
    }
    this.#settle();
  }

  /** Lets go whoever still waits for the first list. */
  end(): void {
    this.#settle();
  }

  #say(level: "info" | "warn", event: string, what: string): void {
    const fields = { discovery: this.#name, endpoints: this.endpoints.length, failures: this.failures };
    this.#log({ level, event, message: `Discovery by ${this.#name} ${what}`, fields });
  }
}
