import type { Runtime } from "../../src/ports/runtime.ts";

/** Something that was written for a time. */
export interface Held {
  readonly revision: number;
  /** In ms. */
  readonly ttl: number;
}

const MINUTE = 60_000;
/** How much of what was written is known again. */
const KNOWN = 1024;

/**
 * Counts the commands that renew what is held for a time: leases, locks, claims. They are needed however many they are,
 * so no budget holds them back; but when they alone are more than all looking may take on a node, it is said.
 */
export class RenewalMeter {
  readonly #runtime: Pick<Runtime, "clock" | "log">;
  readonly #most: number;
  readonly #held: Map<string, Held> = new Map();
  #renewed = 0;
  /** When the minute began that is looked at, how many there were then, and whether it was said of the one before. */
  #begun: number;
  #before = 0;
  #isSaid = false;

  /** @param most how many a minute are worth no word */
  constructor(runtime: Pick<Runtime, "clock" | "log">, most: number) {
    this.#runtime = runtime;
    this.#most = most;
    this.#begun = runtime.clock.mono();
  }

  /** How many there were so far. */
  get renewed(): number {
    return this.#renewed;
  }

  /** Notes a write: a renewal if it is over one of the same key that was to last as long. */
  wrote(key: string, held: Held, expected: number | "absent" | undefined): void {
    const before = this.#held.get(key);
    this.#held.delete(key);
    this.#held.set(key, held);
    const [oldest] = this.#held.keys();
    if (this.#held.size > KNOWN) this.#held.delete(oldest!);
    if (before === undefined || before.revision !== expected || before.ttl !== held.ttl) return;
    this.#renewed++;
    this.#look();
  }

  #look(): void {
    const { clock } = this.#runtime;
    const passed = clock.mono() - this.#begun;
    if (passed < MINUTE) return;
    const rate = (this.#renewed - this.#before) * (MINUTE / passed);
    this.#begun = clock.mono();
    this.#before = this.#renewed;
    const isOver = rate > this.#most;
    if (isOver && !this.#isSaid) this.#say(Math.round(rate));
    this.#isSaid = isOver;
  }

  #say(perMinute: number): void {
    const most = this.#most;
    this.#runtime.log({
      level: "warn",
      event: "redis.renewals",
      message:
        `Leases that are held here take ${perMinute} commands a minute, and all looking ${most} at most: ` +
        `each is renewed three times in its time, so longer ones cost less`,
      fields: { perMinute, most },
    });
  }
}
