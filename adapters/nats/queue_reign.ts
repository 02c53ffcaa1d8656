import { sleep } from "../../src/internal/sleep.ts";
import type { PullOptions, QueueBacklog } from "../../src/ports/queue.ts";
import { queueCancelled } from "../../src/ports/queue_faults.ts";
import type { Clock } from "../../src/ports/runtime.ts";
import { type ConsumerState, deleteConsumer, makeConsumer, readConsumer } from "./queue_consumer.ts";
import { Flow } from "./queue_flow.ts";
import type { HeldItem } from "./queue_held.ts";
import type { GroupRecord, KeptRecord } from "./queue_owners.ts";
import { type GroupNames, Moved, type QueueShared, type ReignStart } from "./queue_shared.ts";
import { type Settlement, Stock } from "./queue_stock.ts";
import { QueueWaits } from "./queue_waits.ts";
import { isGone } from "./streams_api.ts";

/** The part of `ackWait` for which what was confirmed is relied on. */
const SURE = 0.8;
/** How long to wait before the server is asked again, in ms. */
const AGAIN = 100;

/** What looks after a group, from when this process became its owner until it is not any more. */
export class Reign {
  readonly stock: Stock;
  readonly #shared: QueueShared;
  readonly #names: GroupNames;
  readonly #stream: string;
  readonly #flow: Flow;
  readonly #waits: QueueWaits;
  readonly #over: AbortController = new AbortController();
  #kept: KeptRecord;
  /** When it was certain last that this process is the owner, and that the server knew of all it has. */
  #confirmed: number;
  #resuming: Promise<void> | undefined;
  #expiring: Promise<void> | undefined;
  #stopTimer: () => void = () => {};

