import { sleep } from "../../src/internal/sleep.ts";
import { noGroup } from "../../src/ports/queue_faults.ts";
import { CatgaError, systemFault } from "../../src/result.ts";
import { makeConsumer } from "./queue_consumer.ts";
import { DoneItems } from "./queue_done.ts";
import type { GroupRecord } from "./queue_owners.ts";
import { randomToken } from "./random_token.ts";
import { Reign } from "./queue_reign.ts";
import type { GroupNames, QueueShared } from "./queue_shared.ts";

/** How often a record is read while others change it. */
const TRIES = 16;
/** How long an owner whom nobody hears may be away, as after the server began anew, and how often to ask, in ms. */
const AWAY = 1000;
const AGAIN = 50;

/** Finds out who looks after a group, and does so where nobody else does. */
export class OwnerFinder {
  /** What this process has subscribed with; `undefined` if it has not. */
  wanted: { readonly idle: number | undefined } | undefined;
  readonly #shared: QueueShared;
  readonly #names: GroupNames;
  readonly #changed: () => Promise<void>;
  #done: DoneItems = new DoneItems();
  #reign: Reign | undefined;
  #born = "";
  #epoch: string | undefined;
  #owner: string | undefined;
  #last: string | undefined;
  /** The record of an owner whom nobody hears. */
  #gone: string | undefined;
  #unheard: number | undefined;
  #finding: Promise<Reign | string> | undefined;

  /** @param changed hears that somebody else looks after it */
  constructor(shared: QueueShared, names: GroupNames, changed: () => Promise<void>) {
    this.#shared = shared;
    this.#names = names;
    this.#changed = changed;
  }

  get digest(): string {
    return this.#names.digest;
  }

  /** What looks after the group, where this process does. */
  get reign(): Reign | undefined {
    return this.#reign;
  }

  /** Which of the groups that had its name this is. */
  get born(): string {
    return this.#born;
  }

  /** Whether the group was there when it was looked for last. */
  get isFound(): boolean {
    return this.#owner !== undefined;
  }

  /** Whether there is a reason to remember this group. */
  get isUsed(): boolean {
    return this.wanted !== undefined || this.#finding !== undefined || this.#isReigning();
  }

  /** Rejects with `NO_HANDLER` where there is no such group, unless it is to be created. */
  find(create = false): Promise<Reign | string> {
    if (this.#isReigning()) return Promise.resolve(this.#reign!);
    if (this.#owner !== undefined) return Promise.resolve(this.#owner);
    if (create && this.#finding !== undefined) {
      return this.#finding.catch(() => {}).then(() => this.find(true));
    }
    return this.#finding ??= this.#find(create).finally(() => this.#finding = undefined);
  }

  /** A stream was made anew: what was known of the group is not so any more. Both may go, one after the other. */
  async findAgain(): Promise<void> {
    const { link } = this.#shared;
    for (let failures = 1; this.wanted !== undefined; failures++) {
      try {
        this.#owner = undefined;
        await this.#reign?.renew();
        return void await this.find();
      } catch (thrown) {
        if (failures >= TRIES || !CatgaError.is(thrown) || !thrown.retryable || !link.up) throw thrown;
      }
      await sleep(link.runtime.clock, failures * AGAIN);
    }
  }

  /** It is not, or no longer, who was found. */
  async moved(owner: Reign | string): Promise<void> {
    if (owner === this.#owner) this.#owner = undefined;
    if (typeof owner !== "string") await owner.expiring;
  }

  /** The owner has answered. */
  heard(): void {
    this.#unheard = undefined;
  }

  /** The owner did not answer, or nobody heard the question. */
  async unheard(nobody: boolean): Promise<void> {
    const { clock } = this.#shared.link.runtime;
    const now = clock.mono();
    this.#unheard ??= now;
    const owner = this.#owner;
    this.#owner = undefined;
    if (nobody && now - this.#unheard < AWAY) return await sleep(clock, AGAIN);
    this.#gone = owner;
    this.#unheard = undefined;
  }

  /** Somebody says to look after the group. */
  noticed(owner: string): void {
    if (owner === this.#shared.self) return;
    this.#owner = undefined;
    void this.#reign?.renew().then(() => this.find()).catch(() => {});
    if (this.#reign === undefined) void this.find().catch(() => {});
  }

  #isReigning(): boolean {
    return this.#reign !== undefined && !this.#reign.isOver && this.#reign.expiring === undefined;
  }

  async #find(create: boolean): Promise<Reign | string> {
    const { records, self } = this.#shared;
    for (let tries = 0; tries < TRIES; tries++) {
      await this.#reign?.expiring;
      const epoch = await records.epoch();
      const kept = await records.read(this.digest);
      // What is not there was lost, or is asked of a stream that stands for a lost one.
      if (epoch !== await records.epoch()) continue;
      if (kept === undefined) {
        if (!create && !this.#isLost(epoch)) {
          this.wanted = undefined;
          throw this.missing();
        }
        const born = randomToken(this.#shared.link.runtime.random);
        const made = {
          topic: this.#names.topic,
          group: this.#names.group,
          born,
          idle: this.wanted?.idle,
          owner: self,
        };
        // Before anybody finds the group: what he pushes then is for it.
        await makeConsumer(this.#shared, await this.#shared.items.open(), this.#names, made.idle);
        const reign = await this.#take(made, 0, epoch);
        if (reign !== undefined) return reign;
        continue;
      }
      const { record, sequence } = kept;
      const { owner } = record;
      if (owner === self || owner === "" || owner === this.#gone) {
        const reign = await this.#take({ ...record, owner: self }, sequence, epoch);
        if (reign !== undefined) return reign;
        continue;
      }
      this.#enter(record, epoch);
      this.#owner = owner;
      this.#tell(owner);
      return owner;
    }
    throw new CatgaError(
      systemFault("UNAVAILABLE", `Cannot find out who looks after "${this.#names.group}"`),
    );
  }

  /** Makes this process the owner; `undefined` when another was faster. */
  async #take(record: GroupRecord, over: number, epoch: string): Promise<Reign | undefined> {
    const { records, link, self } = this.#shared;
    const sequence = await records.write(this.digest, record, over);
    if (sequence === undefined) return undefined;
    const now = link.runtime.clock.mono();
    const kept = await records.read(this.digest);
    if (kept?.sequence !== sequence) return undefined;
    this.#enter(record, epoch);
    this.#gone = this.#owner = undefined;
    const reign = await Reign.begin(this.#shared, {
      names: this.#names,
      kept,
      done: this.#done,
      offset: now - kept.at,
    });
    this.#reign = reign;
    this.#tell(self);
    link.connection.publish(`catga.${link.name}.qn`, JSON.stringify({ group: this.digest, owner: self }));
    return reign;
  }

  #enter({ born }: GroupRecord, epoch: string): void {
    // An owner before it may still add to the old ones.
    if (born !== this.#born) this.#done = new DoneItems();
    this.#born = born;
    this.#epoch = epoch;
  }

  /** Whether the group was lost with the stream of the records. */
  #isLost(epoch: string): boolean {
    return this.wanted !== undefined && this.#epoch !== undefined && this.#epoch !== epoch;
  }

  /** There is no such group. */
  missing(): CatgaError {
    return noGroup(this.#names.topic, this.#names.group);
  }

  #tell(owner: string): void {
    if (owner === this.#last) return;
    this.#last = owner;
    queueMicrotask(() => void this.#changed().catch(() => {}));
  }
}
