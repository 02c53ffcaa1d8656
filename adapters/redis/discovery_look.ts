import { sortByCodePoint } from "../../src/internal/by_code_point.ts";
import type { OpenDiscovery } from "../../src/ports/discovery.ts";
import type { LogEntry, Runtime } from "../../src/ports/runtime.ts";
import { faultOf } from "../../src/result.ts";
import type { CommandBudget, Polling } from "./budget.ts";
import { Pace } from "./budget_pace.ts";
import type { Commander } from "./commander.ts";
import { beatScript, leaveScript, MOST } from "./discovery_scripts.ts";
import { listOf, numberOf, textOf } from "./store_answers.ts";

/** What a look works with. */
export interface LookOptions {
  readonly keys: readonly string[];
  readonly endpoint: () => string | undefined;
  /** Names this instance. */
  readonly id: string;
  readonly services: readonly string[];
  readonly polling: Polling;
  readonly budget: CommandBudget;
  /** Hears that it was disposed. */
  readonly ended: () => void;
}

/** How long an endpoint may be, in characters. */
const LONGEST = 2048;

/** Keeps a node on the list, and reads who else is. */
export class DiscoveryLook implements OpenDiscovery {
  readonly ready: Promise<void>;
  readonly #commander: Commander;
  readonly #runtime: Runtime;
  readonly #options: LookOptions;
  readonly #pace: Pace;
  readonly #over: AbortController = new AbortController();
  #settle: () => void = () => {};
  #endpoints: readonly string[] = [];
  #failures = 0;
  #looking: Promise<void> | undefined;
  /** What it is listed as, and since when, by the server's clock. */
  #listed: string | undefined;
  #epoch = 0;
  #version = -1;
  #beaten: { readonly mono: number; readonly wall: number } | undefined;
  #status: string | undefined;
  #trouble: string | undefined;

  constructor(commander: Commander, runtime: Runtime, options: LookOptions) {
    this.#commander = commander;
    this.#runtime = runtime;
    this.#options = options;
    const { polling: { eager, beat }, budget } = options;
    this.#pace = new Pace(runtime, { eager, idle: beat, budget });
    this.ready = new Promise((resolve) => this.#settle = resolve);
  }

  get failures(): number {
    return this.#failures;
  }

  endpoints(): readonly string[] {
    return this.#endpoints;
  }

  begin(): void {
    void this.#run(this.#over.signal);
  }

  renew(): void {
    const { clock } = this.#runtime;
    const { beat } = this.#options.polling;
    // While it was frozen, its monotonic clock may have stood still.
    const since = this.#beaten;
    const due = since === undefined || clock.mono() - since.mono >= beat || clock.wall() - since.wall >= beat;
    if (due && this.#looking === undefined && !this.#over.signal.aborted) {
      this.#options.budget.spend();
      this.#runtime.background(this.#look());
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#over.signal.aborted) return Promise.resolve();
    this.#over.abort();
    this.#settle();
    this.#options.ended();
    const { keys, id } = this.#options;
    if (this.#listed !== undefined) {
      const gone = this.#commander.run(leaveScript, keys, [this.#listed, id]);
      this.#runtime.background(gone.catch(() => {}));
    }
    return Promise.resolve();
  }

  async #run(signal: AbortSignal): Promise<void> {
    this.#options.budget.spend();
    while (!signal.aborted) {
      await this.#look();
      await this.#pace.rest(signal, () => Infinity);
    }
  }

  #look(): Promise<void> {
    return this.#looking ??= this.#beat(this.#over.signal).finally(() => this.#looking = undefined);
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { keys, id, polling } = this.#options;
    const { clock } = this.#runtime;
    const began = { mono: clock.mono(), wall: clock.wall() };
    try {
      const endpoint = this.#mine();
      const args = [endpoint, id, this.#epoch, polling.lease, this.#version];
      if (endpoint !== "") this.#listed = endpoint;
      const what = "look for other nodes";
      const reply = await this.#commander.run(beatScript, keys, args, { signal });
      if (signal.aborted) return;
      const [status, epoch, version, listed] = listOf(what, reply);
      this.#beaten = began;
      this.#heed(textOf(what, status), endpoint);
      this.#epoch = numberOf(what, epoch);
      this.#version = numberOf(what, version);
      this.#pace.looked(listed !== null);
      if (listed !== null) this.#set(listOf(what, listed).map((each) => textOf(what, each)));
      this.#say(undefined);
    } catch (thrown) {
      if (signal.aborted) return;
      this.#failures++;
      if (this.#version < 0) this.#set([]);
      this.#pace.failed(thrown);
      this.#say(faultOf(thrown).message);
    }
    this.#settle();
  }

  /** What is to be listed, if anything. */
  #mine(): string {
    const endpoint = this.#options.endpoint();
    if (endpoint === undefined) return "";
    if (endpoint.length > LONGEST || !endpoint.isWellFormed()) {
      throw new RangeError(`The endpoint is not well-formed text of ${LONGEST} characters at most`);
    }
    return endpoint;
  }

  /** Logs that it is not listed, once. */
  #heed(status: string, endpoint: string): void {
    if (status === this.#status) return;
    this.#status = status;
    const why = status === "replaced"
      ? `another node has the endpoint ${endpoint}`
      : status === "full"
      ? "so many others are"
      : undefined;
    if (why !== undefined) this.#log("warn", `discovery.${status}`, `does not list this node: ${why}`);
  }

  #set(listed: readonly string[]): void {
    const all = [...new Set([...this.#options.services, ...listed])];
    const next = sortByCodePoint(all.slice(0, MOST));
    const last = this.#endpoints;
    if (next.length !== last.length || next.some((each, at) => each !== last[at])) this.#endpoints = next;
  }

  /** Logs that looking fails, or goes well again, once each. */
  #say(trouble: string | undefined): void {
    if ((trouble === undefined) === (this.#trouble === undefined)) return;
    this.#trouble = trouble;
    if (trouble === undefined) {
      this.#log("info", "discovery.recovered", `looks again and knows ${this.#endpoints.length} endpoints`);
    } else {
      const { length } = this.#endpoints;
      this.#log("warn", "discovery.failed", `keeps the ${length} endpoints it knows: ${trouble}`);
    }
  }

  #log(level: LogEntry["level"], event: string, what: string): void {
    const fields = { discovery: "redis", endpoints: this.#endpoints.length, failures: this.#failures };
    this.#runtime.log({ level, event, message: `Discovery by Redis ${what}`, fields });
  }
}
