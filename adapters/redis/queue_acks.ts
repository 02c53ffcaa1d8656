import { createTurn } from "../../src/internal/turn.ts";
import type { DeliveryGroup } from "./queue_delivery.ts";
import { ACK } from "./queue_scripts_held.ts";

/** What was taken at once. */
export interface Hold {
  readonly id: string;
  readonly group: DeliveryGroup;
  /** How many items it had. */
  readonly size: number;
  /** Whether any of them came again. */
  readonly isAgain: boolean;
  /** Those that are acknowledged by the next command. */
  acks: Ack[];
}

/** An item of a hold that is to be done with. */
export interface Ack {
  /** What names it in its group. */
  readonly number: string;
  readonly attempt: number;
  readonly key: string | undefined;
  /** It is done with or not, or nobody knows, and why. */
  end(done: boolean, thrown?: unknown): void;
}

/** How many are sent in one command; what was taken at once goes together. */
const BATCH = 500;

/** Sends what one turn acknowledges in one command a group. */
export class QueueAcks {
  #holds: Hold[] = [];
  #count = 0;
  readonly #turn: () => void = createTurn(() => this.#count, () => this.flush());

  /** Until it has ended it must not be added again. */
  add(hold: Hold, ack: Ack): void {
    if (hold.acks.push(ack) === 1) this.#holds.push(hold);
    this.#count++;
    this.#turn();
  }

  /** Sends those that wait at once, so that what is asked for next comes after them. */
  flush(): void {
    const holds = this.#holds;
    this.#holds = [];
    this.#count = 0;
    const batches = new Map<DeliveryGroup, Batch>();
    for (const hold of holds) {
      const { group, acks } = hold;
      hold.acks = [];
      const batch = batches.get(group) ?? { holds: [], size: 0 };
      batches.set(group, batch);
      batch.holds.push({ hold, acks });
      batch.size += acks.length;
      if (batch.size < BATCH) continue;
      void send(group, batch.holds);
      batches.delete(group);
    }
    batches.forEach((batch, group) => void send(group, batch.holds));
  }
}

interface Batch {
  readonly holds: HeldAcks[];
  size: number;
}

interface HeldAcks {
  readonly hold: Hold;
  readonly acks: readonly Ack[];
}

async function send(group: DeliveryGroup, holds: readonly HeldAcks[], whole: boolean = true): Promise<void> {
  const words: (string | number)[] = [group.number];
  for (const { hold, acks } of holds) {
    words.push(hold.id, acks.length);
    if (whole && acks.length === hold.size && !hold.isAgain) words.push("all");
    else for (const ack of acks) words.push(wordOf(ack));
  }
  try {
    // How many others are free now, and then what came of each hold.
    const answers = String(await group.run(ACK, words)).split(" ");
    let at = 1;
    for (const { hold, acks } of holds) {
      const answer = answers[at++]!;
      if (answer === "none") {
        void send(group, [{ hold, acks }], false);
        continue;
      }
      let digit = 0;
      for (const ack of acks) ack.end(answer === "all" || answer[digit++] === "1");
    }
    if (answers[0] !== "0") group.expect(0);
  } catch (thrown) {
    for (const { acks } of holds) for (const ack of acks) ack.end(false, thrown);
  }
}

function wordOf({ number, attempt, key }: Ack): string {
  if (attempt === 1 && key === undefined) return number;
  return `${number} ${attempt} ${key === undefined ? "v" : `k${key}`}`;
}
