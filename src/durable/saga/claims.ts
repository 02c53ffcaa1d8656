import type { Runtime } from "../../ports/runtime.ts";
import type { Lease } from "../lease.ts";
import type { Found, SagaKeep } from "./keep.ts";
import { isDone, LIVE, type SagaRecord } from "./saga_record.ts";
import type { SagaView } from "./view.ts";

/** How many instances are taken over at a time, and how many are planned to be. */
const AT_ONCE = 16;
const PLANNED = 64;
/** How much later each further executor goes for an instance, in ms. */
const TURN = 250;
/** How long an instance that was announced may take to be there, in ms. */
const GRACE = 60_000;

/** What {@linkcode Claims} stands on. */
export interface ClaimHost {
  readonly runtime: Runtime;
  readonly owner: string;
  readonly keep: SagaKeep;
  readonly view: SagaView;
  /** The lease to take instances by, while nothing keeps this executor from it. */
  lease(): Lease | undefined;
  /** How many more it may run. */
  room(): number;
  isRun(id: string): boolean;
  /** Whether it has the code of a version. */
  knows(type: string, version: number): boolean;
  /** It was taken over. */
  run(id: string, found: Found, lease: Lease): void;
}

/** Takes over instances that nobody runs any more, or that have waited long enough; each executor its share first. */
export class Claims {
  readonly #host: ClaimHost;
  /** What is to be taken over soon, and what calls it off. */
  readonly #planned: Map<string, () => void> = new Map();
  readonly #claiming: Set<string> = new Set();
  /** Since when an instance was announced and is not there. */
  readonly #missing: Map<string, number> = new Map();
  readonly #told: Set<string> = new Set();

  constructor(host: ClaimHost) {
    this.#host = host;
  }

  considerAll(): void {
    for (const id of this.#host.view.marks.keys()) this.consider(id);
  }

  close(): void {
    for (const stop of this.#planned.values()) stop();
    this.#planned.clear();
  }

  /** Plans to take an instance over, if nobody has it and there is something to do. */
  consider(id: string): void {
    const { view, runtime, knows } = this.#host;
    const mark = view.marks.get(id);
    if (mark === undefined) {
      this.#missing.delete(id);
      this.#told.delete(id);
      return;
    }
    const lease = this.#host.lease();
    if (lease === undefined || mark.status === "stuck") return;
    if (this.#host.isRun(id) || this.#claiming.has(id) || this.#planned.has(id)) return;
    if (mark.by === undefined ? view.sleeps(mark) : mark.by !== lease.key && view.lives(mark.by)) return;
    if (this.#planned.size >= Math.min(this.#host.room(), PLANNED)) return;
    if (mark.status === "running" && !knows(typeOf(id), mark.version)) return this.#alarm(id, mark.version);
    const wait = mark.by === lease.key ? 0 : view.rank(id, lease.key) * TURN;
    this.#planned.set(
      id,
      runtime.clock.timer(wait, () => {
        this.#planned.delete(id);
        if (this.#claiming.size < AT_ONCE) this.#do(id);
      }),
    );
  }

  #do(id: string): void {
    const { runtime } = this.#host;
    const lease = this.#host.lease();
    if (lease === undefined || this.#claiming.has(id)) return;
    this.#claiming.add(id);
    const done = this.#claim(id, lease).catch((cause: unknown) => {
      const message = `Could not take over the saga "${id}" just now; it is tried again`;
      runtime.log({ level: "debug", event: "saga.unclaimed", message, fields: { cause } });
    }).then(() => void this.#claiming.delete(id));
    runtime.background(done);
  }

  async #claim(id: string, lease: Lease): Promise<void> {
    const { keep, view, knows } = this.#host;
    const found = await keep.find(id);
    if (found === undefined) return await this.#miss(id);
    const { record, revision } = found;
    const { by, status, version } = record;
    const mark = view.marks.get(id);
    const isHeld = by !== undefined && by !== lease.key && await this.#isHeld(by);
    const isAsleep = by === undefined && mark !== undefined && view.sleeps(mark);
    const isUnknown = status === "running" && !knows(record.type, version);
    if (isDone(record) || status === "stuck" || isHeld || isAsleep || isUnknown) {
      // What was said of it was not so, or is not any more.
      return await keep.mark(id, record, lease.signal);
    }
    if (this.#host.lease() !== lease || this.#host.isRun(id)) return;
    const claimed: SagaRecord = { ...record, by: lease.key };
    const taken = by === lease.key ? revision : await keep.put(id, claimed, revision);
    if (taken === undefined) return;
    this.#host.run(id, { record: claimed, revision: taken }, lease);
  }

  async #isHeld(session: string): Promise<boolean> {
    return await this.#host.keep.ask((store, signal) => store.get(session, { signal })) !== undefined;
  }

  /** An instance was announced and is not there: its caller crashed, or will write it in a moment. */
  async #miss(id: string): Promise<void> {
    const now = this.#host.runtime.clock.mono();
    const since = this.#missing.get(id) ?? now;
    this.#missing.set(id, since);
    if (now - since < GRACE) return;
    const entry = await this.#host.keep.ask((store, signal) => store.get(LIVE + id, { signal }));
    if (entry === undefined) return;
    await this.#host.keep.ask((store, signal) =>
      store.delete(LIVE + id, { expected: entry.revision, signal })
    );
  }

  #alarm(id: string, version: number): void {
    if (this.#told.has(id)) return;
    this.#told.add(id);
    const type = typeOf(id);
    const message =
      `The saga "${id}" waits for a node with version ${version} of "${type}"; "${this.#host.owner}" has none`;
    this.#host.runtime.log({
      level: "warn",
      event: "saga.unknown_version",
      message,
      fields: { saga: id, version },
    });
  }
}

/** The contract that an instance was begun by. */
export function typeOf(id: string): string {
  return id.slice(0, id.indexOf("/"));
}
