import type { Runtime } from "../../ports/runtime.ts";
import type { Entry, Store } from "../../ports/store.ts";
import { follow } from "../follow.ts";
import { hash32, mix32 } from "../../internal/hash.ts";
import { LIVE, type LiveMark, readRecord, SESSIONS, UNTIL, type UntilMark, waiterOf } from "./saga_record.ts";

/** What {@linkcode SagaView} stands on. */
export interface ViewHost {
  readonly store: Store;
  readonly runtime: Runtime;
  /** Something else is said of an instance than before. */
  marked(id: string): void;
  /** Something that an instance waits for has come, or its time is over. */
  woken(id: string): void;
  /** An executor is gone. */
  orphaned(): void;
}

/** What an executor knows of all instances that are not done: hints, as the instances themselves decide. */
export class SagaView {
  readonly marks: Map<string, LiveMark> = new Map();
  readonly #sessions: Set<string> = new Set();
  /** What is waited for, and whether its event has come. */
  readonly #untils: Map<string, boolean> = new Map();
  readonly #watches: Map<string, Set<() => void>> = new Map();
  readonly #closed: AbortController = new AbortController();
  readonly #host: ViewHost;

  constructor(host: ViewHost) {
    this.#host = host;
    this.#follow(LIVE, (key, entry) => this.#marked(key.slice(LIVE.length), entry));
    this.#follow(SESSIONS, (key, entry) => {
      if (entry !== undefined) this.#sessions.add(key);
      else if (this.#sessions.delete(key)) host.orphaned();
    });
    this.#follow(UNTIL, (key, entry) => this.#waited(key, entry));
  }

  /** Whether an executor's lease was there when it was last heard of. */
  lives(session: string): boolean {
    return this.#sessions.has(session);
  }

  /** Whether all that an instance waits for is still to come. */
  sleeps({ until }: Pick<LiveMark, "until">): boolean {
    return until !== undefined && until.length > 0 && until.every((key) => this.#untils.get(key) === false);
  }

  /** Which place an executor has among all when it comes to an instance: each instance has another order. */
  rank(id: string, session: string): number {
    const hash = hash32(id);
    const score = (name: string): number => mix32(hash ^ hash32(name));
    const own = score(session);
    return [...this.#sessions].filter((other) => other !== session && score(other) < own).length;
  }

  /** Calls back whenever what is waited for under a key changes or goes; answers a function that calls it off. */
  watch(key: string, changed: () => void): () => void {
    const watches = this.#watches.get(key) ?? new Set();
    this.#watches.set(key, watches.add(changed));
    return () => {
      watches.delete(changed);
      if (watches.size === 0 && this.#watches.get(key) === watches) this.#watches.delete(key);
    };
  }

  close(): void {
    this.#closed.abort();
  }

  #marked(id: string, entry: Entry | undefined): void {
    const mark = readRecord<LiveMark>(entry);
    if (mark === undefined) this.marks.delete(id);
    else this.marks.set(id, mark);
    this.#host.marked(id);
  }

  #waited(key: string, entry: Entry | undefined): void {
    const mark = readRecord<UntilMark>(entry);
    if (mark === undefined) this.#untils.delete(key);
    else this.#untils.set(key, mark.event !== undefined);
    for (const changed of this.#watches.get(key) ?? []) changed();
    if (mark?.event !== undefined || mark === undefined) this.#host.woken(waiterOf(key));
  }

  #follow(prefix: string, take: (key: string, entry: Entry | undefined) => void): void {
    const { store, runtime } = this.#host;
    const failed = (cause: unknown): void => {
      const message = `Cannot follow "${prefix}" just now, so sagas may rest for a while`;
      runtime.log({ level: "debug", event: "saga.unfollowed", message, fields: { cause } });
    };
    runtime.background(follow(prefix, { store, runtime, signal: this.#closed.signal, take, failed }));
  }
}