  private constructor(
    shared: QueueShared,
    start: ReignStart,
    stream: string,
    state: ConsumerState,
    began: number,
  ) {
    const { names, kept, done, offset } = start;
    const { link: { runtime: { clock } }, acks } = shared;
    this.#shared = shared;
    this.#names = names;
    this.#stream = stream;
    this.#kept = kept;
    this.#confirmed = began;
    const serve = (): void => this.#waits.serve();
    this.stock = new Stock(clock, acks, done, serve);
    this.stock.group.subscribed(clock.mono(), kept.record.idle);
    this.#waits = new QueueWaits(this.stock.group, clock, () => this.#isSure());
    const [stock, { signal }] = [this.stock, this.#over];
    const host = { shared, names, stream, stock, done, signal, arrived: serve, broken: () => this.resume() };
    this.#flow = new Flow(host, state, offset);
    this.#later();
  }

  static async begin(shared: QueueShared, start: ReignStart): Promise<Reign> {
    const { kept: { record }, names, done } = start;
    const began = shared.link.runtime.clock.mono();
    const stream = await shared.items.open();
    for (const subject of done.subjects()) shared.acks.tell(subject, "+ACK");
    const state = await makeConsumer(shared, stream, names, record.idle);
    return new Reign(shared, start, stream, state, began);
  }

  get record(): GroupRecord {
    return this.#kept.record;
  }

  /** Settles when the group has ended by itself, where it is about to. */
  get expiring(): Promise<void> | undefined {
    return this.#expiring;
  }

  get isOver(): boolean {
    return this.#over.signal.aborted;
  }

  /** @param bytes how large all of them may be; one comes in any case */
  async pull({ max, lease, wait = 0, signal }: PullOptions, bytes: number): Promise<readonly HeldItem[]> {
    const until = this.#clock.mono() + wait;
    for (let looked = false;; looked = true) {
      this.#check();
      // It may have been given up just after it was woken.
      if (signal?.aborted) throw queueCancelled(`pull from "${this.record.topic}"`);
      const taken = this.#isSure() ? this.stock.take(max, lease, bytes) : [];
      this.#flow.open();
      if (taken.length > 0) {
        this.#waits.serve();
        return taken;
      }
      const left = until - this.#clock.mono();
      if (wait === 0 ? looked : left <= 0) return [];
      if (wait === 0) await this.#flow.catchUp();
      else await this.#waits.wait(left, signal);
    }
  }

  settle(settlement: Settlement): Promise<void> {
    this.#check();
    const settled = this.stock.settle(settlement);
    this.#waits.serve();
    return settled;
  }

  async subscribe(idle: number | undefined): Promise<void> {
    this.#check();
    this.stock.group.subscribed(this.#clock.mono(), idle);
    if (this.record.idle === idle) return;
    const record = { ...this.record, idle };
    const sequence = await this.#shared.records.write(this.#names.digest, record, this.#kept.sequence);
    if (sequence === undefined) {
      this.close(true);
      throw new Moved();
    }
    this.#kept = { ...this.#kept, record, sequence };
    await makeConsumer(this.#shared, this.#stream, this.#names, idle);
    this.#later();
  }

  /** How it stands with the group: what has come, and what the server still has. */
  async backlog(): Promise<QueueBacklog> {
    this.#check();
    this.#flow.open();
    await this.#flow.catchUp();
    const { delivered, num_pending } = await readConsumer(
      this.#shared.link,
      this.#stream,
      this.#names.digest,
    );
    this.#check();
    return this.stock.backlog(delivered.stream_seq, num_pending, this.#clock.mono());
  }

  /** Ends the group, with all it had not taken. */
  async end(): Promise<void> {
    await deleteConsumer(this.#shared.link, this.#stream, this.#names.digest);
    await this.#shared.records.remove(this.#kept);
    this.close(false);
  }

  /** Lets another look after the group. */
  async release(): Promise<void> {
    if (this.isOver) return;
    this.close(true);
    await this.#shared.acks.flush();
    await this.#shared.records.write(this.#names.digest, { ...this.record, owner: "" }, this.#kept.sequence);
  }

  /** Looks after the group no longer. @param giveUp whether to give back what nobody has in hands */
  close(giveUp: boolean): void {
    if (this.isOver) return;
    this.#over.abort();
    this.#stopTimer();
    this.#flow.close();
    if (giveUp) this.stock.giveUp();
    this.#waits.fail(new Moved());
  }

  /** Sees whether this process still looks after the group, and tells the server that all of it is worked on. */
  async renew(): Promise<void> {
    const began = this.#clock.mono();
    const { acks, records, link, ackWait } = this.#shared;
    if (!link.up || this.isOver) return;
    if (this.stock.group.isIdle(began)) return this.#expire();
    if (began >= this.#confirmed + ackWait) return this.close(true);
    if (this.#flow.isSilent(began)) this.resume();
    this.stock.gate.look(began);
    this.stock.touch(ackWait / 4);
    try {
      const [isOwner] = await Promise.all([records.isLast(this.#names.digest, this.#kept), acks.flush()]);
      if (!isOwner) return this.close(true);
      this.#confirmed = Math.max(this.#confirmed, began);
      this.#flow.refill();
      await this.#flow.seekGivenBack();
      this.#waits.serve();
    } catch {
      // Tried again; without a word for too long nothing is handed out.
    }
  }

  /** The server is reached again: what was on its way is lost, and it may have forgotten what it was told last. */
  resume(): void {
    if (this.isOver || !this.#shared.link.up) return;
    this.#flow.pause();
    this.#resuming ??= this.#resume().finally(() => {
      this.#resuming = undefined;
      this.#flow.goOn();
      this.#waits.serve();
    });
  }

  get #clock(): Clock {
    return this.#shared.link.runtime.clock;
  }

  #isSure(): boolean {
    return this.#clock.mono() < this.#confirmed + SURE * this.#shared.ackWait;
  }

  #check(): void {
    if (this.isOver || this.#expiring !== undefined) throw new Moved();
    if (this.record.idle === undefined || !this.stock.group.isIdle(this.#clock.mono())) return;
    this.#expire();
    throw new Moved();
  }

  /** Nobody has asked for too long. */
  #expire(): void {
    this.#expiring ??= this.end().catch(() => this.close(true));
  }

  #later(): void {
    this.#stopTimer();
    const ms = Math.min(this.#shared.ackWait / 3, (this.record.idle ?? Infinity) / 2);
    this.#stopTimer = this.#clock.timer(ms, () => {
      this.#later();
      void this.renew();
    });
  }

  async #resume(): Promise<void> {
    const { link, acks, records, items, ackWait } = this.#shared;
    const { signal } = this.#over;
    while (!signal.aborted && link.up) {
      const began = this.#clock.mono();
      if (began >= this.#confirmed + ackWait) return this.close(true);
      try {
        this.stock.repeatDone();
        this.stock.touch(0);
        await acks.flush();
        if (!await records.isLast(this.#names.digest, this.#kept)) return this.close(true);
        this.#flow.recount(await readConsumer(link, this.#stream, this.#names.digest));
        this.#confirmed = began;
        return;
      } catch (thrown) {
        if (isGone(thrown)) {
          items.forget(this.#stream);
          return this.close(false);
        }
        await sleep(this.#clock, AGAIN, signal);
      }
    }
  }
}
