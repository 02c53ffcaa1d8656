import type { OpenDiscovery } from "../ports/discovery.ts";
import type { DiscoveryUnderTest, LookOutcome } from "./discovery_conformance.ts";

/** How often a check looks for what comes later, and how much of a refresh it waits each time. */
const LOOKS = 200;
const LOOK = 0.02;
/** How much of a refresh disposing may take: it waits for nothing outside the process. */
const AT_ONCE = 0.1;

/** What one check works with. */
export class DiscoveryTrial {
  readonly subject: DiscoveryUnderTest;
  readonly #refresh: number;
  readonly #opened: OpenDiscovery[] = [];

  constructor(subject: DiscoveryUnderTest, refresh: number) {
    this.subject = subject;
    this.#refresh = refresh;
  }

  /** Begins to look. */
  open(): OpenDiscovery {
    const opened = this.subject.discovery.open(this.subject.runtime);
    this.#opened.push(opened);
    return opened;
  }

  /** Begins to look, and waits for the first look. */
  async opened(): Promise<OpenDiscovery> {
    const opened = this.open();
    await this.settles("ready", opened.ready);
    return opened;
  }

  /** Has these nodes found from now on. */
  list(...nodes: readonly number[]): void {
    const { subject } = this;
    if (subject.list === undefined) {
      throw new Error("The subject has no list(): give one, or say fixed: true");
    }
    subject.list(nodes);
  }

  /** Decides how looks end from now on. */
  look(outcome: LookOutcome): void {
    const { subject } = this;
    if (subject.look === undefined) {
      throw new Error("The subject has no look(): give one, or say fixed: true");
    }
    subject.look(outcome);
  }

  /** Waits as long as a change may take to be seen. */
  refresh(): Promise<void> {
    return this.subject.pass(this.#refresh);
  }

  /** Whether exactly these nodes are known, each once. */
  knows(opened: OpenDiscovery, ...nodes: readonly number[]): boolean {
    return sorted(opened.endpoints()) === sorted(nodes.map((node) => this.subject.endpointOf(node)));
  }

  /** Waits until exactly these nodes are known. */
  async sees(opened: OpenDiscovery, ...nodes: readonly number[]): Promise<void> {
    await this.eventually(`nodes ${nodes.join()} are known`, () => this.knows(opened, ...nodes));
  }

  /** Ends a look, which may wait for nothing. */
  async end(opened: OpenDiscovery): Promise<void> {
    let ended = false;
    let failed: unknown;
    Promise.resolve(opened[Symbol.asyncDispose]()).then(
      () => ended = true,
      (thrown: unknown) => failed = thrown,
    );
    await this.subject.pass(AT_ONCE * this.#refresh);
    if (failed !== undefined) throw new Error(`Disposing failed: ${String(failed)}`);
    if (!ended) throw new Error("Disposing waited for something outside the process");
  }

  /** Waits until something is so. */
  async eventually(what: string, holds: () => boolean): Promise<void> {
    for (let looks = 0; looks < LOOKS; looks++) {
      if (holds()) return;
      await this.subject.pass(LOOK * this.#refresh);
    }
    throw new Error(`Expected, but did not happen: ${what}`);
  }

  /** Waits for something that has to settle well. */
  async settles(what: string, work: Promise<void>): Promise<void> {
    let how: string | undefined;
    work.then(() => how = "", (thrown: unknown) => how = `: ${String(thrown)}`);
    await this.eventually(`${what} settles`, () => how !== undefined);
    if (how !== "") throw new Error(`Rejected: ${what}${how}`);
  }

  /** Leaves nothing open. */
  async close(): Promise<void> {
    for (const opened of this.#opened) await this.end(opened);
  }
}

function sorted(endpoints: readonly string[]): string {
  return JSON.stringify(endpoints.toSorted());
}
