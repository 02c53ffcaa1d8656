import { sleep } from "../../src/internal/sleep.ts";
import type { StoreEntries } from "./store_entries.ts";
import { eachKept } from "./store_list.ts";
import { goneOf, type Kept } from "./store_message.ts";
import type { OpenStream } from "./store_stream_made.ts";

/** How long a note that an entry has gone stays at least, for those who have not heard of it yet, in ms. */
const REMEMBERED = 1000;
/** How many are taken away at a time, and how many in one sweep at most. */
const LANES = 32;
const MOST = 50_000;

/** Takes away what nobody needs any longer: entries whose time is over, and notes that one has gone. */
export class StoreSweep {
  readonly #entries: StoreEntries;
  readonly #interval: number;
  readonly #closed: AbortController = new AbortController();
  #stop: () => void = () => {};
  #underWay: Promise<boolean> | undefined;

  constructor(entries: StoreEntries, interval: number) {
    this.#entries = entries;
    this.#interval = interval;
    this.#arm();
  }

  /** Sweeps at once; answers whether there may be room now. */
  makeRoom(): Promise<boolean> {
    return this.#alone(async () => {
      const { clock } = this.#entries.link.runtime;
      if (!await this.#run(REMEMBERED)) return false;
      await sleep(clock, REMEMBERED, this.#closed.signal);
      await this.#run(REMEMBERED);
      return true;
    });
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#stop();
    await this.#underWay;
  }

  #arm(): void {
    if (this.#closed.signal.aborted) return;
    const { clock, random } = this.#entries.link.runtime;
    const pause = this.#interval * (0.75 + random.u32() / 2 ** 33);
    this.#stop = clock.timer(pause, () => {
      this.#entries.link.runtime.background(this.#alone(() => this.#turn()).then(() => this.#arm()));
    });
  }

  /** One sweep at a time; whoever comes meanwhile waits for that one. */
  #alone(work: () => Promise<boolean>): Promise<boolean> {
    return this.#underWay ??= work().catch(() => false).finally(() => this.#underWay = undefined);
  }

  /** Sweeps if it is time and nobody else does. */
  async #turn(): Promise<boolean> {
    const { names, link, clock } = this.#entries;
    if (!link.up) return false;
    const { signal } = this.#closed;
    const last = await this.#entries.read(names.sweep, signal);
    if (last !== undefined && !clock.mayBeOver(last.stamp, this.#interval * 0.7)) return false;
    const claimed = await this.#entries.write(names.sweep, { kind: "gone" }, "", last?.sequence ?? 0, signal);
    return claimed !== "stale" && await this.#run(Math.max(this.#interval / 2, REMEMBERED));
  }

  /** Answers whether anything was taken away. */
  #run(remembered: number): Promise<boolean> {
    const { names, stream: port, clock } = this.#entries;
    const { signal } = this.#closed;
    const over: Kept[] = [];
    const take = (message: Kept): void => {
      const { subject, mark, stamp } = message;
      if (over.length >= MOST || subject === names.clock || subject === names.sweep) return;
      const ttl = mark?.kind === "gone" ? remembered : mark?.ttl;
      if (ttl !== undefined && clock.mayBeOver(stamp, ttl)) over.push(message);
    };
    return port.run(signal, async (stream) => {
      await eachKept(port, stream, { filter: names.all, signal, most: undefined, take });
      for (let at = 0; at < over.length; at += LANES) {
        await Promise.all(over.slice(at, at + LANES).map((each) => this.#take(each, stream)));
      }
      return over.length > 0;
    });
  }

  async #take(kept: Kept, stream: OpenStream): Promise<void> {
    const { stream: port } = this.#entries;
    const { signal } = this.#closed;
    if (kept.mark?.kind === "gone") return await port.remove(stream, kept.sequence, signal);
    if (await this.#entries.live(kept, signal)) return;
    await this.#entries.write(kept.subject, goneOf(kept), "", kept.sequence, signal);
  }
}
